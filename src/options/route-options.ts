import type { Limit, Option } from './option.ts';

/** Limits of a WebSocket route. */
export const ROUTE_LIMITS = {
  /**
   * Bytes a message may have, all its fragments together. A longer one closes the connection with 1009. Default
   * 16,384 (1 to 4,294,967,296 bytes, which more means, too).
   */
  maxPayloadLength: {
    type: 'integer',
    default: 16 * 1024,
    min: 1,
    max: 2 ** 32,
    isClamped: true,
    unit: 'bytes',
    help: 'Length of a message, all its fragments together; a longer one closes with 1009.',
  },
  /**
   * Seconds without a byte from the peer until the connection is closed. A message that is not complete counts as
   * silence unless 16 KiB of it arrive in that time, and so do bytes that wait for a peer unless it takes 16 KiB of
   * them, or all. Default 120 (8 to 960 seconds; 0: never).
   */
  idleTimeout: {
    type: 'integer',
    default: 120,
    min: 8,
    max: 960,
    zero: 'never',
    unit: 'seconds',
    help: 'Silence of a peer, or no headway of what it sends or takes, until the connection is closed.',
  },
  /**
   * Bytes that may wait for a peer that does not read; beyond, messages are dropped (see `dropped`). A message is
   * judged before it is queued, so one may overshoot. Default 65,536 (1 to 1,099,511,627,776 bytes, which more means,
   * too; 0: no limit).
   */
  maxBackpressure: {
    type: 'integer',
    default: 64 * 1024,
    min: 1,
    max: 2 ** 40,
    zero: 'no limit',
    isClamped: true,
    unit: 'bytes',
    help: 'Bytes that may wait for a peer that does not read; beyond, messages are dropped for it.',
  },
  /**
   * Minutes a connection may live; it is then closed with 1000. Default 0: no limit (else 1 to 240 minutes).
   */
  maxLifetime: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 240,
    zero: 'no limit',
    unit: 'minutes',
    help: 'Life of a connection; it is then closed with 1000.',
  },
  /**
   * Bytes below which messages are sent as they are. 0: all but empty ones are compressed. Default 64 (1 to
   * 4,294,967,296 bytes, which more means, too; 0: every message).
   */
  compressionThreshold: {
    type: 'integer',
    default: 64,
    min: 1,
    max: 2 ** 32,
    zero: 'every message',
    isClamped: true,
    unit: 'bytes',
    help: 'Messages below it are not compressed.',
  },
  /**
   * Topics a connection may be subscribed to; `subscribe` to one more returns false. Default 16,384 (1 to 16,777,216
   * topics).
   */
  maxSubscriptions: {
    type: 'integer',
    default: 16_384,
    min: 1,
    max: 2 ** 24,
    unit: 'topics',
    help: 'Topics a connection may be subscribed to; subscribing to more fails.',
  },
  /** Frames a message may have; more closes with 1008. Default 131,072 (1 to 2,147,483,648 frames). */
  maxFragments: {
    type: 'integer',
    default: 131_072,
    min: 1,
    max: 2 ** 31,
    unit: 'frames',
    help: 'Frames of a message; more closes with 1008.',
  },
  /** Pings a peer may send in a second; more closes with 1008. Default 100 (1 to 2,147,483,648 pings). */
  maxPingsPerSecond: {
    type: 'integer',
    default: 100,
    min: 1,
    max: 2 ** 31,
    unit: 'pings',
    help: 'Pings of a peer in a second; more closes with 1008.',
  },
  /** Seconds the peer has to answer a Close frame and end the connection. Default 5 (1 to 960 seconds). */
  closeTimeout: {
    type: 'integer',
    default: 5,
    min: 1,
    max: 960,
    unit: 'seconds',
    help: 'Time of the peer to answer a Close frame and end the connection.',
  },
} as const satisfies Readonly<Record<string, Limit>>;

/** Options of a WebSocket route that are true or false. */
export const ROUTE_FLAGS = {
  closeOnBackpressureLimit: {
    type: 'flag',
    default: false,
    help: 'End the connection with the first message that is dropped at `maxBackpressure`.',
  },
  sendPingsAutomatically: {
    type: 'flag',
    default: true,
    help: 'Ping a silent peer shortly before `idleTimeout` is over.',
  },
} as const satisfies Readonly<Record<string, Option>>;

/** Options of a WebSocket route that are checked by rules of their own. */
export const ROUTE_OPTIONS = {
  compression: {
    type: 'value',
    default: '`DISABLED`',
    help: 'permessage-deflate (RFC 7692): a compressor and a decompressor of the exported constants.',
  },
  origins: {
    type: 'value',
    default: "`'*'`",
    help: "Pages that may connect: `'*'`, `'same-origin'` or a list.",
  },
  protocols: {
    type: 'value',
    default: 'whatever is offered first',
    help: 'Subprotocols the route speaks, in any order.',
  },
} as const satisfies Readonly<Record<string, Option>>;

const HANDLER = { type: 'callback', default: '' } as const;

/** Handlers of a WebSocket route. */
export const ROUTE_HANDLERS = {
  upgrade: { ...HANDLER, help: 'Decides on a handshake.' },
  open: { ...HANDLER, help: 'A connection is open.' },
  message: { ...HANDLER, help: "A message. The ArrayBuffer is the handler's own." },
  messageView: { ...HANDLER, help: 'A message without a copy, valid during the call only.' },
  dropped: { ...HANDLER, help: 'An outgoing message was dropped because of `maxBackpressure`.' },
  drain: { ...HANDLER, help: 'There is less backpressure than before.' },
  close: { ...HANDLER, help: 'The connection is over: called once for each `open`.' },
  ping: { ...HANDLER, help: 'A ping, already answered.' },
  pong: { ...HANDLER, help: 'A pong.' },
  subscription: { ...HANDLER, help: 'The socket was subscribed to or unsubscribed from a topic.' },
  onError: {
    ...HANDLER,
    default: 'the error is printed to standard error',
    help: 'A handler threw or rejected.',
  },
} as const satisfies Readonly<Record<string, Option>>;
