import { getHeapStatistics } from 'node:v8';
import { resourceLimits } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Level, THREAD_SLOTS } from '../../../src/metrics/counter.ts';
import { HeapWatch, heapUse, isHeapFull } from '../../../src/shard/heap-watch.ts';

const MIB = 1024 * 1024;
const counters = (used = 0, limit = 0): Float64Array => {
  const values = new Float64Array(THREAD_SLOTS);
  values[Level.HEAP_USED] = used;
  values[Level.HEAP_LIMIT] = limit;
  return values;
};

describe('isHeapFull', () => {
  it.each([
    [80, 100, 0.8, true],
    [79, 100, 0.8, false],
    [100, 100, 1, true],
    // It is not watched, or the thread is gone.
    [100, 100, 0, false],
    [0, 100, 0.5, false],
    [0, 0, 0.5, false],
  ])('%d of %d with the share %d: %s', (used, limit, share, isFull) => {
    expect(isHeapFull(counters(used, limit), share)).toBe(isFull);
  });
});

describe('heapUse', () => {
  it('has the limit that V8 was told, unless there is less', () => {
    const all = getHeapStatistics().heap_size_limit;
    expect(heapUse(16).limit).toBe(16 * MIB);
    expect(heapUse(2 ** 30).limit).toBe(all);
    const own = (resourceLimits.maxOldGenerationSizeMb ?? 0) * MIB;
    expect(heapUse().limit).toBe(own > 0 && own < all ? own : all);
    expect(heapUse().used).toBeGreaterThan(MIB);
  });
});

describe('HeapWatch', () => {
  it('measures at once, and calls nobody while the heap is not full', () => {
    const values = counters();
    let calls = 0;
    const watch = new HeapWatch(1, 0, values, () => calls++);
    watch.stop();
    expect(values[Level.HEAP_USED]).toBeGreaterThan(MIB);
    expect(values[Level.HEAP_LIMIT]).toBeGreaterThan(values[Level.HEAP_USED]!);
    expect(calls).toBe(0);
  });
});
