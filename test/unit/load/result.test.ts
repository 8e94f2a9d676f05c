import { describe, expect, it } from 'vitest';
import { Counter } from '../../../src/load/counters.ts';
import { LATENCY_BUCKETS, LatencyRecorder } from '../../../src/load/latency.ts';
import { type BenchOptions, planOf, rateOf } from '../../../src/load/options.ts';
import { type BenchSample, type Drained, type Measured, resultOf } from '../../../src/load/result.ts';
import { latencyHistogram } from '../../../src/load/statistics.ts';

const url = 'ws://localhost:9001';
const START = new Date(0);

function sample(time: number, messages: number): BenchSample {
  return { time, messages, bytes: 10 * messages, open: 2, latency: { p50: 0, p99: 0, max: 0 } };
}

function countersOf(values: Partial<Record<keyof typeof Counter, number>>): Float64Array {
  const counters = new Float64Array(16);
  for (const [name, value] of Object.entries(values)) counters[Counter[name as keyof typeof Counter]] = value;
  return counters;
}

/** A run of ten seconds, with latencies of 1 to 1000 ms, one of each. */
function resultWith(
  measured: Partial<Measured>,
  options: Partial<BenchOptions> = {},
  drained: Partial<Drained> = {},
) {
  const counts = new Float64Array(LATENCY_BUCKETS);
  const recorder = new LatencyRecorder(counts);
  for (let ms = 1; ms <= 1000; ms++) recorder.record(ms * 1000, 1);
  const plan = planOf({ url, ...options });
  return resultOf(
    plan,
    rateOf(plan),
    {
      startedAt: START,
      finishedAt: START,
      duration: 10,
      interrupted: false,
      counters: countersOf({ MESSAGES: 1000, SENT: 1002, BYTES: 5000, OPEN: 2 }),
      latencies: latencyHistogram(counts),
      connections: Float64Array.of(3, 6, 0, 0),
      history: [],
      cpu: 5,
      busy: [0.5],
      openedIn: 12.4,
      serverMemory: null,
      ...measured,
    },
    { counters: countersOf({}), details: [], ...drained },
  );
}

describe('the result', () => {
  it('has percentiles in ms, within the three digits that are kept', () => {
    const { latency } = resultWith({});
    expect(latency.totalCount).toBe(1000);
    for (const [name, ms] of [
      ['p1', 10],
      ['p2_5', 25],
      ['p50', 500],
      ['p97_5', 975],
      ['p99', 990],
      ['p99_9', 999],
      ['p99_999', 1000],
      ['min', 1],
      ['max', 1000],
      ['average', 500.5],
    ] as const) {
      expect(Math.abs(latency[name] / ms - 1), `${name}: ${latency[name]}`).toBeLessThan(0.002);
    }
    expect(Math.abs(latency.stddev / 288.7 - 1)).toBeLessThan(0.01);
  });

  it('leaves a last part of a second out of the rates, unless it is all there is', () => {
    const whole = [sample(1, 100), sample(2.01, 300)];
    const { messages, throughput, samples, history } = resultWith({ history: [...whole, sample(2.3, 1)] });
    expect([samples, messages.min, messages.average, messages.max]).toEqual([2, 100, 200, 300]);
    expect(throughput.average).toBe(2000);
    expect(history).toHaveLength(3);
    expect(resultWith({ history: [sample(0.3, 7)] })).toMatchObject({ samples: 1, messages: { average: 7 } });
  });

  it('counts errors to the very end, and messages in the measurement alone', () => {
    const counters = countersOf({
      ERRORS: 4,
      TIMEOUTS: 1,
      LOST: 2,
      MISMATCHES: 3,
      RESETS: 5,
      MESSAGES: 9999,
    });
    const reasons = [
      ['one', 1],
      ['three', 3],
    ] as const;
    const result = resultWith({}, {}, { counters, details: [{ reasons, stalled: { ended: 0, sent: 0 } }] });
    expect(result).toMatchObject({ errors: 4, timeouts: 1, lost: 2, mismatches: 3, resets: 5 });
    expect(result.messages).toMatchObject({ total: 1000, sent: 1002 });
    expect(result.reasons).toEqual([
      { reason: 'three', count: 3 },
      { reason: 'one', count: 1 },
    ]);
  });

  it.each([
    ['is idle', [0.2, 0.3], 5, { cpu: 50, limited: false, starved: false }],
    ['is nearly as busy as can be', [0.2, 0.89], 10, { cpu: 100, limited: false, starved: false }],
    ['has one thread that is busy all the time', [0.2, 0.9], 10, { cpu: 100, limited: true, starved: false }],
    ['does not get the processor', [1, 1], 13.9, { cpu: 139, limited: true, starved: true }],
    ['just gets enough of it', [1, 1], 14, { cpu: 140, limited: true, starved: false }],
  ])('says whether the client was the limit, which %s', (_name, busy, cpu, expected) => {
    expect(resultWith({ busy, cpu }).client).toEqual({ ...expected, threads: busy });
  });

  it("tells each connection's mean, and what one costs the server", () => {
    const result = resultWith({ serverMemory: [1000, 1500] }, { pid: 1, scenario: 'idle' });
    expect(result.perConnection).toEqual([
      { messages: 3, latency: 2 },
      { messages: 0, latency: 0 },
    ]);
    expect(result.server).toEqual({ pid: 1, before: 1000, after: 1500, perConnection: 250 });
    expect(result.held).toEqual({ open: 2, openedIn: 12 });
  });
});
