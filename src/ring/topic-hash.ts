/**
 * Hashes of topic names for the tables in shared memory. Seeded, so that who chooses topic names cannot
 * choose slots; a collision costs a discarded record, so nothing stronger is needed. Linear, over UTF-16
 * code units, and the same in every thread that has the same seed.
 */
import { FNV_OFFSET, fnv1a } from './fnv.ts';

/** 32 bits (signed) for a topic: FNV-1a with a final mix. */
export function hashTopic(topic: string, seed: number): number {
  return mix(fnv1a(topic, seed ^ FNV_OFFSET) ^ topic.length);
}

/** Another 32 bits, built differently, so that topics with the same `hashTopic` differ here. */
export function secondHashTopic(topic: string, seed: number): number {
  let hash = ~seed;
  for (let i = 0; i < topic.length; i++) {
    hash ^= Math.imul(topic.charCodeAt(i) + 1, 0xcc9e_2d51);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe654_6b64) | 0;
  }
  return mix(hash);
}

/** Spreads every bit of the hash over all of them (the finalizer of MurmurHash3). */
function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
