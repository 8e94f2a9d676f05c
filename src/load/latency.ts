/**
 * LatencyRecorder: latencies in microseconds, counted in buckets as HdrHistogram lays them out with three
 * significant digits:
 *
 *     value    0 … 2047   2048 … 4095   4096 … 8191   …   2^30 … 2^31-1
 *     step     1          2             4                 2^20
 *     bucket   0 … 2047   2048 … 3071   3072 … 4095   …   21504 … 22527
 *
 * The counts lie in shared memory, where the main thread reads them while a client thread records: nothing is
 * encoded or posted in the middle of a measurement, which would itself be a pause that latencies show.
 */

/** Values below this are exact; above, 11 bits of them are kept. */
const EXACT = 2048;
const HALF = EXACT / 2;
/** Bits of {@link HALF}. */
const HALF_BITS = 10;

/** The longest latency that is told from longer ones: 2^31-1 µs, about 36 minutes. */
export const MAX_LATENCY = 2 ** 31 - 1;

/** Buckets that all values from 0 to {@link MAX_LATENCY} need. */
export const LATENCY_BUCKETS = bucketOf(MAX_LATENCY) + 1;

/** @param value integer from 0 to {@link MAX_LATENCY} */
export function bucketOf(value: number): number {
  if (value < EXACT) return value;
  const shift = 31 - Math.clz32(value) - HALF_BITS;
  return shift * HALF + (value >>> shift);
}

/** The lowest value of a bucket. */
export function valueOf(bucket: number): number {
  if (bucket < EXACT) return bucket;
  const shift = Math.floor(bucket / HALF) - 1;
  return (bucket - shift * HALF) * 2 ** shift;
}

export class LatencyRecorder {
  readonly #counts: Float64Array;

  /** @param counts {@link LATENCY_BUCKETS} of them */
  constructor(counts: Float64Array) {
    this.#counts = counts;
  }

  /** @param latency µs; a fraction is cut off */
  record(latency: number, count: number): void {
    this.#counts[bucketOf(Math.min(Math.max(latency, 0), MAX_LATENCY) | 0)]! += count;
  }

  /**
   * Corrects coordinated omission: a sender that waits for a late reply leaves out the messages that were due
   * meanwhile, which would have been late as well. They are added, each `interval` less late than the one before.
   *
   * @param interval µs between two messages, above 0
   */
  recordWithExpectedInterval(latency: number, count: number, interval: number): void {
    this.record(latency, count);
    for (let missing = latency - interval; missing >= interval; missing -= interval) {
      this.record(missing, count);
    }
  }
}
