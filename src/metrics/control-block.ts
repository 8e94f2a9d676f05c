/**
 * Control block: the counters of a server in shared memory, so that any thread can read them at any time,
 * also while the thread they belong to hangs or is gone.
 *
 *     ┌ shard 0: counters (64 × float64) ┬ gauges (16 × int32) ┐ ┌ shard 1 … ┐ … ┌ acceptor ┐
 *
 * A counter has one writer and is only ever added to, with plain stores: 64-bit engines write an aligned
 * float64 whole, and a reader may see it a moment late. Gauges have several writers and use Atomics.
 */

/** Counters a thread can have. */
export const COUNTER_SLOTS = 64;

/** Indices of a thread's gauges. */
export const Gauge = {
  /** Sockets given to the shard and not yet closed by it; added to by the acceptor, subtracted by the shard. */
  LIVE: 0,
  /** A ShardState. */
  STATE: 1,
  /** Those of LIVE whose first request is not whole, or whose TLS handshake is not done. */
  WAITING: 2,
  /** Sockets that the shard has taken from the way that is open from the acceptor to it. The shard writes it. */
  TAKEN: 3,
  /** 1: the shard has not taken what it was sent for a second. The acceptor writes it. */
  STALLED: 4,
} as const;
export type Gauge = (typeof Gauge)[keyof typeof Gauge];

const GAUGE_SLOTS = 16;
/** Two cache lines between the gauges of two threads: neighbours are fetched in pairs. */
const THREAD_BYTES = COUNTER_SLOTS * 8 + Math.max(GAUGE_SLOTS * 4, 128);

export const ShardState = { DOWN: 0, STARTING: 1, READY: 2, DRAINING: 3 } as const;
export type ShardState = (typeof ShardState)[keyof typeof ShardState];

export class ControlBlock {
  readonly memory: SharedArrayBuffer;
  readonly shards: number;
  readonly #gauges: Int32Array;

  /** @param memory another thread's control block; without it a new one is made */
  constructor(shards: number, memory?: SharedArrayBuffer) {
    this.shards = shards;
    const threads = (shards + 1) * THREAD_BYTES;
    this.memory = memory ?? new SharedArrayBuffer(threads);
    this.#gauges = new Int32Array(this.memory, 0, threads >> 2);
  }

  /** The counters of a shard, or of the acceptor when `thread` is the number of shards. */
  counters(thread: number): Float64Array {
    return new Float64Array(this.memory, thread * THREAD_BYTES, COUNTER_SLOTS);
  }

  // Gauges order nothing but themselves: readers act on a single number that may be a moment old.

  gauge(thread: number, gauge: Gauge): number {
    return Atomics.load(this.#gauges, gaugeIndex(thread, gauge));
  }

  setGauge(thread: number, gauge: Gauge, value: number): void {
    Atomics.store(this.#gauges, gaugeIndex(thread, gauge), value);
  }

  addGauge(thread: number, gauge: Gauge, by: number): void {
    Atomics.add(this.#gauges, gaugeIndex(thread, gauge), by);
  }

  /** A shard is dead: its sockets are closed and count no more. */
  clearShard(shard: number): void {
    this.setGauge(shard, Gauge.STATE, ShardState.DOWN);
    this.setGauge(shard, Gauge.STALLED, 0);
    this.setGauge(shard, Gauge.LIVE, 0);
    this.setGauge(shard, Gauge.WAITING, 0);
  }
}

function gaugeIndex(thread: number, gauge: Gauge): number {
  return ((thread * THREAD_BYTES + COUNTER_SLOTS * 8) >> 2) + gauge;
}
