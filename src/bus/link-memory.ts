import { invalidArgument, MillraceError } from '../errors.ts';
import { PairTable } from '../metrics/pair-table.ts';
import { SERVER_LIMITS } from '../options/server-limits.ts';
import { formatRing, type RingRegion, ringByteLength } from '../ring/byte-ring.ts';
import { createDoorbells } from '../ring/doorbell.ts';
import { createInterestTable } from '../ring/interest-table.ts';
import { alignUp, LINE_PAIR, MAX_THREADS } from '../ring/layout.ts';
import { createSubscriberCounts } from '../ring/subscriber-counts.ts';

/**
 * The shared memory of topics, posted to each of the threads that share them. Threads 0 to shards - 1 subscribe and
 * publish; in a server there is one more, the main thread, which only publishes.
 *
 *     inbox of 0: ring from 0, ring from 1, … from main;  inbox of 1: …
 */
export interface LinkMemory {
  readonly shards: number;
  /** Threads that publish: the shards, and in a server the main thread behind them. */
  readonly publishers: number;
  /** Bytes of a ring. */
  readonly capacity: number;
  /** Bytes that may wait for a ring with no room, for each pair of threads, with 128 more for each message. */
  readonly maxOverflow: number;
  /** The rings to each shard. Undefined: no thread has had this number yet. Each thread has an array of its own. */
  readonly inboxes: (SharedArrayBuffer | undefined)[];
  readonly doorbells: SharedArrayBuffer;
  readonly interest: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
  readonly pairs: SharedArrayBuffer;
}

/** The longest frame that crosses threads. */
export const MAX_CROSS_FRAME = 64 * 1024 * 1024;

/** The memory of a server, whose shards are known from the start. */
export function createLinkMemory(
  shards: number,
  seed: number,
  capacity: number = SERVER_LIMITS.ringSize.default,
  maxOverflow: number = SERVER_LIMITS.maxOverflow.default,
): LinkMemory {
  const memory = createTables(shards, shards + 1, seed, capacity, maxOverflow);
  for (let shard = 0; shard < shards; shard++) memory.inboxes[shard] = createInbox(memory);
  return memory;
}

/** The memory of Apps that join one by one. Each gets an inbox when it joins. */
export function createGroupMemory(seed: number, capacity: number, maxOverflow: number): LinkMemory {
  return createTables(MAX_THREADS, MAX_THREADS, seed, capacity, maxOverflow);
}

function createTables(
  shards: number,
  publishers: number,
  seed: number,
  capacity: number,
  maxOverflow: number,
): LinkMemory {
  return {
    shards,
    publishers,
    capacity,
    maxOverflow,
    inboxes: new Array<SharedArrayBuffer | undefined>(shards).fill(undefined),
    doorbells: createDoorbells(shards),
    interest: createInterestTable(undefined, seed),
    counts: createSubscriberCounts(shards, undefined, seed),
    pairs: PairTable.create(publishers, shards),
  };
}

/**
 * The rings from every publisher to one shard.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION when there is no memory for them
 */
export function createInbox({ publishers, capacity }: LinkMemory): SharedArrayBuffer {
  const stride = ringStride(capacity);
  const buffer = allocateShared(publishers * stride, capacity);
  for (let from = 0; from < publishers; from++) formatRing({ buffer, byteOffset: from * stride }, capacity);
  return buffer;
}

function allocateShared(size: number, capacity: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(size);
  } catch (cause) {
    throw new MillraceError(
      'MILLRACE_INVALID_OPTION',
      `'ringSize': the rings to one thread would take ${size} bytes, which cannot be had; ` +
        `use fewer bytes than ${capacity}, or fewer shards`,
      { cause },
    );
  }
}

function ringStride(capacity: number): number {
  return alignUp(ringByteLength(capacity), LINE_PAIR);
}

/** Where the ring of a pair of threads lies. */
export function ringRegion(memory: LinkMemory, from: number, to: number): RingRegion {
  const buffer = memory.inboxes[to];
  if (buffer === undefined) {
    throw invalidArgument(`No thread has had the number ${to} yet`);
  }
  return { buffer, byteOffset: from * ringStride(memory.capacity) };
}
