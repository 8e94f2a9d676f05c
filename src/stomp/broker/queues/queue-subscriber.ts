import { escaped, escapesOf } from '../../codec/escapes.ts';
import type { StompError } from '../../codec/frame.ts';
import type { StompTextPort } from '../../codec/text-port.ts';
import { AckMode } from '../../session/subscriptions.ts';
import type { BrokerSession, BrokerSubscription } from '../destination-kind.ts';
import { messageOf } from '../message-payload.ts';
import type { Held, Subscriber } from './batch.ts';
import type { Outbox } from './outbox.ts';

/** Bytes that may wait for a client's connection before it is given more. */
const HIGH_WATER = 64 * 1024;
const NO_PAYLOAD = new Uint8Array(0);

/** A message that a client has, or is going to be sent. */
export type HeldMessage = Held;

/** Who keeps subscribers. */
export interface SubscriberKeeper {
  wait(subscriber: QueueSubscriber): void;
  sent(subscriber: QueueSubscriber, held: Held): void;
  forget(subscriber: QueueSubscriber): void;
}

/** QueueSubscriber: a client's subscription to a queue, in the client's thread. */
export class QueueSubscriber implements Subscriber {
  readonly number: number;
  readonly key: string;
  readonly session: BrokerSession;
  readonly subscription: BrokerSubscription;
  readonly outbox: Outbox;
  readonly #keeper: SubscriberKeeper;
  readonly #text: StompTextPort;
  readonly #isAuto: boolean;
  /** The `destination` of its messages, as its client reads it. */
  readonly #line: string;
  /** Messages that wait for the connection. */
  #waiting: Held[] = [];

  constructor(
    keeper: SubscriberKeeper,
    text: StompTextPort,
    number: number,
    key: string,
    session: BrokerSession,
    subscription: BrokerSubscription,
    outbox: Outbox,
  ) {
    this.#keeper = keeper;
    this.#text = text;
    this.number = number;
    this.key = key;
    this.session = session;
    this.subscription = subscription;
    this.outbox = outbox;
    this.#isAuto = subscription.ack === AckMode.AUTO;
    this.#line = `\ndestination:${escaped(subscription.destination, escapesOf(session.version))}`;
  }

  get window(): number {
    return this.subscription.window;
  }

  *held(): Iterable<Held> {
    for (const { token } of this.subscription.unacknowledged.values()) yield token as HeldMessage;
    yield* this.#waiting;
  }

  fail(error: StompError): void {
    this.#keeper.forget(this);
    this.session.refuse(error);
  }

  /** The owner gives it a message. */
  take(held: Held): void {
    if (this.#waiting.length > 0 || this.session.bufferedAmount > HIGH_WATER) {
      this.#waiting.push(held);
      this.#keeper.wait(this);
    } else {
      this.#deliver(held);
    }
  }

  /** Sends what waits, as far as the connection keeps up. Returns whether nothing waits any more. */
  deliverWaiting(): boolean {
    // A delivery may end it, and give back what waits.
    while (this.#waiting.length > 0 && this.session.bufferedAmount <= HIGH_WATER)
      this.#deliver(this.#waiting.shift()!);
    return this.#waiting.length === 0;
  }

  /** Takes no more. Returns what its client was not sent. */
  end(): Held[] {
    const unused = this.#waiting;
    this.#waiting = [];
    return unused;
  }

  #deliver(held: Held): void {
    const { number, deliveries, payload } = held;
    let lines = this.#line;
    if (this.#isAuto) lines += `\nmessage-id:${this.outbox.owner}-${number}`;
    if (deliveries > 1) lines += `\nredelivered:true\ndelivery-count:${deliveries}`;
    this.session.deliver(this.subscription, messageOf(this.#text, payload, lines), held);
    // What is on its way to be settled needs no payload any more.
    if (this.#isAuto) this.#keeper.sent(this, { number, deliveries, since: held.since, payload: NO_PAYLOAD });
  }
}
