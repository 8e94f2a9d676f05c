import { describe, expect, it } from 'vitest';
import { SharedOwnership, SoleOwnership } from '../../../src/bus/ownership.ts';

describe('ownership of names', () => {
  it('is the same for all that have the key, among all shards, and spread evenly over them', () => {
    for (const shards of [1, 2, 3, 8, 32]) {
      const mine = new SharedOwnership({ key: [1, 2], threads: shards });
      const another = new SharedOwnership({ key: [1, 2], threads: shards });
      const owned = new Array<number>(shards).fill(0);
      for (let i = 0; i < 400 * shards; i++) {
        const owner = mine.ownerOf(`/queue/${i}`);
        expect(another.ownerOf(`/queue/${i}`)).toBe(owner);
        owned[owner]!++;
      }
      expect(Math.min(...owned)).toBeGreaterThan(300);
      expect(Math.max(...owned)).toBeLessThan(500);
    }
  });

  it('of names that one key gives to one shard, another key gives that shard no more than its share', () => {
    const known = new SharedOwnership({ key: [1, 2], threads: 8 });
    const secret = new SharedOwnership({ key: [-3, 4], threads: 8 });
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
