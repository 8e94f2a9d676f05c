import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createSubscriberCounts,
  LocalCounts,
  SubscriberCounts,
} from '../../../src/ring/subscriber-counts.ts';

describe('subscriber counts', () => {
  test('add up over the threads', () => {
    const counts = new SubscriberCounts(createSubscriberCounts(3, 64, 9));
    const locals = [0, 1, 2].map((thread) => new LocalCounts(counts, thread));
    locals[0]!.set('a', 5, 0);
    locals[1]!.set('a', 7, 0);
    locals[2]!.set('b', 1, 0);
    expect([counts.count('a'), counts.count('b'), counts.count('c'), counts.count('')]).toEqual([
      12, 1, 0, 0,
    ]);
    expect([counts.count('a', 0b110), counts.count('a', 0b101), counts.count('a', 0b011)]).toEqual([
      7, 5, 12,
    ]);
    expect([counts.count('a', 0), counts.count('a', 0, -1)]).toEqual([0, 0]);
    locals[1]!.set('a', 0, 7);
    expect(counts.count('a')).toBe(5);
  });

  test('follow any order of changes', () => {
    const change = fc.tuple(
      fc.integer({ min: 0, max: 1 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 0, max: 3 }),
    );
    const property = fc.property(
      fc.array(change, { maxLength: 400, size: 'max' }),
      fc.integer(),
      (changes, seed) => {
        const counts = new SubscriberCounts(createSubscriberCounts(2, 256, seed));
        const locals = [new LocalCounts(counts, 0), new LocalCounts(counts, 1)];
        const model = [new Map<string, number>(), new Map<string, number>()];
        for (const [thread, number, count] of changes) {
          const topic = `topic ${number}`;
          locals[thread]!.set(topic, count, model[thread]!.get(topic) ?? 0);
          model[thread]!.set(topic, count);
        }
        for (let i = 0; i <= 40; i++) {
          const topic = `topic ${i}`;
          expect(counts.count(topic)).toBe((model[0]!.get(topic) ?? 0) + (model[1]!.get(topic) ?? 0));
        }
        expect(locals.map((local) => local.uncounted)).toEqual([0, 0]);
      },
    );
    fc.assert(property, { numRuns: 200 });
  });

  test('hold half of what they have room for without loss', () => {
    const counts = new SubscriberCounts(createSubscriberCounts(1, 8192, 1));
    const local = new LocalCounts(counts, 0);
    for (let i = 0; i < 4096; i++) local.set(`room/${i}`, i + 1, 0);
    expect(local.uncounted).toBe(0);
    for (let i = 0; i < 4096; i++) expect(counts.count(`room/${i}`)).toBe(i + 1);
    for (let i = 0; i < 4096; i++) local.set(`room/${i}`, 0, i + 1);
    for (let i = 0; i < 4096; i++) expect(counts.count(`room/${i}`)).toBe(0);
  });

  test('grow with the topics of each thread, and miss none', () => {
    const buffer = createSubscriberCounts(3, 64, 7);
    const counts = new SubscriberCounts(buffer);
    // Made before there is anything to be seen.
    const reader = new SubscriberCounts(buffer);
    const before = buffer.byteLength;
    const locals = [0, 1, 2].map((thread) => new LocalCounts(counts, thread));
    const topics = 5000;
    for (let i = 0; i < topics; i++) {
      for (const [thread, local] of locals.entries()) local.set(`${thread % 2}/${i}`, i + 1, 0);
    }
    expect(locals.map(({ uncounted }) => uncounted)).toEqual([0, 0, 0]);
    expect(buffer.byteLength).toBeGreaterThan(before);
    for (let i = 0; i < topics; i++) {
      expect([reader.count(`0/${i}`), reader.count(`1/${i}`)]).toEqual([2 * (i + 1), i + 1]);
    }
    expect([reader.count('2/1'), reader.hasUncounted()]).toEqual([0, false]);
    for (let i = 0; i < topics; i++) locals[0]!.set(`0/${i}`, 0, i + 1);
    for (let i = 0; i < topics; i++) expect(reader.count(`0/${i}`)).toBe(i + 1);
    // What there is, is used again, also by the next thread of that number.
    const size = buffer.byteLength;
    const next = new LocalCounts(new SubscriberCounts(buffer), 0);
    for (let i = 0; i < topics; i++) next.set(`n/${i}`, 1, 0);
    expect(buffer.byteLength).toBe(size);
    for (let i = 0; i < topics; i++) expect(reader.count(`n/${i}`)).toBe(1);
    expect(new LocalCounts(counts, 0).uncounted).toBe(0);
    expect(reader.count('n/1')).toBe(0);
  });

  test('of 150,000 topics of a thread are all there', () => {
    const counts = new SubscriberCounts(createSubscriberCounts(2, undefined, 1234));
    const local = new LocalCounts(counts, 1);
    const missing: string[] = [];
    for (let i = 0; i < 150_000; i++) local.set(`topic ${i}`, 3, 0);
    for (let i = 0; i < 150_000; i++) if (counts.count(`topic ${i}`) !== 3) missing.push(`topic ${i}`);
    expect(missing).toEqual([]);
  });

  test('beyond all memory are lower bounds, and say so', () => {
    const counts = new SubscriberCounts(createSubscriberCounts(2, 16, 1, 0));
    const local = new LocalCounts(counts, 0);
    const other = new SubscriberCounts(createSubscriberCounts(2, 16, 1, 0));
    expect([counts.hasUncounted(), other.hasUncounted()]).toEqual([false, false]);
    for (let i = 0; i < 100; i++) local.set(`t${i}`, 1, 0);
    const sum = (): number =>
      Array.from({ length: 100 }, (_, i) => counts.count(`t${i}`)).reduce((a, b) => a + b);
    expect(local.uncounted).toBeGreaterThanOrEqual(84);
    expect(sum()).toBe(100 - local.uncounted);
    expect([counts.uncounted(0), counts.uncounted(1)]).toEqual([local.uncounted, 0]);
    expect([counts.hasUncounted(), counts.hasUncounted(0b01), counts.hasUncounted(0b10)]).toEqual([
      true,
      true,
      false,
    ]);
    for (let i = 0; i < 100; i++) local.set(`t${i}`, 2, 1);
    expect(sum()).toBe(2 * (100 - local.uncounted));
    for (let i = 0; i < 100; i++) local.set(`t${i}`, 0, 2);
    expect([local.uncounted, sum(), counts.hasUncounted()]).toEqual([0, 0, false]);
    local.set('t5', 3, 0);
    expect(counts.count('t5')).toBe(3);
  });

  test('of a thread that has ended are forgotten, those of others are not', () => {
    const counts = new SubscriberCounts(createSubscriberCounts(3, 64));
    const locals = [0, 1, 2].map((thread) => new LocalCounts(counts, thread));
    for (const local of locals) for (let i = 0; i < 20; i++) local.set(`t${i}`, 1, 0);
    counts.clearThread(1);
    for (let i = 0; i < 20; i++) expect(counts.count(`t${i}`)).toBe(2);
    void new LocalCounts(counts, 2);
    for (let i = 0; i < 20; i++) expect(counts.count(`t${i}`)).toBe(1);
  });

  test('refuse what they cannot be', () => {
    const invalid = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' });
    for (const threads of [0, 65, 1.5]) expect(() => createSubscriberCounts(threads)).toThrow(invalid);
    for (const topics of [0, 4, 100]) expect(() => createSubscriberCounts(1, topics)).toThrow(invalid);
    expect(() => new SubscriberCounts(new SharedArrayBuffer(4096))).toThrow(invalid);
    const counts = new SubscriberCounts(createSubscriberCounts(2, 8));
    for (const thread of [-1, 2, 0.5]) expect(() => new LocalCounts(counts, thread)).toThrow(invalid);
  });
});
