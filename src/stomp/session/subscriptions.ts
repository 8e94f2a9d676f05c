import { StompError, StompFault } from '../codec/frame.ts';
import { emptyMap, ownMap } from './lazy-map.ts';

/** When a message counts as taken (STOMP 1.2, "SUBSCRIBE ack Header"). */
export const AckMode = {
  /** When it was sent. */
  AUTO: 'auto',
  /** When it, or a later one of the subscription, is acknowledged. */
  CLIENT: 'client',
  /** When it is acknowledged itself. */
  CLIENT_INDIVIDUAL: 'client-individual',
} as const;
export type AckMode = (typeof AckMode)[keyof typeof AckMode];

/** A message that was sent to a client and is not acknowledged yet. `token` is the broker's. */
export interface Delivery<Token> {
  readonly subscription: Subscription<Token>;
  readonly number: number;
  readonly token: Token;
}

/** A subscription of a session. */
export class Subscription<Token> {
  /** As the client named it; undefined: STOMP 1.0, which may do without. */
  readonly id: string | undefined;
  readonly destination: string;
  readonly ack: AckMode;
  /** Messages that may be on their way without an acknowledgement (`prefetch-count`). */
  readonly window: number;
  /** Those that are, oldest first. */
  unacknowledged: Map<number, Delivery<Token>> = emptyMap();
  isEnded = false;

  constructor(id: string | undefined, destination: string, ack: AckMode, window: number) {
    this.id = id;
    this.destination = destination;
    this.ack = ack;
    this.window = window;
  }
}

/**
 * Subscriptions: those of a session, and the messages that it was sent and has not acknowledged. Deliveries are numbered by
 * session, so a number that is not below the next one, or not of this session, was never sent here.
 */
export class Subscriptions<Token> {
  readonly #prefix: string;
  readonly #max: number;
  /** By id; those without one by destination, which no id is mistaken for. */
  #byId: Map<string, Subscription<Token>> = emptyMap();
  #byDestination: Map<string, Subscription<Token>> = emptyMap();
  #deliveries: Map<number, Delivery<Token>> = emptyMap();
  #next = 1;

  /** @param session its id, which begins the ids of its deliveries */
  constructor(session: string, max: number) {
    this.#prefix = `${session}-`;
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size + this.#byDestination.size;
  }

  /** Messages that are not acknowledged yet. */
  get unacknowledged(): number {
    return this.#deliveries.size;
  }

  *all(): Iterable<Subscription<Token>> {
    yield* this.#byId.values();
    yield* this.#byDestination.values();
  }

  find(id: string | undefined, destination: string | undefined): Subscription<Token> | undefined {
    if (id !== undefined) return this.#byId.get(id);
    return destination === undefined ? undefined : this.#byDestination.get(destination);
  }

  /** @throws StompError the id is taken, or there are too many */
  add(subscription: Subscription<Token>): void {
    const { id, destination } = subscription;
    const [map, key] = id === undefined ? [this.#byDestination, destination] : [this.#byId, id];
    if (map.has(key))
      throw new StompError(StompFault.PROTOCOL, 'a subscription with this id is there already');
    if (this.size >= this.#max)
      throw new StompError(StompFault.LIMIT, `more than ${this.#max} subscriptions`);
    const own = ownMap(map);
    own.set(key, subscription);
    if (id === undefined) this.#byDestination = own;
    else this.#byId = own;
  }

  /** Ends one. Returns what it had not acknowledged, oldest first. */
  remove(subscription: Subscription<Token>): Delivery<Token>[] {
    const { id, destination } = subscription;
    if (id === undefined) this.#byDestination.delete(destination);
    else this.#byId.delete(id);
    subscription.isEnded = true;
    const left = [...subscription.unacknowledged.values()];
    for (const { number } of left) this.#deliveries.delete(number);
    subscription.unacknowledged.clear();
    return left;
  }

  /** A message is sent, and wants to be acknowledged. Returns the id to name it by. */
  deliver(subscription: Subscription<Token>, token: Token): string {
    const delivery: Delivery<Token> = { subscription, number: this.#next++, token };
    subscription.unacknowledged = ownMap(subscription.unacknowledged);
    subscription.unacknowledged.set(delivery.number, delivery);
    this.#deliveries = ownMap(this.#deliveries);
    this.#deliveries.set(delivery.number, delivery);
    return this.#prefix + delivery.number;
  }

  /**
   * Looks whether an ACK or NACK may name a delivery, now or in a transaction.
   *
   * @param subscription the id of the subscription that it names, too; undefined: none
   * @throws StompError it was never sent to this session, or by another subscription
   */
  check(deliveryId: string, subscription: string | undefined): void {
    const delivery = this.#deliveries.get(this.#sent(deliveryId));
    if (subscription === undefined || delivery === undefined) return;
    if (delivery.subscription.id !== subscription) {
      throw new StompError(StompFault.PROTOCOL, 'this subscription was sent no message of this id');
    }
  }

  /**
   * What an ACK or NACK settles, oldest first: the delivery it names, and in the mode `client` all of its subscription before
   * it. Nothing when it was settled before, or its subscription has ended.
   *
   * @throws StompError it was never sent to this session
   */
  settle(deliveryId: string): Delivery<Token>[] {
    const number = this.#sent(deliveryId);
    const delivery = this.#deliveries.get(number);
    if (delivery === undefined) return [];
    const { unacknowledged, ack } = delivery.subscription;
    const settled: Delivery<Token>[] = [];
    if (ack === AckMode.CLIENT) {
      for (const earlier of unacknowledged.values()) {
        if (earlier.number > number) break;
        settled.push(earlier);
      }
    } else {
      settled.push(delivery);
    }
    for (const one of settled) {
      unacknowledged.delete(one.number);
      this.#deliveries.delete(one.number);
    }
    return settled;
  }

  #sent(deliveryId: string): number {
    const number = this.#numberOf(deliveryId);
    if (number >= 1 && number < this.#next) return number;
    throw new StompError(StompFault.PROTOCOL, 'this session was sent no message of this id');
  }

  /** 0: it is no id of this session. */
  #numberOf(id: string): number {
    const digits = id.slice(this.#prefix.length);
    if (!id.startsWith(this.#prefix) || digits.length === 0 || digits.length > 15) return 0;
    let value = 0;
    for (let i = 0; i < digits.length; i++) {
      const digit = digits.charCodeAt(i) - 0x30;
      if (digit < 0 || digit > 9) return 0;
      value = value * 10 + digit;
    }
    return value;
  }
}
