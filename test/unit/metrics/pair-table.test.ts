import { describe, expect, test } from 'vitest';
import { PairCounter, PairTable } from '../../../src/metrics/pair-table.ts';

const COUNTERS = Object.values(PairCounter);

describe('a pair table', () => {
  test('has counters of its own for every pair, that begin at 0', () => {
    const memory = PairTable.create(4, 3);
    const table = new PairTable(memory, 4, 3);
    const seen = new Map<number, string>();
    for (let from = 0; from < 4; from++) {
      for (let to = 0; to < 3; to++) {
        for (const counter of COUNTERS) {
          const counters = table.counters(from, to);
          expect(counters.get(counter)).toBe(0);
          counters.set(counter, seen.size + 1);
          seen.set(seen.size + 1, `${from} ${to} ${counter}`);
        }
      }
    }
    // Nobody has written over anybody else, as another thread sees it.
    const other = new PairTable(memory, 4, 3);
    for (const [value, place] of seen) {
      const [from, to, counter] = place.split(' ').map(Number) as [number, number, PairCounter];
      expect(other.counters(from, to).get(counter)).toBe(value);
    }
  });

  test('adds and sets numbers beyond 32 bits', () => {
    const counters = new PairTable(PairTable.create(1, 1), 1, 1).counters(0, 0);
    counters.set(PairCounter.WRITTEN, 2 ** 40);
    counters.add(PairCounter.WRITTEN, 5);
    expect(counters.get(PairCounter.WRITTEN)).toBe(2 ** 40 + 5);
    counters.set(PairCounter.WRITTEN, 0);
    expect(counters.get(PairCounter.WRITTEN)).toBe(0);
  });

  test('keeps what the two threads of a pair write two cache lines apart', () => {
    const { WRITTEN, OVERFLOWED, OVERFLOW_BYTES, DROPPED, WAKES, UNREAD } = PairCounter;
    const writers: number[] = [WRITTEN, OVERFLOWED, OVERFLOW_BYTES, DROPPED, WAKES, UNREAD];
    const readers = COUNTERS.filter((counter) => !writers.includes(counter));
    expect((Math.min(...readers) - Math.min(...writers)) * 8).toBeGreaterThanOrEqual(128);
    expect((32 - Math.min(...readers)) * 8).toBeGreaterThanOrEqual(128);
  });

  test('takes only memory of its size', () => {
    const memory = PairTable.create(3, 2);
    expect(() => new PairTable(memory, 2, 2)).toThrow(RangeError);
    expect(() => new PairTable(memory, 3, 3)).toThrow(RangeError);
    expect(() => new PairTable(memory, 3, 2).counters(3, 0)).toThrow(RangeError);
  });
});
