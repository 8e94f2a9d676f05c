/**
 * Counters of every ordered pair of threads, in shared memory: what `stats()` shows of the rings. A counter has
 * one writer, the sending or the receiving thread; readers see it a moment late.
 */
export const PairCounter = {
  // Written by the sender.
  /** Messages written into the ring. */
  WRITTEN: 0,
  /** Messages that found no room and waited. */
  OVERFLOWED: 1,
  /** Bytes that wait now. */
  OVERFLOW_BYTES: 2,
  /** Messages that were given up for this receiver. */
  DROPPED: 3,
  /** Times the receiver was woken. */
  WAKES: 4,
  // Written by the receiver, two cache lines on.
  /** Messages read. */
  RECEIVED: 16,
  /** Messages that are missing in the sender's numbering. */
  LOST: 17,
  /** Times the ring was found damaged. */
  RESETS: 18,
} as const;
export type PairCounter = (typeof PairCounter)[keyof typeof PairCounter];

const SLOTS = 32;

/** The counters of one pair. */
export class PairCounters {
  readonly #values: Float64Array;

  constructor(values: Float64Array) {
    this.#values = values;
  }

  get(counter: PairCounter): number {
    return this.#values[counter]!;
  }

  set(counter: PairCounter, value: number): void {
    this.#values[counter] = value;
  }

  add(counter: PairCounter, by: number): void {
    this.#values[counter]! += by;
  }
}

export class PairTable {
  readonly #memory: SharedArrayBuffer;
  readonly #receivers: number;

  static create(senders: number, receivers: number): SharedArrayBuffer {
    return new SharedArrayBuffer(senders * receivers * SLOTS * 8);
  }

  constructor(memory: SharedArrayBuffer, senders: number, receivers: number) {
    if (memory.byteLength !== senders * receivers * SLOTS * 8) {
      throw new RangeError(
        `A pair table of ${senders} × ${receivers} does not have ${memory.byteLength} bytes`,
      );
    }
    this.#memory = memory;
    this.#receivers = receivers;
  }

  counters(from: number, to: number): PairCounters {
    const index = from * this.#receivers + to;
    return new PairCounters(new Float64Array(this.#memory, index * SLOTS * 8, SLOTS));
  }
}
