import { expect, it } from 'vitest';
import { RecycleDelay } from '../../../src/supervisor/recycle-delay.ts';

const MINUTE = 60_000;

it('lets a shard be replaced twice at once, and then ever later, up to an hour', () => {
  const delay = new RecycleDelay();
  let now = 1000;
  const waits: number[] = [];
  for (let i = 0; i < 10; i++) {
    waits.push(delay.until(now) / MINUTE);
    now += delay.until(now);
    delay.recycled(now);
    now += 1;
  }
  expect(waits.map(Math.round)).toEqual([0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
});

it('forgets after a long life', () => {
  const delay = new RecycleDelay();
  delay.recycled(0);
  delay.recycled(10);
  expect(delay.until(10)).toBe(MINUTE);
  const later = 10 + MINUTE + 10 * MINUTE;
  delay.recycled(later);
  expect(delay.until(later)).toBe(0);
});

it('counts down', () => {
  const delay = new RecycleDelay();
  delay.recycled(0);
  delay.recycled(0);
  expect([0, 20_000, MINUTE, 2 * MINUTE].map((now) => delay.until(now))).toEqual([MINUTE, 40_000, 0, 0]);
});
