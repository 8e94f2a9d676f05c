import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createInterestTable, InterestTable, LocalInterest } from '../../../src/ring/interest-table.ts';

/** All threads with interest in a topic. */
function targets(table: InterestTable, topic: string): number[] {
  const slot = table.slotOf(table.hash(topic));
  const words = [table.targetsLow(slot), table.targetsHigh(slot)];
  return Array.from({ length: 64 }, (_, thread) => thread).filter((t) => (words[t >> 5]! >>> (t & 31)) & 1);
}

describe('the interest table', () => {
  test('has a bit for each of 64 threads', () => {
    const buffer = createInterestTable(64, 5);
    const table = new InterestTable(buffer);
    const locals = Array.from(
      { length: 64 },
      (_, thread) => new LocalInterest(new InterestTable(buffer), thread),
    );
    const hash = table.hash('news');
    locals.forEach((local, thread) => {
      local.add(hash);
      expect(targets(table, 'news')).toEqual(Array.from({ length: thread + 1 }, (_, i) => i));
    });
    for (const thread of [31, 0, 63, 32]) locals[thread]!.remove(hash);
    expect(targets(table, 'news')).toHaveLength(60);
    expect(targets(table, 'news')).not.toContain(31);
  });

  test('hashes alike in all threads, by the seed of its maker', () => {
    const buffer = createInterestTable(64, 5);
    expect(new InterestTable(buffer).hash('a')).toBe(new InterestTable(buffer).hash('a'));
    expect(new InterestTable(createInterestTable(64, 6)).hash('a')).not.toBe(
      new InterestTable(buffer).hash('a'),
    );
  });

  test('forgets a thread that has ended, and no other', () => {
    const table = new InterestTable(createInterestTable(16));
    const locals = [3, 31, 32, 63].map((thread) => new LocalInterest(table, thread));
    for (const local of locals) for (let i = 0; i < 100; i++) local.add(i);
    for (const [index, thread] of [3, 31, 32, 63].entries()) {
      table.clearThread(thread);
      for (let slot = 0; slot < 16; slot++) {
        const left = [3, 31, 32, 63].slice(index + 1);
        expect(table.targetsLow(slot) >>> 0).toBe(
          left.filter((t) => t < 32).reduce((sum, t) => sum + 2 ** t, 0),
        );
        expect(table.targetsHigh(slot) >>> 0).toBe(
          left.filter((t) => t > 31).reduce((sum, t) => sum + 2 ** (t - 32), 0),
        );
      }
    }
  });

  test('begins empty for a thread that replaces another', () => {
    const table = new InterestTable(createInterestTable(16));
    new LocalInterest(table, 40).add(table.hash('x'));
    expect(targets(table, 'x')).toEqual([40]);
    const next = new LocalInterest(table, 40);
    expect(targets(table, 'x')).toEqual([]);
    next.add(table.hash('x'));
    expect(targets(table, 'x')).toEqual([40]);
  });

  test('never misses a topic that is subscribed to, and drops the bit with the last topic of its slot', () => {
    const op = fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 30 }), fc.boolean());
    const property = fc.property(fc.array(op, { maxLength: 300, size: 'max' }), (ops) => {
      const table = new InterestTable(createInterestTable(8, 11));
      const threads = [0, 33, 63];
      const locals = threads.map((thread) => new LocalInterest(table, thread));
      const subscribed = threads.map(() => new Set<string>());
      for (const [who, number, add] of ops) {
        const topic = `t${number}`;
        if (add === subscribed[who]!.has(topic)) continue;
        if (add) locals[who]!.add(table.hash(topic));
        else locals[who]!.remove(table.hash(topic));
        if (add) subscribed[who]!.add(topic);
        else subscribed[who]!.delete(topic);
        const slot = table.slotOf(table.hash(topic));
        // Exact by slot: that is both no miss and no bit left behind.
        const expected = threads.filter((_, i) =>
          [...subscribed[i]!].some((t) => table.slotOf(table.hash(t)) === slot),
        );
        expect(targets(table, topic)).toEqual(expected);
        expect(locals[who]!.has(table.hash(topic))).toBe(expected.includes(threads[who]!));
      }
    });
    fc.assert(property, { numRuns: 200 });
  });

  test('refuses what it cannot be', () => {
    const invalid = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' });
    for (const slots of [0, 3, -1, 1.5]) expect(() => createInterestTable(slots)).toThrow(invalid);
    expect(() => new InterestTable(new SharedArrayBuffer(4096))).toThrow(invalid);
    const table = new InterestTable(createInterestTable(8));
    for (const thread of [-1, 64, 1.5]) expect(() => new LocalInterest(table, thread)).toThrow(invalid);
    expect(() => new LocalInterest(table, 1).remove(5)).toThrow(invalid);
  });
});
