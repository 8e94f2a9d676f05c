import { described, readFlag, readInteger, readNumber } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';

/** One row of a table of numeric options. */
export interface Limit {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** 0 is allowed beside min to max, and means this. */
  readonly zero?: string;
  /** More than `max` is no mistake: it means `max`. */
  readonly isClamped?: boolean;
  readonly unit: string;
}

/** Every numeric option of a listening App and of `serve()`: default, range and unit. */
export const SERVER_LIMITS = {
  /**
   * A request head: request line and headers. More is answered 431, or 414 when the target alone is too long. The
   * default can be set by UWS_HTTP_MAX_HEADERS_SIZE in the environment.
   */
  maxHeadSize: { default: 4096, min: 256, max: 1024 * 1024, unit: 'bytes' },
  /** Header lines; more is answered 431. */
  maxHeaders: { default: 100, min: 1, max: 10_000, unit: 'headers' },
  /**
   * Time for a whole request head, from the connection on, or from the first byte of the head of a later request. Single
   * bytes do not renew it.
   */
  handshakeTimeout: { default: 10, min: 1, max: 960, unit: 'seconds' },
  /**
   * Time from a response to the first byte of the next request; then the connection is ended. The default is above the
   * 60 seconds that proxies keep idle connections: one that sends a request while the server closes has to answer 502.
   */
  keepAliveTimeout: { default: 65, min: 1, max: 86_400, unit: 'seconds' },
  /** Time in which the next 16 KiB of a request body, or its end, must arrive; else it is answered 408. */
  bodyTimeout: { default: 10, min: 1, max: 960, unit: 'seconds' },
  /** Bytes of a request body. More is answered 413. The server keeps none of them: `onData` gets them as they come. */
  maxBodySize: {
    default: 0,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    zero: 'no limit',
    isClamped: true,
    unit: 'bytes',
  },
  /**
   * Time in which a peer must take the next 16 KiB of a response, or all that waits for it; else the connection is closed.
   */
  writeTimeout: { default: 60, min: 1, max: 86_400, zero: 'no limit', unit: 'seconds' },
  /** TLS handshakes under way at a time, in each shard. More make the oldest one give way. */
  maxHandshakes: { default: 1024, min: 1, max: 2 ** 31, unit: 'handshakes' },
  /**
   * Connections at a time. More are answered 503, and cut off unanswered when they keep coming. Those that have sent no whole
   * request (or done no TLS handshake) yet give way, the oldest first, when their place is needed.
   */
  maxConnections: {
    default: 0,
    min: 1,
    max: 2 ** 31,
    zero: 'as many as descriptors allow',
    unit: 'connections',
  },
  /**
   * Connections at a time from one address, from the moment they are accepted to their end; IPv6 addresses count by /64.
   * More are answered 429, four at a time, and the rest is cut off unanswered. Unix sockets have no address. With
   * `proxyProtocol` the address of the client that the proxy speaks for counts.
   */
  maxConnectionsPerAddress: { default: 0, min: 1, max: 2 ** 31, zero: 'no limit', unit: 'connections' },
  /** Connections the kernel holds until they are accepted; it cuts this to net.core.somaxconn. */
  backlog: { default: 4096, min: 1, max: 65_535, unit: 'connections' },
  /**
   * Time a thread of the server may take to start, a shard's with its app module (serve only), and as long again until a
   * shard's event loop turns. One that takes longer is ended: `serve()` and `reload()` reject then, and a shard that is
   * started anew counts as crashed.
   */
  loadTimeout: { default: 60, min: 1, max: 86_400, zero: 'no limit', unit: 'seconds' },
  /**
   * The heap of each shard (serve only): what Node.js calls its old generation. With more V8 ends the thread, and may end
   * the whole process. Node.js' flag `--max-old-space-size`, which is for all threads, counts in its place where it is given.
   */
  maxHeapSize: { default: 0, min: 16, max: 1024 * 1024, zero: "Node.js' own limit", unit: 'MiB' },
  /**
   * How full a full garbage collection may leave a shard's heap (serve only). A shard whose heap is fuller is replaced, as
   * `reload()` does; see `onHeapFull`.
   */
  heapWatermark: { default: 80, min: 10, max: 95, zero: 'never', unit: '% of the heap limit' },
  /** The ring of each ordered pair of threads (serve only); rounded up to a power of two. */
  ringSize: { default: 256 * 1024, min: 4096, max: 2 ** 29, unit: 'bytes' },
  /** Publishes that wait for a shard whose ring is full, for each pair (serve only); more are dropped for it. */
  maxOverflow: { default: 16 * 1024 * 1024, min: 1024, max: 2 ** 32, unit: 'bytes' },
  /** Topics that have subscribers in one shard, or in an App. `subscribe` to one more returns false. */
  maxTopics: { default: 1024 * 1024, min: 1, max: 2 ** 24, unit: 'topics' },
  /**
   * A topic's name in UTF-8. `subscribe` to a longer one returns false. With a `ringSize` of 16 KiB or less names are at most a
   * quarter of it, less 40 bytes.
   */
  maxTopicLength: { default: 4096, min: 1, max: 65_535, unit: 'bytes' },
} as const satisfies Record<string, Limit>;

export type ServerLimits = Record<keyof typeof SERVER_LIMITS, number>;

/**
 * Checks one numeric option against its row in a table. A number may be given as text; null is "not given", and false is
 * 0 where 0 is allowed. A fraction is cut.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes
 */
export function checkLimit(where: string, name: string, value: unknown, limit: Limit): number {
  const given = readInteger(value);
  if (given === undefined) return limit.default;
  if (given >= limit.min && given <= limit.max) return given;
  if (given > limit.max && limit.isClamped === true) return limit.max;
  // Half a second is not "never".
  const isZero = value === false || (given === 0 && readNumber(value) === 0);
  if (isZero && limit.zero !== undefined) return 0;
  const zero = limit.zero === undefined ? '' : `, or 0 for ${limit.zero}`;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: '${name}' must be an integer from ${limit.min} to ${limit.max} (${limit.unit})${zero}; got ${described(value)}`,
  );
}

/** uWebSockets.js takes the size of a request head from the environment. */
function headSizeOfEnvironment(limit: Limit): number {
  const value = process.env['UWS_HTTP_MAX_HEADERS_SIZE'];
  if (value === undefined || value === '') return limit.default;
  return checkLimit('the environment', 'UWS_HTTP_MAX_HEADERS_SIZE', value, limit);
}

/**
 * Checks an option that is true or false; 1 and 0 are the same, and null is "not given".
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option
 */
export function checkFlag(where: string, name: string, value: unknown, fallback = false): boolean {
  const flag = readFlag(value);
  if (flag !== null) return flag ?? fallback;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: '${name}' must be true or false, or 1 or 0; got ${described(value)}`,
  );
}

/** Checks the limits among the options and fills in the defaults. */
export function checkServerLimits(where: string, options: object): ServerLimits {
  const given = options as Record<string, unknown>;
  const entries = Object.entries(SERVER_LIMITS).map(([name, limit]) => [
    name,
    name === 'maxHeadSize' && (given[name] ?? undefined) === undefined
      ? headSizeOfEnvironment(limit)
      : checkLimit(where, name, given[name], limit),
  ]);
  return Object.fromEntries(entries) as ServerLimits;
}

/**
 * The port to listen on.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION when it is none
 */
export function checkPort(where: string, port: unknown): number {
  const given = readInteger(port);
  if (given !== undefined && given >= 0 && given <= 65_535) return given;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: 'port' must be an integer from 0 to 65535 (0: any free port); got ${described(port)}`,
  );
}
