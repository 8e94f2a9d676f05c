import { described, readInteger } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import { checkFlag, checkLimits } from '../options/check-option.ts';
import type { LimitsOf } from '../options/option.ts';
import { checkSpelling } from '../options/option-names.ts';
import { ROUTE_FLAGS, ROUTE_HANDLERS, ROUTE_LIMITS, ROUTE_OPTIONS } from '../options/route-options.ts';
import { Compression, isCompression } from '../protocol/compression.ts';
import { type OriginPolicy, validateOriginPolicy } from '../protocol/origin.ts';
import type { UserCode } from '../user-code.ts';

/** Options of a WebSocket route, in the names of uWebSockets.js. All are optional. */
export interface WebSocketOptions extends Partial<LimitsOf<typeof ROUTE_LIMITS>> {
  /** End the connection, at the end of the turn, with the first message that is dropped at `maxBackpressure`. Default false. */
  closeOnBackpressureLimit?: boolean;
  /** Ping a silent peer shortly before `idleTimeout` is over. Default true. */
  sendPingsAutomatically?: boolean;
  /**
   * permessage-deflate (RFC 7692): a compressor and a decompressor of the exported constants, put together with
   * `|`, such as `SHARED_COMPRESSOR | SHARED_DECOMPRESSOR`. What is sent is compressed where `send` or `publish`
   * say so. Default DISABLED. docs/compression.md has what each constant costs.
   */
  compression?: number;
  /**
   * Pages that may connect: '*', 'same-origin' or a list such as ['https://example.com']. Default '*'. 'same-origin' compares
   * with the request's own Host, which a page of another site can have lead here: see `allowedHosts` and `behindTls` of
   * `serve()` and `App()`.
   */
  origins?: OriginPolicy;
  /**
   * Subprotocols the route speaks, in any order: the first one of the client's that is among them is agreed on, also of
   * what is given to `res.upgrade`. Default: whatever is offered first.
   */
  protocols?: readonly string[];
}

const NAMES = [ROUTE_LIMITS, ROUTE_FLAGS, ROUTE_OPTIONS, ROUTE_HANDLERS].flatMap((table) =>
  Object.keys(table),
);

/** Any handler; what each is given, WebSocketRoute knows. */
export type Handler = (...args: unknown[]) => unknown;

/** Handlers that are called where they are needed, with a `watch` of what they return: those of most messages. */
interface CalledInPlace {
  readonly upgrade?: (res: object, req: object, context: object) => unknown;
  readonly message?: (ws: object, message: ArrayBuffer, isBinary: boolean) => unknown;
  readonly messageView?: (ws: object, view: Uint8Array, isBinary: boolean) => unknown;
}

/** A behavior with every limit filled in. What its handlers are given of a socket, a request, a response is their user's. */
export type CheckedBehavior = Readonly<Pick<WebSocketOptions, 'origins' | 'protocols'>> &
  Readonly<LimitsOf<typeof ROUTE_LIMITS> & Record<'compression', number>> &
  Readonly<Record<keyof typeof ROUTE_FLAGS, boolean>> &
  CalledInPlace & {
    readonly [Name in Exclude<keyof typeof ROUTE_HANDLERS, keyof CalledInPlace>]?: UserCode<Handler>;
  };

/**
 * Fills in the defaults. Keys that are no option are passed over, as frameworks hand through what they were given
 * themselves; one that nearly is an option is a mistake.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes
 */
export function checkBehavior(pattern: string, behavior: WebSocketOptions): CheckedBehavior {
  if (typeof behavior !== 'object' || behavior === null) {
    throw invalid(
      pattern,
      'behavior',
      `must be an object with options and handlers; got ${described(behavior)}`,
    );
  }
  const where = `ws('${pattern}')`;
  const given = behavior as Record<string, unknown>;
  checkSpelling(where, given, NAMES, 'option or handler');
  const checked: Record<string, unknown> = { ...given, ...checkLimits(where, given, ROUTE_LIMITS) };
  for (const [name, row] of Object.entries(ROUTE_FLAGS)) {
    checked[name] = checkFlag(where, name, given[name], row);
  }
  for (const name of Object.keys(ROUTE_HANDLERS)) {
    // uWebSockets.js code passes null for "no handler".
    if (given[name] === null || given[name] === undefined) delete checked[name];
    else if (typeof given[name] !== 'function') {
      throw invalid(pattern, name, `must be a function; got ${described(given[name])}`);
    }
  }
  for (const name of ['origins', 'protocols']) if (given[name] === null) delete checked[name];
  validateOriginPolicy(checked['origins']);
  checkProtocols(pattern, checked['protocols']);
  const compression = compressionOf(given['compression']);
  if (!isCompression(compression)) {
    throw invalid(
      pattern,
      'compression',
      `must be DISABLED, or SHARED_COMPRESSOR or a DEDICATED_COMPRESSOR_…, put together by '|' with ` +
        `SHARED_DECOMPRESSOR or a DEDICATED_DECOMPRESSOR_…; got ${described(given['compression'])}`,
    );
  }
  checked['compression'] = compression;
  return checked as unknown as CheckedBehavior;
}

/** The mask of constants. True is the compressor of the shard, which is the constant 1. */
function compressionOf(value: unknown): number {
  if (typeof value === 'boolean') return value ? Compression.SHARED_COMPRESSOR : Compression.DISABLED;
  return readInteger(value) ?? Compression.DISABLED;
}

function checkProtocols(pattern: string, value: unknown): void {
  if (value === undefined) return;
  const isList = Array.isArray(value) && value.every((entry) => typeof entry === 'string' && entry !== '');
  if (!isList)
    throw invalid(
      pattern,
      'protocols',
      `must be a list of names such as ['chat.v1']; got ${described(value)}`,
    );
}

function invalid(pattern: string, name: string, rule: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `ws('${pattern}'): '${name}' ${rule}`);
}
