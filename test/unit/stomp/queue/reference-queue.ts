import {
  DeadLetterReason,
  Outcome,
  OverflowPolicy,
  type QueueLimits,
} from '../../../../src/stomp/queue/queue.ts';
import { MESSAGE_OVERHEAD } from '../../../../src/stomp/queue/queued-message.ts';

export interface ReferenceMessage {
  readonly number: number;
  readonly size: number;
  readonly since: number;
  deliveries: number;
}

interface ReferenceConsumer {
  readonly window: number;
  taken: ReferenceMessage[];
}

/** A queue as one would write it who has all the time of the world: lists that are searched and sorted anew each time. */
export class ReferenceQueue {
  readonly #limits: QueueLimits;
  ready: ReferenceMessage[] = [];
  readonly consumers = new Map<number, ReferenceConsumer>();
  /** Whose turn it is, among those that have room. */
  #order: number[] = [];
  /** What happened, a line each. */
  readonly log: string[] = [];
  refused = 0;
  dropped = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get all(): ReferenceMessage[] {
    return [...this.ready, ...[...this.consumers.values()].flatMap(({ taken }) => taken)];
  }

  get bytes(): number {
    return this.all.reduce((sum, { size }) => sum + size + MESSAGE_OVERHEAD, 0);
  }

  add(number: number, size: number, now: number): boolean {
    const fits = (): boolean =>
      this.all.length < this.#limits.maxMessages &&
      this.bytes + size + MESSAGE_OVERHEAD <= this.#limits.maxBytes;
    if (!fits()) this.expire(now);
    const mayEverFit = size + MESSAGE_OVERHEAD <= this.#limits.maxBytes;
    while (!fits() && this.#limits.policy === OverflowPolicy.DROP_OLDEST && mayEverFit) {
      if (this.ready.length === 0) break;
      this.ready.shift();
      this.dropped++;
    }
    if (!fits()) {
      this.refused++;
      return false;
    }
    this.ready.push({ number, size, since: now, deliveries: 0 });
    this.dispatch(now);
    return true;
  }

  addConsumer(id: number, window: number): void {
    this.consumers.set(id, { window, taken: [] });
    this.#order.push(id);
  }

  removeConsumer(id: number): void {
    const { taken } = this.consumers.get(id)!;
    this.consumers.delete(id);
    this.#order = this.#order.filter((other) => other !== id);
    for (const message of taken) this.#comesBack(message);
  }

  settle(id: number, number: number, outcome: Outcome): void {
    const consumer = this.consumers.get(id)!;
    const message = consumer.taken.find((one) => one.number === number);
    if (message === undefined) return;
    consumer.taken = consumer.taken.filter((one) => one !== message);
    if (!this.#order.includes(id)) this.#order.push(id);
    if (outcome === Outcome.REJECTED) this.log.push(`dead ${number} ${DeadLetterReason.REJECTED}`);
    if (outcome === Outcome.RETURNED) this.#comesBack(message);
    if (outcome === Outcome.UNUSED) {
      message.deliveries--;
      this.#putBack(message);
    }
  }

  dispatch(now: number): void {
    this.expire(now);
    while (this.#order.length > 0 && this.ready.length > 0) {
      const id = this.#order.shift()!;
      const consumer = this.consumers.get(id)!;
      const message = this.ready.shift()!;
      message.deliveries++;
      consumer.taken.push(message);
      if (consumer.taken.length < consumer.window) this.#order.push(id);
      this.log.push(`to ${id}: ${message.number}, delivery ${message.deliveries}`);
    }
  }

  expire(now: number): void {
    const { maxAge } = this.#limits;
    while (maxAge > 0 && this.ready.length > 0 && now - this.ready[0]!.since > maxAge) {
      this.ready.shift();
      this.dropped++;
    }
  }

  #comesBack(message: ReferenceMessage): void {
    const { maxDeliveries } = this.#limits;
    if (maxDeliveries > 0 && message.deliveries >= maxDeliveries)
      this.log.push(`dead ${message.number} ${DeadLetterReason.DELIVERIES}`);
    else this.#putBack(message);
  }

  #putBack(message: ReferenceMessage): void {
    this.ready.push(message);
    this.ready.sort((a, b) => a.number - b.number);
  }
}
