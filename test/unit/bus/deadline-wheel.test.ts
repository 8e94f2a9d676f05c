import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeadlineWheel, type Waiter } from '../../../src/bus/deadline-wheel.ts';

class Timed implements Waiter {
  deadline: number;
  waiterNext: Waiter | null = null;
  waiterPrevious: Waiter | null = null;
  waiterSlot = -1;
  firedAt = -1;
  constructor(ms: number) {
    this.deadline = performance.now() + ms;
  }
  onDeadline(): void {
    expect(this.firedAt).toBe(-1);
    this.firedAt = performance.now();
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('DeadlineWheel', () => {
  it('calls each that waits once, never early and at most two ticks late, whatever is added and removed', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ ms: fc.integer({ min: 0, max: 30_000 }), wait: fc.nat(500), remove: fc.boolean() }),
        ),
        (steps) => {
          const wheel = new DeadlineWheel();
          const kept: Timed[] = [];
          for (const { ms, wait, remove } of steps) {
            const waiter = new Timed(ms);
            wheel.add(waiter);
            if (remove) {
              wheel.remove(waiter);
              wheel.remove(waiter);
              waiter.firedAt = -2;
            } else kept.push(waiter);
            vi.advanceTimersByTime(wait);
          }
          vi.advanceTimersByTime(30_100);
          for (const { firedAt, deadline } of kept) {
            expect(firedAt).toBeGreaterThanOrEqual(deadline);
            expect(firedAt - deadline).toBeLessThanOrEqual(40);
          }
          expect(wheel.size).toBe(0);
          expect(vi.getTimerCount()).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('misses nobody after a standstill of more than a round', () => {
    const wheel = new DeadlineWheel();
    const waiters = Array.from({ length: 300 }, (_, i) => new Timed(i * 20));
    for (const waiter of waiters) wheel.add(waiter);
    const now = performance.now();
    // The loop stood still: one visit, long after.
    vi.spyOn(performance, 'now').mockReturnValue(now + 20_000);
    vi.advanceTimersByTime(20);
    expect(waiters.every(({ firedAt }) => firedAt > 0)).toBe(true);
    vi.restoreAllMocks();
  });

  it('lets what is called wait anew, and remove others', () => {
    const wheel = new DeadlineWheel();
    let other = new Timed(10);
    const second = new Timed(50);
    const first = new Timed(10);
    first.onDeadline = () => {
      wheel.remove(second);
      other = new Timed(40);
      wheel.add(other);
    };
    wheel.add(first);
    wheel.add(second);
    vi.advanceTimersByTime(40);
    expect(wheel.size).toBe(1);
    vi.advanceTimersByTime(60);
    expect(wheel.size).toBe(0);
    expect(other.firedAt).toBeGreaterThan(0);
    expect(second.firedAt).toBe(-1);
  });
});
