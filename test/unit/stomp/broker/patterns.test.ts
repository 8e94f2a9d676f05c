import { describe, expect, it, test } from 'vitest';
import { firstSegmentOf, isPattern, PatternTrie, segmentsOf } from '../../../../src/stomp/broker/patterns.ts';
import { Random } from '../../../support/protocol/chunked.ts';
import { matches } from './reference-patterns.ts';

function isMatch(pattern: string, name: string): boolean {
  const trie = new PatternTrie<string>();
  trie.add(segmentsOf(pattern), pattern);
  const found = trie.match(segmentsOf(name)).length === 1;
  expect(matches(segmentsOf(pattern), segmentsOf(name))).toBe(found);
  return found;
}

describe('segments', () => {
  test.each([
    ['', ['']],
    ['a', ['a']],
    ['a.b/c', ['a', 'b', 'c']],
    ['.', ['', '']],
    ['a..b', ['a', '', 'b']],
    ['__proto__.constructor', ['__proto__', 'constructor']],
  ])('of %j', (name, segments) => {
    expect(segmentsOf(name)).toEqual(segments);
    expect(firstSegmentOf(name)).toBe(segments[0]);
    expect(segmentsOf(`/topic/${name}`, 7)).toEqual(segments);
    expect(firstSegmentOf(`/topic/${name}`, 7)).toBe(segments[0]);
  });

  it('are 64 at most', () => {
    expect(segmentsOf('.'.repeat(63))).toHaveLength(64);
    expect(() => segmentsOf('.'.repeat(64))).toThrow('more than 64 segments');
  });

  test.each([
    ['a.b', false],
    ['a*.b#.***', false],
    ['*', true],
    ['a.#', true],
    ['a/**/b', true],
  ])('of %j with a wildcard: %j', (name, is) => {
    expect(isPattern(segmentsOf(name))).toBe(is);
  });
});

describe('a pattern', () => {
  test.each([
    ['*', 'a', true],
    ['*', '', true],
    ['*', 'a.b', false],
    ['*.b', 'a.b', true],
    ['a.*.c', 'a/b/c', true],
    ['a.*.c', 'a.c', false],
    ['#', '', true],
    ['#', 'a.b.c', true],
    ['**', 'a/b', true],
    ['a.#', 'a', true],
    ['a.#', 'a.b.c', true],
    ['a.#', 'b', false],
    ['#.z', 'z', true],
    ['#.z', 'a.b.z', true],
    ['#.z', 'a.z.b', false],
    ['a.#.z', 'a.z', true],
    ['a.**.z', 'a.b.c.z', true],
    ['#.#', 'a', true],
    ['#.*', 'a', true],
    ['*.#.*', 'a', false],
    ['stocks.PRICE.*', 'stocks.PRICE.AAPL', true],
    ['a', 'A', false],
  ])('%j and the name %j: %j', (pattern, name, is) => {
    expect(isMatch(pattern, name)).toBe(is);
  });

  it('takes a bounded time, however many ways there are to match', () => {
    const trie = new PatternTrie<number>();
    const pattern = segmentsOf(Array.from({ length: 32 }, () => '#.a').join('.'));
    trie.add(pattern, 1);
    expect(trie.match(Array.from({ length: 64 }, () => 'a'))).toEqual([1]);
    expect(trie.match([...Array.from({ length: 63 }, () => 'a'), 'b'])).toEqual([]);
  });
});

describe('patterns', () => {
  it('match as the slow way says, while they come and go, and leave nothing behind', () => {
    const random = new Random(13);
    const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
    const pieces = (list: readonly string[], most: number): string[] =>
      Array.from({ length: 1 + random.below(most) }, () => pick(list));
    const trie = new PatternTrie<string>();
    const patterns = new Map<string, string[]>();
    // `#` and `**` are the same.
    const keyOf = (segments: readonly string[]): string =>
      segments.map((segment) => (segment === '**' ? '#' : segment)).join('.');
    for (let i = 0; i < 4000; i++) {
      const segments = pieces(['a', 'b', '', '*', '*', '#', '**'], 5);
      const key = keyOf(segments);
      if (patterns.has(key)) {
        expect(trie.get(segments)).toBe(key);
        trie.remove(segments);
        patterns.delete(key);
        expect(trie.get(segments)).toBe(undefined);
      } else {
        trie.add(segments, key);
        patterns.set(key, segments);
      }
      expect(trie.size).toBe(patterns.size);
      const name = pieces(['a', 'b', '', 'c'], 6);
      const expected = Array.from(patterns).filter(([, pattern]) => matches(pattern, name));
      expect(trie.match(name).toSorted()).toEqual(expected.map(([each]) => each).toSorted());
    }
    for (const segments of patterns.values()) trie.remove(segments);
    expect(trie.size).toBe(0);
    expect(trie.nodes).toBe(0);
  });
});
