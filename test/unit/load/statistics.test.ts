import { describe, expect, it } from 'vitest';
import { LATENCY_BUCKETS } from '../../../src/load/latency.ts';
import { latencyCurve, latencyHistogram, spreadOf, spreadOfValues } from '../../../src/load/statistics.ts';

describe('spreadOfValues', () => {
  it('is 0 throughout without values', () => {
    expect(new Set(Object.values(spreadOfValues([])))).toEqual(new Set([0]));
  });

  it('has the nearest ranks, whatever the order', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(spreadOfValues(values)).toMatchObject({
      average: 50.5,
      mean: 50.5,
      stddev: 28.87,
      min: 1,
      max: 100,
      p0_001: 1,
      p1: 1,
      p2_5: 3,
      p50: 50,
      p97_5: 98,
      p99: 99,
      p99_999: 100,
    });
    expect(values[0]).toBe(100);
  });

  it('of one value is that value', () => {
    const { stddev, ...rest } = spreadOfValues([7.123]);
    expect(stddev).toBe(0);
    expect(new Set(Object.values(rest))).toEqual(new Set([7.12]));
  });
});

describe('the histogram of latencies', () => {
  it('without any is 0 throughout, and has no curve', () => {
    const histogram = latencyHistogram(new Float64Array(LATENCY_BUCKETS));
    expect(new Set(Object.values(spreadOf(histogram, 1)))).toEqual(new Set([0]));
    expect(latencyCurve(histogram)).toEqual([]);
  });

  it('has percentiles in order, the largest of which is the longest, and a curve that only rises', () => {
    const counts = new Float64Array(LATENCY_BUCKETS);
    for (let bucket = 0; bucket < 500; bucket++) counts[bucket] = 500 - bucket;
    const histogram = latencyHistogram(counts);
    expect(histogram.totalCount).toBe((500 * 501) / 2);
    const { min, p1, p50, p99, p99_999, max } = spreadOf(histogram, 0.001);
    const ordered = [min, p1, p50, p99, p99_999, max];
    expect(ordered).toEqual([...ordered].sort((a, b) => a - b));
    expect(p99_999).toBeLessThanOrEqual(max);
    const curve = latencyCurve(histogram);
    for (let i = 1; i < curve.length; i++) {
      expect(curve[i]![0]).toBeGreaterThan(curve[i - 1]![0]);
      expect(curve[i]![1]).toBeGreaterThanOrEqual(curve[i - 1]![1]);
    }
    expect(curve[0]![0]).toBe(0);
    expect(curve.at(-1)![0]).toBeLessThan(100);
  });
});
