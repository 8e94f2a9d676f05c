import { formatRing, type RingRegion, ringByteLength } from '../ring/byte-ring.ts';
import { createDoorbells } from '../ring/doorbell.ts';
import { createInterestTable } from '../ring/interest-table.ts';
import { alignUp, DEFAULT_RING_CAPACITY, LINE_PAIR } from '../ring/layout.ts';
import { PairTable } from '../ring/pair-table.ts';
import { createSubscriberCounts } from '../ring/subscriber-counts.ts';

/**
 * The shared memory of a server's topics, posted to each of its threads. Threads 0 to shards - 1 are the
 * shards; the last one is the main thread, which publishes and does not subscribe.
 *
 *     rings: from 0 to 0, from 0 to 1, … from main to the last shard
 */
export interface LinkMemory {
  readonly shards: number;
  /** Bytes of a ring. */
  readonly capacity: number;
  /** Bytes that may wait for a ring with no room, for each pair of threads, with 128 more for each message. */
  readonly maxOverflow: number;
  readonly rings: SharedArrayBuffer;
  readonly doorbells: SharedArrayBuffer;
  readonly interest: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
  readonly pairs: SharedArrayBuffer;
}

/** Bytes that may wait for a slow shard, for each pair of threads. */
export const DEFAULT_MAX_OVERFLOW = 16 * 1024 * 1024;

/** The longest frame that crosses threads. */
export const MAX_CROSS_FRAME = 64 * 1024 * 1024;

export function createLinkMemory(
  shards: number,
  seed: number,
  capacity: number = DEFAULT_RING_CAPACITY,
  maxOverflow: number = DEFAULT_MAX_OVERFLOW,
): LinkMemory {
  const memory: LinkMemory = {
    shards,
    capacity,
    maxOverflow,
    rings: new SharedArrayBuffer((shards + 1) * shards * ringStride(capacity)),
    doorbells: createDoorbells(shards),
    interest: createInterestTable(undefined, seed),
    counts: createSubscriberCounts(shards, undefined, seed),
    pairs: PairTable.create(shards + 1, shards),
  };
  for (let from = 0; from <= shards; from++) {
    for (let to = 0; to < shards; to++) formatRing(ringRegion(memory, from, to), capacity);
  }
  return memory;
}

function ringStride(capacity: number): number {
  return alignUp(ringByteLength(capacity), LINE_PAIR);
}

/** Where the ring of a pair of threads lies. */
export function ringRegion(memory: LinkMemory, from: number, to: number): RingRegion {
  const index = from * memory.shards + to;
  return { buffer: memory.rings, byteOffset: index * ringStride(memory.capacity) };
}
