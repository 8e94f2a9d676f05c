import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { Level } from '../../../src/metrics/counter.ts';
import { LoopWatch, recordDelay } from '../../../src/metrics/loop-watch.ts';
import { monotonicTime, NO_STAMP, sinceStamp, timeStamp } from '../../../src/metrics/monotonic-time.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a loop that is on time has delays of 0, and a heartbeat', () => {
  const metrics = ThreadMetrics.alone();
  const watch = new LoopWatch(metrics);
  for (let i = 1; i <= 4; i++) {
    vi.advanceTimersByTime(50);
    expect(metrics.counters[Level.HEARTBEAT_AGE]).toBeCloseTo(monotonicTime(), 6);
  }
  expect(metrics.histograms.loopDelay.read()).toMatchObject({ count: 4 });
  expect(metrics.histograms.loopDelay.read().quantile(1)).toBeLessThan(0.01);
  watch.stop();
  expect(metrics.counters[Level.HEARTBEAT_AGE]).toBe(0);
  vi.advanceTimersByTime(500);
  expect(metrics.histograms.loopDelay.read()).toMatchObject({ count: 4 });
});

test('what a loop that stood still could not call counts too', () => {
  const { histograms } = ThreadMetrics.alone();
  recordDelay(histograms.loopDelay, 220);
  // Those due 50, 100, 150 and 200 ms later would have waited 170, 120, 70 and 20 ms.
  expect(histograms.loopDelay.read()).toMatchObject({ count: 5, sum: 600 });
  recordDelay(histograms.loopDelay, 49);
  expect(histograms.loopDelay.read()).toMatchObject({ count: 6, sum: 649 });
});

test('a loop that stands still for hours is noted in bounded time', () => {
  const { histograms } = ThreadMetrics.alone();
  recordDelay(histograms.loopDelay, 1e12);
  expect(histograms.loopDelay.read().count).toBe(10_001);
});

test('a time stamp has 32 bits, and what has passed since it is known when they begin anew', () => {
  const stamp = timeStamp();
  expect(stamp).toBe(stamp | 0);
  expect(stamp).not.toBe(NO_STAMP);
  vi.advanceTimersByTime(30 * 60_000);
  expect(sinceStamp(stamp)).toBeCloseTo(30 * 60_000, 0);
});
