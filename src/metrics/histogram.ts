/**
 * Buckets of a histogram, in steps of its resolution: one each for 0 to 7, then four for each power of two, up to 2^30. So
 * a value is known to a fifth of itself at worst, or to a step. The last bucket has what is beyond.
 */
const LARGEST = 2 ** 30;
export const BUCKETS = 117;

/** The bucket of a value that is given in steps. */
export function bucketOf(steps: number): number {
  const whole = steps < LARGEST ? steps | 0 : LARGEST;
  if (whole < 8) return whole < 0 ? 0 : whole;
  const exponent = 31 - Math.clz32(whole);
  return (exponent - 1) * 4 + ((whole >> (exponent - 2)) & 3);
}

/** The least value of a bucket, in steps. */
export function lowerEdge(bucket: number): number {
  return bucket < 8 ? bucket : (4 + (bucket & 3)) * 2 ** ((bucket >> 2) - 1);
}

/**
 * Histogram: observations of one thread, in float64s of shared memory: their sum, then a count for each bucket. One thread
 * writes, with plain stores; any thread may read meanwhile, and sees each observation at most a moment late, in the bucket
 * perhaps before it is in the sum.
 */
export class Histogram {
  readonly #slots: Float64Array;
  readonly #start: number;
  /** Steps in one of the unit. */
  readonly #perUnit: number;

  /**
   * @param start of its slots
   * @param resolution the smallest step, in the unit
   */
  constructor(slots: Float64Array, start: number, resolution: number) {
    this.#slots = slots;
    this.#start = start;
    this.#perUnit = 1 / resolution;
  }

  /** Adds an observation, in the unit. What is below 0 counts as 0. */
  record(value: number): void {
    const start = this.#start;
    const observed = value > 0 ? value : 0;
    this.#slots[start + 1 + bucketOf(observed * this.#perUnit)]!++;
    this.#slots[start]! += observed;
  }

  read(): HistogramReading {
    const counts = this.#slots.slice(this.#start + 1, this.#start + 1 + BUCKETS);
    return new HistogramReading(counts, this.#slots[this.#start]!, 1 / this.#perUnit);
  }
}

/** What `stats()` shows of a histogram, in its unit. */
export interface HistogramStats {
  readonly count: number;
  readonly sum: number;
  /** The median and the 99th percentile, estimated to a fifth of themselves at worst, or to a step of the resolution. 0 without observations. */
  readonly p50: number;
  readonly p99: number;
}

/** What a histogram had when it was read. */
export class HistogramReading {
  /** By bucket. */
  readonly counts: Float64Array;
  readonly sum: number;
  readonly #resolution: number;

  constructor(counts: Float64Array, sum: number, resolution: number) {
    this.counts = counts;
    this.sum = sum;
    this.#resolution = resolution;
  }

  /** Observations. */
  get count(): number {
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) count += this.counts[bucket]!;
    return count;
  }

  /** What a bucket's values are below, in the unit; infinite for the last one. */
  upperEdge(bucket: number): number {
    return bucket === BUCKETS - 1 ? Number.POSITIVE_INFINITY : lowerEdge(bucket + 1) * this.#resolution;
  }

  /**
   * The value that a part of the observations does not exceed, estimated within its bucket.
   *
   * @param part 0 to 1
   * @param observations the `count`, where it is known
   */
  quantile(part: number, observations = this.count): number {
    const rank = part * observations;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.counts[bucket]!;
      if (count === 0 || below + count < rank) {
        below += count;
        continue;
      }
      const lower = lowerEdge(bucket);
      // In whole steps: of sizes, a bucket of 2 has nothing but 2.
      const largest = bucket === BUCKETS - 1 ? lower : lowerEdge(bucket + 1) - 1;
      return (lower + ((largest - lower) * (rank - below)) / count) * this.#resolution;
    }
    return 0;
  }

  /** The observations of both. */
  plus(other: HistogramReading): HistogramReading {
    const counts = this.counts.slice();
    for (let bucket = 0; bucket < BUCKETS; bucket++) counts[bucket]! += other.counts[bucket]!;
    return new HistogramReading(counts, this.sum + other.sum, this.#resolution);
  }

  stats(): HistogramStats {
    const { count, sum } = this;
    return { count, sum, p50: this.quantile(0.5, count), p99: this.quantile(0.99, count) };
  }
}
