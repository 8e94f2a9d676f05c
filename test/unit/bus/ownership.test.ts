import { describe, expect, it } from 'vitest';
import { ShardOwnership, SoleOwnership } from '../../../src/bus/ownership.ts';

describe('ownership of names', () => {
  it('is the same for all that have the key, among all shards, and spread evenly over them', () => {
    for (const shards of [1, 2, 3, 8, 63]) {
      const mine = new ShardOwnership([1, 2], shards);
      const another = new ShardOwnership([1, 2], shards);
      const owned = new Array<number>(shards).fill(0);
      for (let i = 0; i < 1000 * shards; i++) {
        const owner = mine.ownerOf(`/queue/${i}`);
        expect(another.ownerOf(`/queue/${i}`)).toBe(owner);
        owned[owner]!++;
      }
      expect(Math.min(...owned)).toBeGreaterThan(800);
      expect(Math.max(...owned)).toBeLessThan(1200);
    }
  });

  it('of names that one key gives to one shard, another key gives that shard no more than its share', () => {
    const known = new ShardOwnership([1, 2], 8);
    const secret = new ShardOwnership([-3, 4], 8);
    const chosen = Array.from({ length: 40_000 }, (_, i) => `q${i}`).filter(
      (name) => known.ownerOf(name) === 0,
    );
    const owned = new Array<number>(8).fill(0);
    for (const name of chosen) owned[secret.ownerOf(name)]!++;
    expect(Math.max(...owned)).toBeLessThan(chosen.length / 6);
  });

  it('is one thread for all names where there are no shards', () => {
    const sole = new SoleOwnership(0);
    expect(['a', 'b', ''].map((name) => sole.ownerOf(name))).toEqual([0, 0, 0]);
  });
});
