import { afterEach, expect, it, vi } from 'vitest';
import { deadline, isFulfilled, within } from '../../../src/shard/timeout.ts';

const never = new Promise<never>(() => {});

afterEach(() => {
  vi.useRealTimers();
});

it('isFulfilled tells who is first, and rejects as the promise does', async () => {
  expect(await isFulfilled(Promise.resolve('whatever'), 60_000)).toBe(true);
  expect(await isFulfilled(never, 1)).toBe(false);
  await expect(isFulfilled(Promise.reject(new Error('no')), 60_000)).rejects.toThrow('no');
});

it('within waits no longer than it may', async () => {
  await expect(within(never, 1)).resolves.toBeUndefined();
});

it('deadline counts seconds, keeps no process alive, and 0 is none', () => {
  vi.useFakeTimers();
  const onLate = vi.fn();
  const timer = deadline(3, onLate);
  vi.advanceTimersByTime(2999);
  expect(onLate).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onLate).toHaveBeenCalledTimes(1);
  expect(timer!.hasRef()).toBe(false);
  clearTimeout(deadline(3, onLate));
  expect(deadline(0, onLate)).toBeUndefined();
  vi.advanceTimersByTime(100_000_000);
  expect(onLate).toHaveBeenCalledTimes(1);
});
