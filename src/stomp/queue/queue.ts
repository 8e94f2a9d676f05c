import { type QueueConsumer, Rotation } from './queue-consumer.ts';
import type { QueuedMessage } from './queued-message.ts';
import { ReadyList } from './ready-list.ts';

/** What is done with a message for which a queue has no room. */
export const OverflowPolicy = {
  /** Its sender is told. */
  REFUSE: 'refuse',
  /** The oldest ones that wait give way; where none waits it is refused. */
  DROP_OLDEST: 'drop-oldest',
} as const;
export type OverflowPolicy = (typeof OverflowPolicy)[keyof typeof OverflowPolicy];

export interface QueueLimits {
  /** Messages of a queue, those that consumers have included. */
  readonly maxMessages: number;
  /** Bytes of these, with `MESSAGE_OVERHEAD` for each. */
  readonly maxBytes: number;
  /** Ms that a message may wait; 0: no limit. */
  readonly maxAge: number;
  readonly policy: OverflowPolicy;
  /** Times that a message is delivered before it is a dead letter; 0: no limit. */
  readonly maxDeliveries: number;
}

/** How a consumer is done with a message. */
export const Outcome = {
  /** It is gone. */
  ACCEPTED: 0,
  /** It goes back to its place, unless it was delivered too often. */
  RETURNED: 1,
  /** It is a dead letter. */
  REJECTED: 2,
  /** It goes back to its place as if it had never left: its client was not sent it. */
  UNUSED: 3,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Why a message is a dead letter. */
export const DeadLetterReason = { REJECTED: 'rejected', DELIVERIES: 'deliveries' } as const;
export type DeadLetterReason = (typeof DeadLetterReason)[keyof typeof DeadLetterReason];

/** What the queues of one owner have in all. */
export class QueueTotals {
  messages = 0;
  bytes = 0;
  /** Messages of these that consumers have. */
  unacknowledged = 0;
  /** Counted since the beginning. */
  stored = 0;
  removed = 0;
  redelivered = 0;
  deadLettered = 0;
  dropped = 0;
  refused = 0;
}

/** Whom a queue tells what becomes of its messages. It must not call the queue meanwhile. */
export interface QueuePort {
  deliver(consumer: QueueConsumer, message: QueuedMessage): void;
  deadLetter(queue: Queue, message: QueuedMessage, reason: DeadLetterReason): void;
}

/**
 * Queue: messages in order, and consumers that take them in turn, each as many as its window has room for. A message that
 * comes back takes its old place. Sans-I/O: whatever happens takes constant time, but for a message that comes back (the
 * logarithm of how many others are back) and a consumer that ends (all that it has).
 */
export class Queue {
  readonly name: string;
  readonly #limits: QueueLimits;
  readonly #port: QueuePort;
  readonly #totals: QueueTotals;
  readonly #ready = new ReadyList();
  readonly #rotation = new Rotation();
  readonly #consumers = new Set<QueueConsumer>();
  #messages = 0;
  #bytes = 0;

  /** @param totals of its owner */
  constructor(name: string, limits: QueueLimits, port: QueuePort, totals: QueueTotals) {
    this.name = name;
    this.#limits = limits;
    this.#port = port;
    this.#totals = totals;
  }

  /** Messages, those that consumers have included. */
  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that wait for a consumer. */
  get ready(): number {
    return this.#ready.size;
  }

  get consumers(): ReadonlySet<QueueConsumer> {
    return this.#consumers;
  }

  /** Nobody would miss it. */
  get isIdle(): boolean {
    return this.#messages === 0 && this.#consumers.size === 0;
  }

  /** Those that wait for a consumer, oldest first. */
  waiting(): Iterable<QueuedMessage> {
    return this.#ready.all();
  }

  /** Stores a message with a number above all others. Returns whether it did. */
  add(message: QueuedMessage, now: number): boolean {
    const { cost } = message;
    if (!this.#makesRoom(cost, now)) {
      this.#totals.refused++;
      return false;
    }
    this.#count(cost);
    this.#totals.stored++;
    this.#ready.push(message);
    this.dispatch(now);
    return true;
  }

  /** Brings back a message that another queue of this name had, and that is older than all that this one has given away. */
  restore(message: QueuedMessage): void {
    this.#count(message.cost);
    this.#ready.putBack(message);
  }

  /** The same of one that a consumer has. */
  restoreTaken(consumer: QueueConsumer, message: QueuedMessage): void {
    this.#count(message.cost);
    this.#totals.unacknowledged++;
    consumer.taken.set(message.number, message);
    if (!consumer.hasRoom) this.#rotation.remove(consumer);
  }

  addConsumer(consumer: QueueConsumer): void {
    this.#consumers.add(consumer);
    if (consumer.hasRoom) this.#rotation.add(consumer);
  }

  /**
   * It ends; what it has goes back.
   *
   * @param sent numbers of what its client was sent, as far as that is known; null: all may have been
   */
  removeConsumer(consumer: QueueConsumer, sent: ReadonlySet<number> | null = null): void {
    this.#consumers.delete(consumer);
    this.#rotation.remove(consumer);
    for (const message of consumer.taken.values()) {
      const isSent = sent === null || sent.has(message.number);
      this.#settled(message, isSent ? Outcome.RETURNED : Outcome.UNUSED);
    }
    consumer.taken.clear();
  }

  /** A consumer is done with a message. Nothing happens when it does not have it any more. */
  settle(consumer: QueueConsumer, number: number, outcome: Outcome): void {
    const message = consumer.taken.get(number);
    if (message === undefined) return;
    consumer.taken.delete(number);
    if (!this.#rotation.has(consumer)) this.#rotation.add(consumer);
    this.#settled(message, outcome);
  }

  /** Drops what has waited for too long. */
  expire(now: number): void {
    if (this.#limits.maxAge === 0) return;
    for (let oldest = this.#ready.peek(); oldest !== null; oldest = this.#ready.peek()) {
      if (now - oldest.since <= this.#limits.maxAge) return;
      this.#ready.shift();
      this.#drop(oldest);
    }
  }

  #settled(message: QueuedMessage, outcome: Outcome): void {
    this.#totals.unacknowledged--;
    switch (outcome) {
      case Outcome.ACCEPTED:
        this.#remove(message);
        break;
      case Outcome.UNUSED:
        message.deliveries--;
        this.#ready.putBack(message);
        break;
      case Outcome.REJECTED:
        this.#bury(message, DeadLetterReason.REJECTED);
        break;
      case Outcome.RETURNED: {
        const { maxDeliveries } = this.#limits;
        if (maxDeliveries > 0 && message.deliveries >= maxDeliveries)
          this.#bury(message, DeadLetterReason.DELIVERIES);
        else this.#ready.putBack(message);
        break;
      }
    }
  }

  /** Gives away what can be. Whatever changes here, but for `add`, waits for it, as more may change in the same go. */
  dispatch(now: number): void {
    if (this.#ready.size === 0) return;
    if (this.#limits.maxAge > 0) this.expire(now);
    for (;;) {
      const consumer = this.#rotation.first;
      if (consumer === null) return;
      const message = this.#ready.shift();
      if (message === null) return;
      message.deliveries++;
      if (message.deliveries > 1) this.#totals.redelivered++;
      this.#totals.unacknowledged++;
      consumer.taken.set(message.number, message);
      this.#rotation.turn();
      if (!consumer.hasRoom) this.#rotation.remove(consumer);
      this.#port.deliver(consumer, message);
    }
  }

  #makesRoom(cost: number, now: number): boolean {
    if (this.#hasRoom(cost)) return true;
    const { maxBytes, policy } = this.#limits;
    this.expire(now);
    if (policy === OverflowPolicy.DROP_OLDEST && cost <= maxBytes) {
      while (!this.#hasRoom(cost)) {
        const oldest = this.#ready.shift();
        if (oldest === null) break;
        this.#drop(oldest);
      }
    }
    return this.#hasRoom(cost);
  }

  #hasRoom(cost: number): boolean {
    return this.#messages < this.#limits.maxMessages && this.#bytes + cost <= this.#limits.maxBytes;
  }

  #bury(message: QueuedMessage, reason: DeadLetterReason): void {
    this.#remove(message);
    this.#totals.deadLettered++;
    this.#port.deadLetter(this, message, reason);
  }

  #drop(message: QueuedMessage): void {
    this.#remove(message);
    this.#totals.dropped++;
  }

  #count(cost: number): void {
    this.#messages++;
    this.#bytes += cost;
    this.#totals.messages++;
    this.#totals.bytes += cost;
  }

  #remove({ cost }: QueuedMessage): void {
    this.#messages--;
    this.#bytes -= cost;
    this.#totals.messages--;
    this.#totals.bytes -= cost;
    this.#totals.removed++;
  }
}
