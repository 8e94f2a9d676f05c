import { beforeEach, describe, expect, it } from 'vitest';
import { type FullHeap, Recycler } from '../../../src/supervisor/recycler.ts';

const HEAP = { used: 90, limit: 100 };

let told: FullHeap[];
/** What happens to each attempt to replace the shard. */
let outcomes: (boolean | Error)[];
let attempts: number;
let recycler: Recycler;

beforeEach(() => {
  told = [];
  outcomes = [];
  attempts = 0;
  const replace = async (): Promise<boolean> => {
    attempts++;
    await Promise.resolve();
    const outcome = outcomes.shift() ?? true;
    if (outcome instanceof Error) throw outcome;
    if (outcome) recycler.ended();
    return outcome;
  };
  recycler = new Recycler(replace, (heap) => told.push(heap));
});

/** A full collection left much, and what that sets off is over. */
async function full(): Promise<void> {
  recycler.full(HEAP);
  await new Promise((resolve) => setImmediate(resolve));
}

describe('a shard whose heap is full', () => {
  it('is replaced twice at once; then it waits, which is told once in a life', async () => {
    for (let i = 0; i < 5; i++) await full();
    expect(attempts).toBe(2);
    expect(told.map(({ delay }) => delay > 0)).toEqual([false, false, true]);
    // It died of it.
    recycler.ended();
    await full();
    await full();
    expect(told.map(({ delay }) => delay > 0)).toEqual([false, false, true, true]);
  });

  it('is replaced once, however often that is reported meanwhile', async () => {
    recycler.full(HEAP);
    recycler.full(HEAP);
    await full();
    expect([attempts, told.length]).toEqual([1, 1]);
  });

  it('has not used up an attempt when there was no need any more', async () => {
    outcomes = [false, false, false];
    for (let i = 0; i < 5; i++) await full();
    expect(attempts).toBe(5);
    expect(told.map(({ delay }) => delay)).toEqual([0, 0, 0, 0, 0]);
  });

  it('stays when its successor cannot be started, which is told with the time of the next attempt', async () => {
    const error = new Error('no such module');
    outcomes = [error, error];
    for (let i = 0; i < 3; i++) await full();
    expect(attempts).toBe(2);
    expect(told.map((heap) => [heap.error, heap.delay > 0])).toEqual([
      [undefined, false],
      [error, false],
      [undefined, false],
      [error, true],
      [undefined, true],
    ]);
  });

  it('may be replaced at once again when its code was loaded anew', async () => {
    for (let i = 0; i < 3; i++) await full();
    recycler.ended();
    recycler.reloaded();
    await full();
    expect(attempts).toBe(3);
  });
});
