import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import {
  bucketOf,
  LATENCY_BUCKETS,
  LatencyRecorder,
  MAX_LATENCY,
  valueOf,
} from '../../../src/load/latency.ts';
import { latencyHistogram, PERCENTILES, spreadOf, spreadOfValues } from '../../../src/load/statistics.ts';

const value = fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: MAX_LATENCY }));

describe('the buckets of latencies', () => {
  it('are exact below 2048', () => {
    for (let i = 0; i < 2048; i++) expect([bucketOf(i), valueOf(i)]).toEqual([i, i]);
  });

  it('follow each other without a gap', () => {
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) expect(bucketOf(valueOf(bucket))).toBe(bucket);
    for (let bucket = 1; bucket < LATENCY_BUCKETS; bucket++)
      expect(bucketOf(valueOf(bucket) - 1)).toBe(bucket - 1);
    expect(bucketOf(MAX_LATENCY)).toBe(LATENCY_BUCKETS - 1);
  });

  it('keep three digits', () => {
    fc.assert(
      fc.property(value, (latency) => {
        const kept = valueOf(bucketOf(latency));
        expect(kept).toBeLessThanOrEqual(latency);
        expect(latency - kept).toBeLessThanOrEqual(latency / 1000);
      }),
    );
  });
});

/** What hdr-histogram-js makes of the same values. */
function reference(): ReturnType<typeof build> {
  return build({ bitBucketSize: 64, autoResize: true, numberOfSignificantValueDigits: 3 });
}

describe('LatencyRecorder', () => {
  it('counts what hdr-histogram-js counts', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(value, fc.integer({ min: 1, max: 9 })), { minLength: 1 }), (records) => {
        const counts = new Float64Array(LATENCY_BUCKETS);
        const recorder = new LatencyRecorder(counts);
        const expected = reference();
        for (const [latency, count] of records) {
          recorder.record(latency, count);
          expected.recordValueWithCount(valueOf(bucketOf(latency)), count);
        }
        expect(spreadOf(latencyHistogram(counts), 1)).toEqual(spreadOf(expected, 1));
      }),
      { numRuns: 30 },
    );
  });

  it('corrects coordinated omission as hdr-histogram-js does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 2047 }), fc.integer({ min: 1, max: 500 }))),
        (records) => {
          const counts = new Float64Array(LATENCY_BUCKETS);
          const recorder = new LatencyRecorder(counts);
          const expected = reference();
          for (const [latency, interval] of records) {
            recorder.recordWithExpectedInterval(latency, 1, interval);
            expected.recordValueWithExpectedInterval(latency, interval);
          }
          expect(spreadOf(latencyHistogram(counts), 1)).toEqual(spreadOf(expected, 1));
        },
      ),
    );
  });

  it('adds up over threads', () => {
    fc.assert(
      fc.property(fc.array(value), fc.array(value), (first, second) => {
        const [a, b] = [new Float64Array(LATENCY_BUCKETS), new Float64Array(LATENCY_BUCKETS)];
        const expected = reference();
        for (const latency of first) new LatencyRecorder(a).record(latency, 1);
        for (const latency of second) new LatencyRecorder(b).record(latency, 1);
        for (const latency of [...first, ...second]) expected.recordValue(valueOf(bucketOf(latency)));
        const merged = latencyHistogram(a.map((count, i) => count + b[i]!));
        expect(merged.totalCount).toBe(first.length + second.length);
        expect(spreadOf(merged, 1)).toEqual(spreadOf(expected, 1));
      }),
      { numRuns: 30 },
    );
  });

  it('takes what no clock should say', () => {
    const counts = new Float64Array(LATENCY_BUCKETS);
    const recorder = new LatencyRecorder(counts);
    recorder.record(-5, 1);
    recorder.record(1e12, 2);
    recorder.record(7.9, 3);
    expect([counts[0], counts[LATENCY_BUCKETS - 1], counts[7]]).toEqual([1, 2, 3]);
  });
});

describe('spreads', () => {
  it('of nothing are all 0', () => {
    const empty = spreadOf(reference(), 1);
    expect(spreadOfValues([])).toEqual(empty);
    expect(new Set(Object.values(empty))).toEqual(new Set([0]));
    expect(Object.keys(empty)).toHaveLength(5 + PERCENTILES.length);
  });

  it('of values have the nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(spreadOfValues(values)).toMatchObject({
      min: 1,
      max: 100,
      p1: 1,
      p2_5: 3,
      p50: 50,
      p97_5: 98,
      p99: 99,
    });
    expect(spreadOfValues([5])).toMatchObject({ average: 5, stddev: 0, p1: 5, p99_999: 5 });
    expect(spreadOfValues([2, 4])).toMatchObject({ mean: 3, stddev: 1 });
  });
});
