import type { BusSubscriber } from '../../bus/bus-subscriber.ts';
import type { StompHeaders, StompVersion } from '../codec/frame.ts';
import type { SharedMessage } from '../codec/frame-writer.ts';
import type { Awaitable, SendRequest } from '../session/session-port.ts';
import type { Delivery, Subscription } from '../session/subscriptions.ts';

/**
 * What a kind of destination wants back with the acknowledgement of a message. Each kind gives and gets its own, as a
 * subscription is of one kind for as long as it lives.
 */
export type Token = object | null;
export type BrokerSubscription = Subscription<Token>;
export type BrokerDelivery = Delivery<Token>;

/** A connected client. */
export interface ConnectedClient {
  /** Unique among the sessions of all threads. */
  readonly id: string;
  /** Who it is, as `authenticate` says, or its login; undefined: nobody asked. */
  readonly user: string | undefined;
  /** The virtual host. Names of one host mean nothing in another. */
  readonly host: string;
  readonly version: StompVersion;
  /** False when it is over: nothing can be delivered any more. */
  readonly isConnected: boolean;
  /** Tells the client what is wrong by an ERROR, and ends the session. Of an error that is no StompError it is told nothing. */
  refuse(error: unknown): void;
}

/** A connected client, as kinds of destinations know it. */
export interface BrokerSession extends ConnectedClient {
  /** Bytes that wait for its client. */
  readonly bufferedAmount: number;
  /**
   * Its WebSocket, which may be in groups of the bus: what many clients get goes there as one frame, without `deliver`. Null:
   * it has none, and each message is sent by `deliver`.
   */
  readonly subscriber: BusSubscriber | null;
  /** Its messages go in binary WebSocket messages, also those that are UTF-8. */
  readonly prefersBinary: boolean;
  /** Sends a MESSAGE. With another `ack` than auto the client acknowledges it, and `token` comes back by `settle`. */
  deliver(subscription: BrokerSubscription, message: SharedMessage, token: Token): void;
}

/**
 * DestinationKind: what the broker does for destinations of one prefix. Whatever it returns as a promise is waited for by
 * the RECEIPT of the frame. It throws or rejects with a StompError for what is the client's fault.
 */
export interface DestinationKind {
  /** Such as '/topic/'. */
  readonly prefix: string;
  /** `request.body` is valid during the call. */
  send(session: BrokerSession, request: SendRequest): Awaitable<void>;
  subscribe(session: BrokerSession, subscription: BrokerSubscription, headers: StompHeaders): Awaitable<void>;
  /** @param left what was not acknowledged, oldest first */
  unsubscribe(
    session: BrokerSession,
    subscription: BrokerSubscription,
    left: readonly BrokerDelivery[],
    headers: StompHeaders | null,
  ): Awaitable<void>;
  /** Deliveries of subscriptions of this kind, oldest first; `headers` are those of the ACK or NACK. */
  settle(
    session: BrokerSession,
    deliveries: readonly BrokerDelivery[],
    isAccepted: boolean,
    headers: StompHeaders,
  ): Awaitable<void>;
  /** A session is over, and its subscriptions have ended. */
  ended?(session: BrokerSession): void;
  /** A message of the application, which has no session: `broker.publish`. Headers are names and values in turns. */
  publish(host: string, destination: string, headers: readonly string[], body: Uint8Array): Awaitable<void>;
}
