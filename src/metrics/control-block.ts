import {
  Counter,
  constantName,
  HistogramStart,
  Level,
  type NamesOf,
  placeRows,
  THREAD_SLOTS,
} from './counter.ts';
import { Histogram } from './histogram.ts';
import { THREAD_METRICS } from './table.ts';

/**
 * Control block: the metrics of a server in shared memory, so that any thread can read them at any time, also while the
 * thread they belong to hangs or is gone.
 *
 *     ┌ main: float64s (counters, levels, histograms), int32s (shared gauges) ┐ ┌ acceptor ┐ ┌ shard 0 ┐ ┌ shard 1 …
 *
 * Float64s have one writer at a time and plain stores: 64-bit engines write an aligned float64 whole, and a reader may see
 * it a moment late. Shared gauges have several writers and use Atomics. The rows are those of `THREAD_METRICS`.
 */

/** Index of a shared gauge among those of its thread. */
export type Gauge = number & { readonly gauge: unique symbol };
export const Gauge = placeRows<typeof THREAD_METRICS, 'shared', Gauge>(THREAD_METRICS, ['shared']);

const GAUGE_SLOTS = Object.keys(Gauge).length;
const CACHE_LINE = 64;
/** Two cache lines at least between what two threads write: neighbours are fetched in pairs. */
const THREAD_BYTES =
  Math.ceil((THREAD_SLOTS * 8 + GAUGE_SLOTS * 4) / CACHE_LINE) * CACHE_LINE + 2 * CACHE_LINE;

/** Places of threads in the block. */
const MAIN = 0;
const ACCEPTOR = 1;
const FIRST_SHARD = 2;

export const ShardState = { DOWN: 0, STARTING: 1, READY: 2, DRAINING: 3 } as const;
export type ShardState = (typeof ShardState)[keyof typeof ShardState];

type Histograms = { readonly [Name in NamesOf<typeof THREAD_METRICS, 'histogram'>]: Histogram };

type SharedGauges = { readonly [Name in NamesOf<typeof THREAD_METRICS, 'shared'>]: number };

/** Where each histogram lies: looked up once, as each reading of the metrics has objects of its own for all threads. */
const HISTOGRAMS = Object.entries(THREAD_METRICS).flatMap(([name, row]) =>
  row.store === 'histogram'
    ? [{ name, start: placeOf(HistogramStart, name), resolution: row.resolution }]
    : [],
);

const SHARED = Object.entries(THREAD_METRICS).flatMap(([name, { store }]) =>
  store === 'shared' ? [{ name, gauge: placeOf(Gauge, name) }] : [],
);

function placeOf<Place extends number>(places: Readonly<Record<string, Place>>, name: string): Place {
  return places[constantName(name)]!;
}

/** What one thread counts: the float64s of its rows. */
export class ThreadMetrics {
  /** Indexed by Counter and Level. */
  readonly counters: Float64Array;
  readonly histograms: Histograms;

  constructor(slots: Float64Array) {
    this.counters = slots;
    const histograms: Record<string, Histogram> = {};
    for (const { name, start, resolution } of HISTOGRAMS) {
      histograms[name] = new Histogram(slots, start, resolution);
    }
    this.histograms = histograms as Histograms;
  }

  /** Metrics of a thread that belongs to no server. */
  static alone(): ThreadMetrics {
    return new ThreadMetrics(new Float64Array(THREAD_SLOTS));
  }

  /** The thread is dead: what it could not set to 0 any more is done here. Counters and histograms go on in its successor. */
  end(): void {
    const counters = Counter as Readonly<Record<string, Counter>>;
    for (const row of Object.values(THREAD_METRICS)) {
      if (row.of === null) continue;
      const [more, less] = row.of;
      this.counters[counters[constantName(less)]!] = this.counters[counters[constantName(more)]!]!;
    }
    for (const place of Object.values(Level)) this.counters[place] = 0;
  }
}

export class ControlBlock {
  readonly memory: SharedArrayBuffer;
  readonly shards: number;
  readonly #gauges: Int32Array;

  /** @param memory another thread's control block; without it a new one is made */
  constructor(shards: number, memory?: SharedArrayBuffer) {
    this.shards = shards;
    const threads = (FIRST_SHARD + shards) * THREAD_BYTES;
    this.memory = memory ?? new SharedArrayBuffer(threads);
    this.#gauges = new Int32Array(this.memory, 0, threads >> 2);
  }

  get main(): ThreadMetrics {
    return this.#metrics(MAIN);
  }

  get acceptor(): ThreadMetrics {
    return this.#metrics(ACCEPTOR);
  }

  shard(shard: number): ThreadMetrics {
    return this.#metrics(FIRST_SHARD + shard);
  }

  #metrics(thread: number): ThreadMetrics {
    return new ThreadMetrics(new Float64Array(this.memory, thread * THREAD_BYTES, THREAD_SLOTS));
  }

  // Shared gauges, which shards alone have. They order nothing but themselves: readers act on a single number that may be a
  // moment old.

  gauge(shard: number, gauge: Gauge): number {
    return Atomics.load(this.#gauges, gaugeIndex(shard, gauge));
  }

  setGauge(shard: number, gauge: Gauge, value: number): void {
    Atomics.store(this.#gauges, gaugeIndex(shard, gauge), value);
  }

  addGauge(shard: number, gauge: Gauge, by: number): void {
    Atomics.add(this.#gauges, gaugeIndex(shard, gauge), by);
  }

  /** All shared gauges of a shard. */
  gauges(shard: number): SharedGauges {
    const values: Record<string, number> = {};
    for (const { name, gauge } of SHARED) values[name] = this.gauge(shard, gauge);
    return values as SharedGauges;
  }

  /** A shard's thread is dead, and its sockets with it. */
  endShard(shard: number): void {
    for (const gauge of Object.values(Gauge)) this.setGauge(shard, gauge, 0);
    this.shard(shard).end();
  }
}

function gaugeIndex(shard: number, gauge: Gauge): number {
  return (((FIRST_SHARD + shard) * THREAD_BYTES + THREAD_SLOTS * 8) >> 2) + gauge;
}
