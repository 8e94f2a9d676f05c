import { checkLimit, checkLimits } from './check-option.ts';
import type { Limit, LimitsOf } from './option.ts';

/** Limits of a listening App and of `serve()`. */
export const SERVER_LIMITS = {
  /**
   * Connections at a time. More are answered 503, and cut off unanswered when they keep coming. Those that have sent
   * no whole request (or done no TLS handshake) yet give way, the oldest first, when their place is needed. Default
   * 0: as many as descriptors allow (else 1 to 2,147,483,648 connections).
   */
  maxConnections: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 2 ** 31,
    zero: 'as many as descriptors allow',
    unit: 'connections',
    help: 'Connections at a time; more are answered 503.',
  },
  /**
   * Connections at a time from one address, from the moment they are accepted to their end; IPv6 addresses count by
   * /64. More are answered 429, four at a time, and the rest is cut off unanswered. Unix sockets have no address.
   * With `proxyProtocol` the address of the client that the proxy speaks for counts. Default 0: no limit (else 1 to
   * 2,147,483,648 connections).
   */
  maxConnectionsPerAddress: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 2 ** 31,
    zero: 'no limit',
    unit: 'connections',
    help: 'Connections at a time from one address (IPv6: one /64); more are answered 429, or cut off.',
  },
  /**
   * Time for a whole request head, from the connection on, or from the first byte of the head of a later request.
   * Single bytes do not renew it. Default 10 (1 to 960 seconds).
   */
  handshakeTimeout: {
    type: 'integer',
    default: 10,
    min: 1,
    max: 960,
    unit: 'seconds',
    help: 'Seconds a request head may take; then it is answered 408, or gets a FIN when nothing came.',
  },
  /**
   * Time from a response to the first byte of the next request; then the connection is ended. The default is above
   * the 60 seconds that proxies keep idle connections: one that sends a request while the server closes has to answer
   * 502. Default 65 (1 to 86,400 seconds).
   */
  keepAliveTimeout: {
    type: 'integer',
    default: 65,
    min: 1,
    max: 86_400,
    unit: 'seconds',
    help: 'Seconds a connection may wait for the next request; then it gets a FIN.',
  },
  /**
   * Time in which the next 16 KiB of a request body, or its end, must arrive; else it is answered 408. Default 10 (1
   * to 960 seconds).
   */
  bodyTimeout: {
    type: 'integer',
    default: 10,
    min: 1,
    max: 960,
    unit: 'seconds',
    help: 'Seconds in which the next 16 KiB of a request body must arrive; else it is answered 408.',
  },
  /**
   * Bytes of a request body. More is answered 413. The server keeps none of them: `onData` gets them as they come.
   * Default 0: no limit (else 1 or more bytes).
   */
  maxBodySize: {
    type: 'integer',
    default: 0,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    zero: 'no limit',
    isClamped: true,
    unit: 'bytes',
    help: 'Size of a request body; more is answered 413.',
  },
  /**
   * Time in which a peer must take the next 16 KiB of a response, or all that waits for it; else the connection is
   * closed. Default 60 (1 to 86,400 seconds; 0: no limit).
   */
  writeTimeout: {
    type: 'integer',
    default: 60,
    min: 1,
    max: 86_400,
    zero: 'no limit',
    unit: 'seconds',
    help: 'Seconds in which the next 16 KiB of a response must be taken; else the connection is cut off.',
  },
  /**
   * TLS handshakes under way at a time, in each shard. More make the oldest one give way. Default 1,024 (1 to
   * 2,147,483,648 handshakes).
   */
  maxHandshakes: {
    type: 'integer',
    default: 1024,
    min: 1,
    max: 2 ** 31,
    unit: 'handshakes',
    help: 'TLS handshakes at a time in each shard; more end the oldest.',
  },
  /**
   * A request head: request line and headers. More is answered 431, or 414 when the target alone is too long. The
   * default can be set by UWS_HTTP_MAX_HEADERS_SIZE in the environment. Default 4,096 (256 to 1,048,576 bytes).
   */
  maxHeadSize: {
    type: 'integer',
    default: 4096,
    min: 256,
    max: 1024 * 1024,
    unit: 'bytes',
    help: 'Size of a request head; more is answered 431 or 414.',
  },
  /** Header lines; more is answered 431. Default 100 (1 to 10,000 headers). */
  maxHeaders: {
    type: 'integer',
    default: 100,
    min: 1,
    max: 10_000,
    unit: 'headers',
    help: 'Header lines of a request; more are answered 431.',
  },
  /**
   * Connections the kernel holds until they are accepted; it cuts this to net.core.somaxconn. Default 4,096 (1 to
   * 65,535 connections).
   */
  backlog: {
    type: 'integer',
    default: 4096,
    min: 1,
    max: 65_535,
    unit: 'connections',
    help: 'Connections the kernel holds until they are accepted.',
  },
  /**
   * Topics that have subscribers in one shard, or in an App. `subscribe` to one more returns false. Default 1,048,576
   * (1 to 16,777,216 topics).
   */
  maxTopics: {
    type: 'integer',
    default: 1024 * 1024,
    min: 1,
    max: 2 ** 24,
    unit: 'topics',
    help: 'Topics with subscribers in each shard; subscribing to more fails.',
  },
  /**
   * A topic's name in UTF-8. `subscribe` to a longer one returns false. With a `ringSize` of 16 KiB or less names are
   * at most a quarter of it, less 40 bytes. Default 4,096 (1 to 65,535 bytes).
   */
  maxTopicLength: {
    type: 'integer',
    default: 4096,
    min: 1,
    max: 65_535,
    unit: 'bytes',
    help: 'Length of a topic name; subscribing to a longer one fails.',
  },
  /**
   * The ring of each ordered pair of threads, or of Apps that are joined; rounded up to a power of two. Default
   * 262,144 (4,096 to 536,870,912 bytes).
   */
  ringSize: {
    type: 'integer',
    default: 256 * 1024,
    min: 4096,
    max: 2 ** 29,
    unit: 'bytes',
    help: 'Size of the ring from each thread to each other one.',
  },
  /**
   * Publishes that wait for a thread whose ring is full, for each pair; more are dropped for it. Default 16,777,216
   * (1,024 to 4,294,967,296 bytes).
   */
  maxOverflow: {
    type: 'integer',
    default: 16 * 1024 * 1024,
    min: 1024,
    max: 2 ** 32,
    unit: 'bytes',
    help: 'Publishes that may wait for a shard whose ring is full; more are dropped for it.',
  },
} as const satisfies Readonly<Record<string, Limit>>;

