import { build, type Histogram } from 'hdr-histogram-js';
import { valueOf } from './latency.ts';

/** Percentiles as autocannon has them: `p2_5` is 2.5 %. */
export const PERCENTILES = [
  0.001, 0.01, 0.1, 1, 2.5, 10, 25, 50, 75, 90, 97.5, 99, 99.9, 99.99, 99.999,
] as const;

export type PercentileName =
  | 'p0_001'
  | 'p0_01'
  | 'p0_1'
  | 'p1'
  | 'p2_5'
  | 'p10'
  | 'p25'
  | 'p50'
  | 'p75'
  | 'p90'
  | 'p97_5'
  | 'p99'
  | 'p99_9'
  | 'p99_99'
  | 'p99_999';

/** How values are spread. All are 0 when there were none. */
export interface Spread extends Record<PercentileName, number> {
  average: number;
  mean: number;
  stddev: number;
  min: number;
  max: number;
}

const NOTHING = Object.fromEntries([
  ...['average', 'mean', 'stddev', 'min', 'max'].map((name) => [name, 0]),
  ...PERCENTILES.map((percentile) => [nameOf(percentile), 0]),
]) as unknown as Spread;

function nameOf(percentile: number): PercentileName {
  return `p${percentile}`.replace('.', '_') as PercentileName;
}

/** A histogram of µs, from the counts of {@link LatencyRecorder}. */
export function latencyHistogram(counts: Float64Array): Histogram {
  const histogram = emptyHistogram();
  for (let bucket = 0; bucket < counts.length; bucket++) {
    const count = counts[bucket]!;
    if (count > 0) histogram.recordValueWithCount(valueOf(bucket), count);
  }
  return histogram;
}

function emptyHistogram(): Histogram {
  return build({ bitBucketSize: 64, autoResize: true, numberOfSignificantValueDigits: 3 });
}

/** The spread of what a histogram holds, each value times `unit`. */
export function spreadOf(histogram: Histogram, unit: number): Spread {
  if (histogram.totalCount === 0) return { ...NOTHING };
  // Values of a bucket are equivalent: what is printed has no more digits than what was kept.
  const scale = (value: number): number => Number((value * unit).toPrecision(6));
  const mean = scale(histogram.mean);
  return {
    average: mean,
    mean,
    stddev: scale(histogram.stdDeviation),
    min: scale(histogram.getValueAtPercentile(0)),
    max: scale(histogram.maxValue),
    ...(Object.fromEntries(
      PERCENTILES.map((percentile) => [
        nameOf(percentile),
        scale(Math.min(histogram.getValueAtPercentile(percentile), histogram.maxValue)),
      ]),
    ) as Record<PercentileName, number>),
  };
}

/** The spread of a few numbers, exactly: percentiles are the nearest rank. */
export function spreadOfValues(values: readonly number[]): Spread {
  if (values.length === 0) return { ...NOTHING };
  const sorted = [...values].sort((a, b) => a - b);
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const variance = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / sorted.length;
  const rank = (percentile: number): number =>
    sorted[Math.max(0, Math.ceil((percentile / 100) * sorted.length) - 1)]!;
  return {
    average: round(mean),
    mean: round(mean),
    stddev: round(Math.sqrt(variance)),
    min: round(sorted[0]!),
    max: round(sorted.at(-1)!),
    ...(Object.fromEntries(
      PERCENTILES.map((percentile) => [nameOf(percentile), round(rank(percentile))]),
    ) as Record<PercentileName, number>),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Points of the curve of latencies by percentile: how many percent took at most so many ms. */
export function latencyCurve(histogram: Histogram): [percentile: number, ms: number][] {
  if (histogram.totalCount === 0) return [];
  const points: [number, number][] = [];
  // Each half of what is left gets the same number of points, as HdrHistogram plots it.
  const most = Math.log2(histogram.totalCount);
  for (let step = 0; step / POINTS_PER_HALF <= most; step++) {
    const percentile = 100 * (1 - 2 ** (-step / POINTS_PER_HALF));
    const value = histogram.getValueAtPercentile(percentile);
    // The rest of the curve is flat: the longest latency.
    if (value >= histogram.maxValue) break;
    points.push([percentile, value / 1000]);
  }
  points.push([100 * (1 - 1 / histogram.totalCount), histogram.maxValue / 1000]);
  return points;
}

const POINTS_PER_HALF = 5;
