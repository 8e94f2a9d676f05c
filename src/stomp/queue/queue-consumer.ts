import type { QueuedMessage } from './queued-message.ts';

/** Who takes messages of a queue. */
export class QueueConsumer {
  /** Messages that it may have at a time, 1 or more. */
  readonly window: number;
  /** Those that it has, by number, in the order in which it got them. */
  readonly taken = new Map<number, QueuedMessage>();
  /** @internal of Rotation: who comes next; null: it is not among those that may get one. */
  next: QueueConsumer | null = null;
  /** @internal of Rotation */
  previous: QueueConsumer | null = null;

  constructor(window: number) {
    this.window = window;
  }

  get hasRoom(): boolean {
    return this.taken.size < this.window;
  }
}

/** Rotation: the consumers of a queue that have room, in the order in which they get messages: a circle. */
export class Rotation {
  #first: QueueConsumer | null = null;

  /** Whose turn it is; null: nobody has room. */
  get first(): QueueConsumer | null {
    return this.#first;
  }

  has(consumer: QueueConsumer): boolean {
    return consumer.next !== null;
  }

  /** Adds one behind all others. */
  add(consumer: QueueConsumer): void {
    const first = this.#first;
    if (first === null) {
      consumer.next = consumer;
      consumer.previous = consumer;
      this.#first = consumer;
      return;
    }
    const last = first.previous!;
    consumer.next = first;
    consumer.previous = last;
    last.next = consumer;
    first.previous = consumer;
  }

  /** The first one has had its turn. */
  turn(): void {
    if (this.#first !== null) this.#first = this.#first.next;
  }

  remove(consumer: QueueConsumer): void {
    const { next, previous } = consumer;
    if (next === null || previous === null) return;
    previous.next = next;
    next.previous = previous;
    if (this.#first === consumer) this.#first = next === consumer ? null : next;
    consumer.next = null;
    consumer.previous = null;
  }
}