/** Limits of the threads that `serve()` starts. */
export const THREAD_LIMITS = {
  /**
   * Time a thread of the server may take to start, a shard's with its app module, and as long again until a shard's
   * event loop turns. One that takes longer is ended: `serve()` and `reload()` reject then, and a shard that is
   * started anew counts as crashed. Default 60 (1 to 86,400 seconds; 0: no limit).
   */
  loadTimeout: {
    type: 'integer',
    default: 60,
    min: 1,
    max: 86_400,
    zero: 'no limit',
    unit: 'seconds',
    help: 'Seconds the app module may take to load in each thread.',
  },
  /**
   * The heap of each shard: what Node.js calls its old generation. With more V8 ends the thread, and may end the
   * whole process. Default 0: Node.js' own limit (else 16 to 1,048,576 MiB).
   */
  maxHeapSize: {
    type: 'integer',
    default: 0,
    min: 16,
    max: 1024 * 1024,
    zero: "Node.js' own limit",
    unit: 'MiB',
    help: 'Heap of each shard.',
  },
  /**
   * How full a full garbage collection may leave a shard's heap. A shard whose heap is fuller is replaced, as
   * `reload()` does; see `onHeapFull`. Default 80 (10 to 95 % of the heap limit; 0: never).
   */
  heapWatermark: {
    type: 'integer',
    default: 80,
    min: 10,
    max: 95,
    zero: 'never',
    unit: '% of the heap limit',
    help: 'A shard is replaced when a garbage collection leaves its heap fuller.',
  },
} as const satisfies Readonly<Record<string, Limit>>;

/** All limits of `serve()`. Each is a flag of `millrace serve`. */
export const SERVE_LIMITS = { ...SERVER_LIMITS, ...THREAD_LIMITS } as const;

/** The limits in force in an App. */
export type ServerLimits = LimitsOf<typeof SERVER_LIMITS>;

/** The limits in force in all threads of a server. */
export type ServeLimits = ServerLimits & LimitsOf<typeof THREAD_LIMITS>;

/** Checks the limits of an App, and fills in the defaults. */
export function checkServerLimits(where: string, options: Partial<ServerLimits>): ServerLimits {
  return { ...checkLimits(where, options, SERVER_LIMITS), maxHeadSize: headSize(where, options) };
}

/** The same for all limits of `serve()`. */
export function checkServeLimits(where: string, options: Partial<ServeLimits>): ServeLimits {
  return { ...checkServerLimits(where, options), ...checkLimits(where, options, THREAD_LIMITS) };
}

/** Bytes of each ring: a power of two. */
export function ringCapacity({ ringSize }: Pick<ServerLimits, 'ringSize'>): number {
  return 2 ** Math.ceil(Math.log2(ringSize));
}

/** uWebSockets.js takes the size of a request head from the environment. */
function headSize(where: string, { maxHeadSize }: Partial<ServerLimits>): number {
  const limit = SERVER_LIMITS.maxHeadSize;
  const isGiven = maxHeadSize !== undefined && (maxHeadSize as unknown) !== null;
  const inEnvironment = process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ?? '';
  return isGiven || inEnvironment === ''
    ? checkLimit(where, 'maxHeadSize', maxHeadSize, limit)
    : checkLimit('the environment', 'UWS_HTTP_MAX_HEADERS_SIZE', inEnvironment, limit);
}
