import { describe, expect, test } from 'vitest';
import { createDoorbells, Doorbell, DoorbellWaiter } from '../../../src/ring/doorbell.ts';

/** A reader thread with one flag for all its rings. */
class Reader {
  work = false;
  onCheck: (() => void) | undefined;
  wakes = 0;
  readonly waiter: DoorbellWaiter;

  constructor(buffer: SharedArrayBuffer, thread: number) {
    this.waiter = new DoorbellWaiter(buffer, thread, this);
  }

  hasWork(): boolean {
    this.onCheck?.();
    return this.work;
  }

  onWake(): void {
    this.wakes++;
  }
}

/** Lets the notifications that are due arrive. The wait itself does not keep the event loop turning. */
function turns(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a doorbell', () => {
  test('wakes a sleeping reader once, whoever rings and how often', async () => {
    const buffer = createDoorbells(2);
    const reader = new Reader(buffer, 1);
    const bells = [new Doorbell(buffer, 1), new Doorbell(buffer, 1)];
    expect(reader.waiter.wait()).toBe(true);
    expect(reader.waiter.waiting).toBe(true);
    for (const bell of bells) bell.ring();
    for (const bell of bells) bell.ring();
    await turns();
    expect(reader.wakes).toBe(1);
    expect(reader.waiter.wakes).toBe(1);
    expect(reader.waiter.waiting).toBe(false);
    expect(bells.map((bell) => bell.wakes)).toEqual([1, 0]);
  });

  test('does nothing to a reader that is awake, or to another one', async () => {
    const buffer = createDoorbells(3);
    const awake = new Reader(buffer, 0);
    const other = new Reader(buffer, 2);
    const bell = new Doorbell(buffer, 0);
    other.waiter.wait();
    bell.ring();
    await turns();
    expect([awake.wakes, other.wakes, bell.wakes]).toEqual([0, 0, 0]);
    other.waiter.cancel();
  });

  test('can be waited for again and again', async () => {
    const buffer = createDoorbells(1);
    const reader = new Reader(buffer, 0);
    const bell = new Doorbell(buffer, 0);
    for (let i = 1; i <= 5; i++) {
      expect(reader.waiter.wait()).toBe(true);
      expect(reader.waiter.wait()).toBe(true);
      bell.ring();
      await turns();
      expect(reader.wakes).toBe(i);
    }
  });

  test.each([-1, 2, 0.5, Number.NaN])('of thread %d is not among two', (thread) => {
    const buffer = createDoorbells(2);
    const invalid = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' });
    expect(() => new Doorbell(buffer, thread)).toThrow(invalid);
    expect(() => new Reader(buffer, thread)).toThrow(invalid);
  });

  test.each([0, 65, 1.5])('is not made for %d threads', (threads) => {
    expect(() => createDoorbells(threads)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
    );
  });
});

describe('a reader', () => {
  test('stays awake when there is work, and no writer rings it then', async () => {
    const buffer = createDoorbells(1);
    const reader = new Reader(buffer, 0);
    const bell = new Doorbell(buffer, 0);
    reader.work = true;
    expect(reader.waiter.wait()).toBe(false);
    bell.ring();
    await turns();
    expect([reader.wakes, bell.wakes]).toEqual([0, 0]);
  });

  test('is rung when the work comes while it looks, and does not sleep', async () => {
    const buffer = createDoorbells(1);
    const reader = new Reader(buffer, 0);
    const bell = new Doorbell(buffer, 0);
    // The record arrives after the check of its ring, but before the wait.
    reader.onCheck = () => bell.ring();
    expect(reader.waiter.wait()).toBe(false);
    expect(bell.wakes).toBe(1);
    await turns();
    expect(reader.wakes).toBe(0);
  });

  test('that cancels its wait is not woken, and can wait anew at once', async () => {
    const buffer = createDoorbells(1);
    const reader = new Reader(buffer, 0);
    const bell = new Doorbell(buffer, 0);
    reader.waiter.wait();
    reader.waiter.cancel();
    reader.waiter.cancel();
    expect(reader.waiter.waiting).toBe(false);
    bell.ring();
    expect(bell.wakes).toBe(0);
    reader.waiter.wait();
    await turns();
    expect(reader.wakes).toBe(0);
    bell.ring();
    await turns();
    expect(reader.wakes).toBe(1);
  });

  test('that takes a word over finds it awake', () => {
    const buffer = createDoorbells(1);
    const old = new Reader(buffer, 0);
    old.waiter.wait();
    const bell = new Doorbell(buffer, 0);
    const reader = new Reader(buffer, 0);
    bell.ring();
    expect(bell.wakes).toBe(0);
    expect(reader.waiter.waiting).toBe(false);
    old.waiter.cancel();
  });
});
