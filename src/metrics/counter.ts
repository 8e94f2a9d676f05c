/**
 * The counters a shard keeps, as indices into its Float64Array in the control block. Each has one writer, the
 * thread it belongs to; readers in other threads see it at most a moment late.
 */
export const Counter = {
  /** Sockets taken over or accepted since the start. */
  SOCKETS: 0,
  /** Sockets of these that are closed. */
  SOCKETS_CLOSED: 1,
  /** WebSockets opened since the start. */
  OPENED: 2,
  /** WebSockets closed since the start. */
  CLOSED: 3,
  MESSAGES_IN: 4,
  BYTES_IN: 5,
  MESSAGES_OUT: 6,
  BYTES_OUT: 7,
  /** Messages not sent because of `maxBackpressure`. */
  DROPPED: 8,
  /** Writes the kernel did not take whole. */
  BLOCKED_WRITES: 9,
  /** Connections failed because the peer broke a rule. */
  PROTOCOL_ERRORS: 10,
  /** Connections closed because of `idleTimeout` or another deadline. */
  TIMEOUTS: 11,
  /** Handlers that threw or rejected. */
  HANDLER_ERRORS: 12,
  /** HTTP requests, upgrades included. */
  REQUESTS: 13,
  /** Handshakes refused with an error status. */
  REFUSED: 14,
  PUBLISHED: 15,
  /** Publishes written to a subscriber. */
  DELIVERED: 16,
  /** Connections that came through the handoff channel. */
  ADOPTED: 17,
  /** Handoffs that failed and were tried on another shard or given up. */
  HANDOFF_FAILED: 18,
  /** Connections closed at once because a connection limit was reached. */
  OVER_LIMIT: 19,
  /** Errors that `accept` returned, out of descriptors among them. */
  ACCEPT_ERRORS: 20,
  /** Times that a connection had more to be read or handled than its share of a turn of the event loop. */
  YIELDS: 21,
  /** Subscriptions refused because a limit was reached. */
  SUBSCRIPTIONS_REFUSED: 22,
  /** Connections closed before their first request was whole, because their place was needed. */
  EVICTED: 24,
  /** Connections cut off at once because few descriptors were left. */
  CUT_SHORT: 25,
  /** TLS handshakes that were done. */
  TLS_HANDSHAKES: 30,
  /** Those of them that resumed a session. */
  TLS_RESUMED: 31,
  /** TLS handshakes that failed, timed out or gave way. */
  TLS_FAILED: 32,
  /** TLS handshakes that gave way because too many were under way. */
  TLS_EVICTED: 33,
  /** Messages compressed, their bytes before and after, and the time it took in ms. */
  DEFLATED: 40,
  DEFLATE_BYTES_IN: 41,
  DEFLATE_BYTES_OUT: 42,
  DEFLATE_TIME: 43,
  /** Bytes of compressed messages as they came and decompressed, and the time it took in ms. */
  INFLATE_BYTES_IN: 44,
  INFLATE_BYTES_OUT: 45,
  INFLATE_TIME: 46,
  /** Times the shard was replaced because its heap was full; written by the main thread, between two lives. */
  RECYCLED: 50,
  /** Bytes of the heap in use when it was last looked at, and their limit. */
  HEAP_USED: 51,
  HEAP_LIMIT: 52,
} as const;

export type Counter = (typeof Counter)[keyof typeof Counter];
