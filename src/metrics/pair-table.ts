import { constantName, type Slots } from './counter.ts';
import type { Storage } from './metric.ts';
import { RING_METRICS } from './table.ts';

/** Index of a metric among the slots of its pair. */
export type PairCounter = number & { readonly pairCounter: unique symbol };

/** Where the receiver's slots begin: two cache lines behind the last of the sender's, at least. */
const RECEIVER_START = 16;
const SLOTS = 32;

/**
 * Metrics of every ordered pair of threads that a ring goes between, in shared memory. Each has one writer, the sending or
 * the receiving thread; readers see it a moment late. The rows are those of `RING_METRICS`.
 */
export const PairCounter = placePairs();

function placePairs(): Slots<typeof RING_METRICS, 'counter' | 'level', PairCounter> {
  const places: Record<string, number> = {};
  let sender = 0;
  let receiver = RECEIVER_START;
  for (const [name, row] of Object.entries(RING_METRICS)) {
    const { store }: { store: Storage } = row;
    if (store !== 'counter' && store !== 'level') continue;
    places[constantName(name)] = row.threads[0] === 'sender' ? sender++ : receiver++;
  }
  return places as Slots<typeof RING_METRICS, 'counter' | 'level', PairCounter>;
}

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
