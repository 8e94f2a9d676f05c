import type { QueuedMessage } from './queued-message.ts';

const FIRST_CAPACITY = 16;

/**
 * ReadyList: messages that wait for a consumer, in the order of their numbers. Those that nobody has had yet come with
 * growing numbers, and lie in a ring. Those that came back were given away in that order, so all of them are older, and lie in a
 * heap of their own.
 */
export class ReadyList {
  #ring: (QueuedMessage | null)[] = new Array<QueuedMessage | null>(FIRST_CAPACITY).fill(null);
  #head = 0;
  #count = 0;
  readonly #returned: QueuedMessage[] = [];

  get size(): number {
    return this.#count + this.#returned.length;
  }

  /** Appends one that nobody has had: its number is above all. */
  push(message: QueuedMessage): void {
    if (this.#count === this.#ring.length) this.#resize(2 * this.#ring.length);
    this.#ring[(this.#head + this.#count) & (this.#ring.length - 1)] = message;
    this.#count++;
  }

  /** Takes one back into its place. */
  putBack(message: QueuedMessage): void {
    const heap = this.#returned;
    let at = heap.length;
    heap.push(message);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.number <= message.number) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = message;
  }

  /** The oldest; null: there is none. */
  peek(): QueuedMessage | null {
    if (this.#returned.length > 0) return this.#returned[0]!;
    return this.#count === 0 ? null : this.#ring[this.#head]!;
  }

  /** Takes the oldest; null: there is none. */
  shift(): QueuedMessage | null {
    if (this.#returned.length > 0) return this.#shiftReturned();
    if (this.#count === 0) return null;
    const message = this.#ring[this.#head]!;
    this.#ring[this.#head] = null;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#count--;
    // What one flood has taken is given back when it is over.
    if (this.#count * 8 < this.#ring.length && this.#ring.length > FIRST_CAPACITY)
      this.#resize(this.#ring.length / 2);
    return message;
  }

  /** All, oldest first. */
  *all(): Iterable<QueuedMessage> {
    yield* this.#returned.toSorted((a, b) => a.number - b.number);
    for (let i = 0; i < this.#count; i++) yield this.#ring[(this.#head + i) & (this.#ring.length - 1)]!;
  }

  #shiftReturned(): QueuedMessage {
    const heap = this.#returned;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.number < heap[child]!.number) child++;
      if (last.number <= heap[child]!.number) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  #resize(capacity: number): void {
    const ring = new Array<QueuedMessage | null>(capacity).fill(null);
    for (let i = 0; i < this.#count; i++) ring[i] = this.#ring[(this.#head + i) & (this.#ring.length - 1)]!;
    this.#ring = ring;
    this.#head = 0;
  }
}
