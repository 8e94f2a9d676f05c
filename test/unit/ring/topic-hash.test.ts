import { describe, expect, test } from 'vitest';
import { hashTopic, secondHashTopic } from '../../../src/ring/topic-hash.ts';

const TOPICS = Array.from({ length: 100_000 }, (_, i) => `room/${i}`);

describe.each([
  ['the first hash', hashTopic],
  ['the second hash', secondHashTopic],
])('%s of a topic', (_name, hash) => {
  test('is a signed 32-bit number that depends on the topic and the seed alone', () => {
    for (const topic of ['', 'a', '__proto__', '\ud800', 'x'.repeat(65_536)]) {
      expect(hash(topic, 1)).toBe(hash(topic, 1));
      expect(hash(topic, 1)).toBe(hash(topic, 1) | 0);
      expect(hash(topic, 1)).not.toBe(hash(topic, 2));
    }
  });

  test('spreads numbered topics evenly over slots', () => {
    const slots = new Uint32Array(1024);
    for (const topic of TOPICS) slots[hash(topic, 99) & 1023]!++;
    // 98 a slot on average; a random spread stays within seven standard deviations of it.
    expect(Math.max(...slots)).toBeLessThan(98 + 70);
    expect(Math.min(...slots)).toBeGreaterThan(98 - 70);
  });

  test('collides no more than chance has it', () => {
    const distinct = new Set(TOPICS.map((topic) => hash(topic, 7)));
    expect(distinct.size).toBeGreaterThan(TOPICS.length - 20);
  });
});

test('the two hashes together tell 800,000 topics apart', () => {
  const seen = new Set<bigint>();
  for (let i = 0; i < 200_000; i++) {
    const units = String.fromCharCode(0x100 + (i & 0xff), 0x100 + (i >> 8));
    for (const topic of [`user:${i}`, `${i}`, `a/${i % 500}/b/${i}`, units]) {
      seen.add((BigInt(hashTopic(topic, 3)) << 32n) ^ BigInt(secondHashTopic(topic, 3) >>> 0));
    }
  }
  expect(seen.size).toBe(800_000);
});
