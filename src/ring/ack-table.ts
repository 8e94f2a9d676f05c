/**
 * How many of the sockets that were sent to each thread it has taken, in shared memory: what was not taken when a
 * thread dies can be sent to another. A word has one writer, the thread it belongs to.
 */
import { LINE_PAIR } from './layout.ts';

const STRIDE = LINE_PAIR >> 2;

export class AckTable {
  readonly #words: Int32Array;

  static create(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(threads * LINE_PAIR);
  }

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  /** One more. Sequentially consistent, so that the ring of a doorbell behind it is not lost (see doorbell.ts). */
  add(thread: number): void {
    Atomics.add(this.#words, thread * STRIDE, 1);
  }

  /** The count, in 32 bits. */
  get(thread: number): number {
    return Atomics.load(this.#words, thread * STRIDE);
  }

  /** Another thread is to have the number. */
  clear(thread: number): void {
    Atomics.store(this.#words, thread * STRIDE, 0);
  }
}
