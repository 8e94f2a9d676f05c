import type { Option } from './option.ts';

/** Limits of the STOMP sessions of a broker. */
export const STOMP_LIMITS = {
  /**
   * Bytes of a frame's body, and of a WebSocket message without its headers. More is answered with an ERROR, or with
   * the close code 1009 if it is one message. Default 65,536 (1 to 1,073,741,824 bytes).
   */
  maxPayloadLength: {
    type: 'integer',
    default: 64 * 1024,
    min: 1,
    max: 1024 * 1024 * 1024,
    unit: 'bytes',
    help: "Length of a frame's body; a longer one is answered with an ERROR.",
  },
  /** Headers of a frame. More are answered with an ERROR. Default 64 (1 to 10,000 headers). */
  maxHeaders: {
    type: 'integer',
    default: 64,
    min: 1,
    max: 10_000,
    unit: 'headers',
    help: 'Headers of a frame; more are answered with an ERROR.',
  },
  /** Bytes of a header's line. More are answered with an ERROR. Default 8,192 (64 to 1,048,576 bytes). */
  maxHeaderLength: {
    type: 'integer',
    default: 8 * 1024,
    min: 64,
    max: 1024 * 1024,
    unit: 'bytes',
    help: "Length of a header's line; a longer one is answered with an ERROR.",
  },
  /**
   * Seconds for a client to be connected: from its handshake to the end of `authenticate`. Then it gets an ERROR.
   * Default 10 (1 to 600 seconds).
   */
  connectTimeout: {
    type: 'integer',
    default: 10,
    min: 1,
    max: 600,
    unit: 'seconds',
    help: 'Time for a client to send CONNECT and to be let in; then it gets an ERROR.',
  },
  /** Subscriptions of a session. More are refused with an ERROR. Default 1,000 (1 to 1,000,000 subscriptions). */
  maxSubscriptions: {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: 'subscriptions',
    help: 'Subscriptions of a session; more are refused with an ERROR.',
  },
  /**
   * Messages that a subscription may have unacknowledged when it does not say (`prefetch-count`). Default 100 (1 to
   * 100,000 messages).
   */
  prefetch: {
    type: 'integer',
    default: 100,
    min: 1,
    max: 100_000,
    unit: 'messages',
    help: 'Messages that a subscription may have unacknowledged if it does not say (`prefetch-count`).',
  },
  /** The most that `prefetch-count` may ask for; more means this. Default 10,000 (1 to 1,000,000 messages). */
  maxPrefetch: {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: 'messages',
    help: 'The most that `prefetch-count` may ask for; more means this.',
  },
  /** Transactions that a session has open at once. More are refused with an ERROR. Default 16 (1 to 10,000 transactions). */
  maxTransactions: {
    type: 'integer',
    default: 16,
    min: 1,
    max: 10_000,
    unit: 'transactions',
    help: 'Transactions that a session has open at once; more are refused with an ERROR.',
  },
  /** Frames in all open transactions of a session. More are refused with an ERROR. Default 1,000 (1 to 1,000,000 frames). */
  maxTransactionFrames: {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: 'frames',
    help: 'Frames in all open transactions of a session; more are refused with an ERROR.',
  },
  /**
   * Bytes of these, headers and bodies. More are refused with an ERROR. Default 1,048,576 (1 to 1,073,741,824 bytes).
   */
  maxTransactionBytes: {
    type: 'integer',
    default: 1024 * 1024,
    min: 1,
    max: 1024 * 1024 * 1024,
    unit: 'bytes',
    help: 'Bytes in all open transactions of a session; more are refused with an ERROR.',
  },
  /**
   * Frames of a session that are being dealt with, as those whose handlers are async and those that wait for a queue's
   * owner. While there are so many, nothing more is read from it. Default 1,000 (1 to 1,000,000 frames).
   */
  maxPendingFrames: {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: 'frames',
    help: 'Frames of a session that are being dealt with; while there are so many it is not read.',
  },
  /**
   * Bytes that may wait for a client. One that reads slower is cut off: no message is left out in silence. Default
   * 1,048,576 (1,024 to 1,073,741,824 bytes).
   */
  maxBackpressure: {
    type: 'integer',
    default: 1024 * 1024,
    min: 1024,
    max: 1024 * 1024 * 1024,
    unit: 'bytes',
    help: 'Bytes that may wait for a client; one that reads slower is cut off.',
  },
  /**
   * Seconds without a byte from a WebSocket client until it is cut off; it is pinged before. Also the time in which a
   * client takes 16 KiB of what waits for it. Default 120 (8 to 960 seconds; 0: never).
   */
  idleTimeout: {
    type: 'integer',
    default: 120,
    min: 8,
    max: 960,
    zero: 'never',
    unit: 'seconds',
    help: 'Silence of a client that answers no ping, or reads nothing, until it is cut off.',
  },
} as const;

/** What a broker is told beside limits. */
export const STOMP_OPTIONS = {
  path: {
    type: 'text',
    default: '`/stomp`',
    help: 'Path of the WebSocket endpoint; the same with `/websocket` behind it is one, too.',
  },
  origins: {
    type: 'value',
    default: "`'*'`",
    help: "Pages that may connect: `'*'`, `'same-origin'` or a list.",
  },
  heartBeat: {
    type: 'value',
    default: '`[10000, 10000]`',
    help: 'Ms between signs of life that the broker sends, and that it wants: 0, or 1000 and more.',
  },
  hosts: {
    type: 'value',
    default: '',
    help: 'Names of virtual hosts; the first is that of clients that name none. Without: all clients are in one.',
  },
  binary: {
    type: 'flag',
    default: false,
    help: 'Send all in binary WebSocket messages, not only what is no UTF-8.',
  },
  tcp: {
    type: 'value',
    default: '',
    help: 'STOMP over plain TCP as well: `{ port: 61613, host?, tls? }`.',
  },
  authenticate: {
    type: 'callback',
    default: '',
    help: 'Lets a client in: gets `{ login, passcode, host, headers, request }`, returns true, false or `{ user }`.',
  },
  authorize: {
    type: 'callback',
    default: '',
    help: "Gets the client, 'send' or 'subscribe', and the destination; returns whether it may.",
  },
  onSend: {
    type: 'callback',
    default: '',
    help: 'Sees each SEND before its effect: returns nothing, false, or what it is to be instead.',
  },
  onError: {
    type: 'callback',
    default: '',
    help: 'Told of what handlers throw, with the client.',
  },
} as const satisfies Readonly<Record<string, Option>>;
