import { MessageChannel } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
import { checkNames } from './option-names.ts';
import { SERVER_LIMITS } from './server-limits.ts';

const CALLBACKS = ['onCrash', 'onOverflow'] as const;

const OTHERS = ['app', 'port', 'host', 'shards', 'balance', 'tls', 'data', 'handoff'] as const;

const NAMES = [...OTHERS, ...CALLBACKS, ...Object.keys(SERVER_LIMITS)];

/**
 * Checks what each option of `serve()` must be whatever its value is for.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and the remedy
 */
export function checkServeOptions(options: object): void {
  const given = options as Readonly<Record<string, unknown>>;
  checkNames('serve', 'option', given, NAMES);
  for (const name of CALLBACKS) {
    const callback = given[name];
    if (callback === undefined || typeof callback === 'function') continue;
    throw invalid(name, `must be a function; got a ${callback === null ? 'null' : typeof callback}`);
  }
  checkData(given['data']);
}

/** Tells now what no thread could be started with. */
function checkData(data: unknown): void {
  const { port1 } = new MessageChannel();
  try {
    port1.postMessage(data);
  } catch (cause) {
    const { message } = cause as Error;
    throw invalid('data', `must be something that can be copied between threads, such as JSON: ${message}`);
  } finally {
    port1.close();
  }
}

function invalid(name: string, rule: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `serve: '${name}' ${rule}`);
}
