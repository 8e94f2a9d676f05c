import { messageOf } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import type { ModuleFailure } from '../shard/control-message.ts';

/** The module cannot be used, as the shard said. */
export function badModule(module: string, failure: ModuleFailure): MillraceError {
  if (failure.code !== undefined) return new MillraceError(failure.code, failure.message);
  const cause = new Error(failure.message);
  cause.stack = failure.stack;
  return new MillraceError('MILLRACE_BAD_MODULE', `Cannot use the app module ${module}: ${failure.message}`, {
    cause,
  });
}

/** The module was loaded, but the event loop did not come to attach the shard. */
export function notAttached(module: string, seconds: number): MillraceError {
  return new MillraceError(
    'MILLRACE_BAD_MODULE',
    `Cannot use the app module ${module}: the event loop stands still since it was loaded, for ${seconds} s now ` +
      "('loadTimeout'). Something that it started does not end",
  );
}

/** The module was not loaded in time. */
export function notLoaded(module: string, seconds: number): MillraceError {
  return new MillraceError(
    'MILLRACE_BAD_MODULE',
    `Cannot use the app module ${module}: it was not loaded within ${seconds} s. Either something that it awaits does ` +
      "not settle, or a loop in it does not end. If it needs longer, raise 'loadTimeout' (seconds; 0: no limit)",
  );
}

/** Why a shard could not be started. */
export function startError(index: number, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const reason = messageOf(cause);
  return new MillraceError('MILLRACE_SHARD_CRASHED', `Shard ${index} ended while it started: ${reason}`, {
    cause,
  });
}
