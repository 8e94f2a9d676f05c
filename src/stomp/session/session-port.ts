import type { StompFault, StompHeaders } from '../codec/frame.ts';
import type { FrameLimits } from '../codec/frame-parser.ts';
import type { HeartBeat } from '../codec/negotiation.ts';
import type { Delivery, Subscription } from './subscriptions.ts';
import type { TransactionLimits } from './transactions.ts';

/** What a session is made with. */
export interface SessionOptions {
  /** Unique among all sessions of all threads; the client gets it with CONNECTED. */
  readonly id: string;
  /** `server` of CONNECTED. */
  readonly server: string;
  /** The subprotocol of the WebSocket; '' without one. */
  readonly protocol: string;
  readonly heartBeat: HeartBeat;
  /** Silence that ends a session is so many times the interval agreed on: clocks and networks are late. */
  readonly heartBeatTolerance: number;
  /** Ms for CONNECT to come, and to be let in. */
  readonly connectTimeout: number;
  /** Limits of frames once it is connected. */
  readonly frames: FrameLimits;
  /** Bytes of CONNECT, the only frame that comes from somebody nobody knows. */
  readonly maxConnectLength: number;
  /** Bytes that wait while frames before them are decided about or done; at least as many as come at once. */
  readonly maxHeldBytes: number;
  /** Frames whose effects are not done: while there are so many, no other is read. */
  readonly maxPendingEffects: number;
  readonly maxSubscriptions: number;
  /** Messages that a subscription may have unacknowledged if it does not say (`prefetch-count`), and if it does. */
  readonly window: number;
  readonly maxWindow: number;
  readonly transactions: TransactionLimits;
}

/** The connection under a session. */
export interface SessionPort {
  write(bytes: Uint8Array): void;
  /** Stops and goes on reading. */
  pause(): void;
  resume(): void;
  /**
   * Nothing is written any more. `isGraceful`: the client said DISCONNECT and closes itself, so it gets a while for it.
   * Otherwise the connection is closed when all is sent.
   *
   * @param fault why the client got an ERROR; null: because of something that was not its fault, or it got none
   */
  finish(isGraceful: boolean, fault: StompFault | null): void;
}

/** What a client says of itself in CONNECT. */
export interface ConnectRequest {
  readonly login: string | undefined;
  readonly passcode: string | undefined;
  /** The virtual host. */
  readonly host: string | undefined;
  readonly headers: StompHeaders;
}

export interface SendRequest {
  readonly destination: string;
  readonly headers: StompHeaders;
  /** The session keeps no reference to it, but it may lie in memory that is used again when the handler has returned. */
  readonly body: Uint8Array;
}

/** Now, or later. Anything with a `then` is taken for a promise. */
export type Awaitable<T> = T | Promise<T>;

/**
 * What a session does with what its client wants. A promise is waited for where it must be: nothing that came behind a frame
 * is looked at before `connect` and `authorize` have decided; an effect is waited for by its RECEIPT, and by DISCONNECT. A
 * rejection costs the session: the client gets an ERROR with what a StompError says, and with nothing else.
 */
export interface SessionHandler<Token> {
  /** Lets a client in. Rejects with a StompError, or returns false, to refuse it. */
  connect(request: ConnectRequest): Awaitable<boolean>;
  authorize(action: 'send' | 'subscribe', destination: string): Awaitable<boolean>;
  send(request: SendRequest): Awaitable<void>;
  subscribe(subscription: Subscription<Token>, headers: StompHeaders): Awaitable<void>;
  /** @param left what was not acknowledged, oldest first */
  unsubscribe(
    subscription: Subscription<Token>,
    left: readonly Delivery<Token>[],
    headers: StompHeaders,
  ): Awaitable<void>;
  /** ACK or NACK, oldest first. `headers` are those of the frame. */
  settle(deliveries: readonly Delivery<Token>[], isAccepted: boolean, headers: StompHeaders): Awaitable<void>;
  /** Called once, when the session is over in any way. It still has the subscriptions that were not ended. */
  ended(): void;
  /** The client is told by an ERROR that its session is over; null: it was not its fault. */
  refused?(fault: StompFault | null): void;
  /** What was not the client's fault: a handler rejected with something else than a StompError. */
  failed(error: unknown): void;
}
