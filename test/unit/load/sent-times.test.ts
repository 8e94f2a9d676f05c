import { expect, it } from 'vitest';
import { SentTimes } from '../../../src/load/sent-times.ts';

it('is a queue of messages with times, whatever comes and goes', () => {
  const CAPACITY = 7;
  const times = new SentTimes(CAPACITY);
  // The slow reference: one time for each message, and which were pushed together.
  let entries: { time: number; count: number }[] = [];
  let state = 1;
  const random = (below: number): number => {
    state = Math.imul(state, 1_103_515_245) + 12_345;
    return ((state >>> 8) & 0xffff) % below;
  };
  for (let step = 0; step < 5000; step++) {
    const outstanding = entries.reduce((sum, { count }) => sum + count, 0);
    const room = CAPACITY - outstanding;
    if (room > 0 && random(2) === 0) {
      const count = 1 + random(room);
      times.push(step, count);
      entries.push({ time: step, count });
    } else if (outstanding > 0) {
      const first = entries[0]!;
      const count = 1 + random(first.count);
      times.remove(count);
      first.count -= count;
      if (first.count === 0) entries.shift();
    }
    if (random(100) === 0) {
      times.clear();
      entries = [];
    }
    expect(times.outstanding).toBe(entries.reduce((sum, { count }) => sum + count, 0));
    if (entries.length > 0) {
      expect([times.oldest, times.oldestCount]).toEqual([entries[0]!.time, entries[0]!.count]);
    }
  }
});
