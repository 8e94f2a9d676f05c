import { COMPRESSION_THRESHOLD } from '../bus/deflate-forms.ts';
import { described, readInteger } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import { checkSpelling } from '../options/option-names.ts';
import { checkFlag, checkLimit, type Limit } from '../options/server-limits.ts';
import { Compression, isCompression } from '../protocol/compression.ts';
import { type OriginPolicy, validateOriginPolicy } from '../protocol/origin.ts';
import type { UserCode } from '../user-code.ts';

/** Options of a WebSocket route, in the names of uWebSockets.js. All are optional. */
export interface WebSocketOptions {
  /**
   * Bytes a message may have, all its fragments together. A longer one closes the connection with 1009.
   * At most 2 ** 32, which is what more means, too. Default 16,384.
   */
  maxPayloadLength?: number;
  /**
   * Seconds without a byte from the peer until the connection is closed; 0: never, else 8 to 960. Default 120.
   * A message that is not complete counts as silence unless 16 KiB of it arrive in that time, and so do bytes that wait
   * for a peer unless it takes 16 KiB of them, or all.
   */
  idleTimeout?: number;
  /**
   * Bytes that may wait for a peer that does not read; beyond, messages are dropped (see `dropped`). A message
   * is judged before it is queued, so one may overshoot. 0: no limit. Default 65,536.
   */
  maxBackpressure?: number;
  /** End the connection, at the end of the turn, with the first message that is dropped at `maxBackpressure`. Default false. */
  closeOnBackpressureLimit?: boolean;
  /** Ping a silent peer shortly before `idleTimeout` is over. Default true. */
  sendPingsAutomatically?: boolean;
  /** Minutes a connection may live; it is then closed with 1000. 0: no limit, else 1 to 240. Default 0. */
  maxLifetime?: number;
  /**
   * permessage-deflate (RFC 7692): a compressor and a decompressor of the exported constants, put together with
   * `|`, such as `SHARED_COMPRESSOR | SHARED_DECOMPRESSOR`. What is sent is compressed where `send` or `publish`
   * say so. Default DISABLED. docs/compression.md has what each constant costs.
   */
  compression?: number;
  /** Bytes below which messages are sent as they are. 0: all but empty ones are compressed. Default 64. */
  compressionThreshold?: number;
  /** Topics a connection may be subscribed to; `subscribe` to one more returns false. Default 16,384. */
  maxSubscriptions?: number;
  /** Frames a message may have; more closes with 1008. Default 131,072. */
  maxFragments?: number;
  /** Pings a peer may send in a second; more closes with 1008. Default 100. */
  maxPingsPerSecond?: number;
  /** Seconds the peer has to answer a Close frame and end the connection. 1 to 960. Default 5. */
  closeTimeout?: number;

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

/** Every numeric option of a WebSocket route: default, range and unit. */
export const BEHAVIOR_LIMITS = {
  maxPayloadLength: { default: 16 * 1024, min: 1, max: 2 ** 32, isClamped: true, unit: 'bytes' },
  idleTimeout: { default: 120, min: 8, max: 960, zero: 'never', unit: 'seconds' },
  maxBackpressure: {
    default: 64 * 1024,
    min: 1,
    max: 2 ** 40,
    zero: 'no limit',
    isClamped: true,
    unit: 'bytes',
  },
  maxLifetime: { default: 0, min: 1, max: 240, zero: 'no limit', unit: 'minutes' },
  maxFragments: { default: 131_072, min: 1, max: 2 ** 31, unit: 'frames' },
  maxPingsPerSecond: { default: 100, min: 1, max: 2 ** 31, unit: 'pings' },
  maxSubscriptions: { default: 16_384, min: 1, max: 2 ** 24, unit: 'topics' },
  compressionThreshold: {
    default: COMPRESSION_THRESHOLD,
    min: 1,
    max: 2 ** 32,
    zero: 'every message',
    isClamped: true,
    unit: 'bytes',
  },
  closeTimeout: { default: 5, min: 1, max: 960, unit: 'seconds' },
} as const satisfies Record<string, Limit>;

type LimitName = keyof typeof BEHAVIOR_LIMITS;

const HANDLERS = [
  'upgrade',
  'open',
  'message',
  'messageView',
  'dropped',
  'drain',
  'close',
  'ping',
  'pong',
  'subscription',
  'onError',
] as const;

/** Those checked by rules of their own. */
const OTHERS = ['compression', 'origins', 'protocols'] as const;

const FLAGS = ['closeOnBackpressureLimit', 'sendPingsAutomatically'] as const;

const NAMES = [...Object.keys(BEHAVIOR_LIMITS), ...FLAGS, ...OTHERS, ...HANDLERS];

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
  Readonly<Record<LimitName | 'compression', number>> &
  Readonly<Record<(typeof FLAGS)[number], boolean>> &
  CalledInPlace & {
    readonly [Name in Exclude<(typeof HANDLERS)[number], keyof CalledInPlace>]?: UserCode<Handler>;
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
  const checked: Record<string, unknown> = { ...given };
  checkSpelling(where, given, NAMES, 'option or handler');
  for (const [name, limit] of Object.entries(BEHAVIOR_LIMITS)) {
    checked[name] = checkLimit(where, name, given[name], limit);
  }
  for (const name of FLAGS) {
    checked[name] = checkFlag(where, name, given[name], name === 'sendPingsAutomatically');
  }
  for (const name of HANDLERS) {
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
