import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUCKETS, bucketOf, Histogram, lowerEdge } from '../../../src/metrics/histogram.ts';

/** The slow way: the last bucket that begins at the value or below. */
function searched(steps: number): number {
  let bucket = 0;
  for (let i = 0; i < BUCKETS; i++) if (lowerEdge(i) <= steps) bucket = i;
  return bucket;
}

function newHistogram(resolution = 1): Histogram {
  return new Histogram(new Float64Array(BUCKETS + 3), 1, resolution);
}

describe('the buckets of a histogram', () => {
  test('begin each at an edge of its own, in order, from 0 to 2^30', () => {
    const edges = Array.from({ length: BUCKETS }, (_, bucket) => lowerEdge(bucket));
    for (let i = 1; i < BUCKETS; i++) expect(edges[i]).toBeGreaterThan(edges[i - 1]!);
    expect(edges.slice(0, 13)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]);
    expect(edges.at(-1)).toBe(2 ** 30);
  });

  test('have their edge, not what is just below', () => {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const edge = lowerEdge(bucket);
      expect(bucketOf(edge)).toBe(bucket);
      expect(bucketOf(edge + 0.5)).toBe(bucket);
      if (bucket > 0) expect(bucketOf(edge - 0.001)).toBe(bucket - 1);
    }
  });

  test('are found as by searching', () => {
    const steps = fc.oneof(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      fc.double({ min: 0, max: 2 ** 40, noNaN: true }),
    );
    fc.assert(
      fc.property(steps, (value) => {
        expect(bucketOf(value)).toBe(searched(value));
      }),
    );
  });

  test('take what is beyond into the last, and what is below 0 into the first', () => {
    for (const value of [2 ** 30, 2 ** 31, 2 ** 32 + 5, 1e300, Number.POSITIVE_INFINITY]) {
      expect(bucketOf(value)).toBe(BUCKETS - 1);
    }
    expect([bucketOf(-1), bucketOf(-1e9), bucketOf(0.99)]).toEqual([0, 0, 0]);
  });
});

describe('a histogram', () => {
  test('writes its own slots only', () => {
    const slots = new Float64Array(BUCKETS + 3);
    const histogram = new Histogram(slots, 1, 1);
    histogram.record(0);
    histogram.record(1e12);
    expect([slots[0], slots[BUCKETS + 2]]).toEqual([0, 0]);
    expect(slots[1]).toBe(1e12);
    expect(slots[BUCKETS + 1]).toBe(1);
  });

  test('knows count and sum, in the unit', () => {
    const histogram = newHistogram(0.001);
    for (const value of [0.5, 2, 0, -3]) histogram.record(value);
    const { count, sum, counts } = histogram.read();
    expect([count, sum]).toEqual([4, 2.5]);
    expect([counts[0], counts[bucketOf(500)], counts[bucketOf(2000)]]).toEqual([2, 1, 1]);
  });

  test('estimates quantiles to a fifth at worst', () => {
    const values = fc.array(fc.integer({ min: 1, max: 2 ** 29 }), { minLength: 1, maxLength: 200 });
    const part = fc.constantFrom(0.01, 0.5, 0.9, 0.99, 1);
    fc.assert(
      fc.property(values, part, (values, part) => {
        const histogram = newHistogram();
        for (const value of values) histogram.record(value);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!;
        const estimate = histogram.read().quantile(part);
        // Where 7 and 8 are buckets of one step each, a step.
        expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(Math.max(1, exact / 4));
      }),
    );
  });

  test('has quantiles of 0 without observations, and a lower bound of what is beyond its buckets', () => {
    const histogram = newHistogram(0.001);
    expect(histogram.read().stats()).toEqual({ count: 0, sum: 0, p50: 0, p99: 0 });
    histogram.record(1e9);
    expect(histogram.read().stats()).toEqual({
      count: 1,
      sum: 1e9,
      p50: 2 ** 30 / 1000,
      p99: 2 ** 30 / 1000,
    });
    expect(histogram.read().upperEdge(BUCKETS - 1)).toBe(Number.POSITIVE_INFINITY);
    expect(histogram.read().upperEdge(7)).toBe(0.008);
  });

  test('is added to another one', () => {
    const one = newHistogram();
    const other = newHistogram();
    for (const value of [1, 100]) one.record(value);
    for (const value of [100, 5000]) other.record(value);
    const both = newHistogram();
    for (const value of [1, 100, 100, 5000]) both.record(value);
    expect(one.read().plus(other.read())).toEqual(both.read());
  });
});
