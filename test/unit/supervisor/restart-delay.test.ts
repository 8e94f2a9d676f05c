import { expect, it } from 'vitest';
import { RestartDelay } from '../../../src/supervisor/restart-delay.ts';

it('gives a thread that crashes ever longer rest, up to the longest, and none again when it has lived for a while', () => {
  const delay = new RestartDelay();
  const crash = (at: number): number => delay.next(at);
  expect([0, 1, 2, 3, 4].map(crash)).toEqual([0, 0, 0, 0, 0]);
  expect([5, 6, 7, 8, 9, 10, 11].map(crash)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  expect(crash(40_012)).toBe(0);
});

it('gives one whose rest has a bound of its own no longer one', () => {
  const delay = new RestartDelay(1000);
  expect(Array.from({ length: 9 }, (_, at) => delay.next(at))).toEqual([
    0, 0, 0, 0, 0, 1000, 1000, 1000, 1000,
  ]);
});
