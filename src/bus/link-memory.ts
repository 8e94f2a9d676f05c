import { invalidArgument, MillraceError } from '../errors.ts';
import { newHashKey } from '../keyed-hash.ts';
import { PairTable } from '../metrics/pair-table.ts';
import { SERVER_LIMITS } from '../options/server-limits.ts';
import { formatRing, type RingRegion, ringByteLength } from '../ring/byte-ring.ts';
import { createDoorbells } from '../ring/doorbell.ts';
import { createInterestTable } from '../ring/interest-table.ts';
import { alignUp, LINE_PAIR, MAX_THREADS } from '../ring/layout.ts';
import { ParticipantTable } from '../ring/participant-table.ts';
import { createSubscriberCounts } from '../ring/subscriber-counts.ts';
import type { OwnershipTerms } from './ownership.ts';

/**
 * The shared memory of participants, posted to each of the threads that are some. Each has a number: in a server the
 * shards have 0 to shards - 1, behind them come the main thread and one that is kept for a bridge; among joined Apps the
 * acceptor has 0. A number means no more than that: what a thread is its role says (ring/participant-table.ts).
 *
 *     inbox of 0: ring from 0, ring from 1, …;  inbox of 1: …
 */
export interface LinkMemory {
  /** Numbers there are. */
  readonly threads: number;
  /** Bytes of a ring. */
  readonly capacity: number;
  /** Bytes that may wait for a ring with no room, for each pair of threads, with 128 more for each message. */
  readonly maxOverflow: number;
  /** The rings to each thread. Undefined: no thread has had this number yet. Each thread has an array of its own. */
  readonly inboxes: (SharedArrayBuffer | undefined)[];
  readonly participants: SharedArrayBuffer;
  readonly doorbells: SharedArrayBuffer;
  readonly interest: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
  readonly pairs: SharedArrayBuffer;
  /** Who owns names. */
  readonly owners: OwnershipTerms;
}

/** The longest frame that crosses threads. */
export const MAX_CROSS_FRAME = 64 * 1024 * 1024;

/** The number of a server's main thread. */
export function mainThreadOf(shards: number): number {
  return shards;
}

/** The number of a server's bridge; with 63 shards there is none left. */
export function bridgeThreadOf(shards: number): number {
  return shards + 1;
}

/** The memory of a server, whose shards are known from the start. */
export function createLinkMemory(
  shards: number,
  seed: number,
  capacity: number = SERVER_LIMITS.ringSize.default,
  maxOverflow: number = SERVER_LIMITS.maxOverflow.default,
): LinkMemory {
  const memory = createTables(
    Math.min(bridgeThreadOf(shards) + 1, MAX_THREADS),
    seed,
    capacity,
    maxOverflow,
    { key: newHashKey(), threads: shards },
  );
  for (let thread = 0; thread < memory.threads; thread++) memory.inboxes[thread] = createInbox(memory);
  return memory;
}

/** The memory of Apps that join one by one. Each gets an inbox when it joins. */
export function createGroupMemory(seed: number, capacity: number, maxOverflow: number): LinkMemory {
  return createTables(MAX_THREADS, seed, capacity, maxOverflow, { key: newHashKey(), threads: 1 });
}

function createTables(
  threads: number,
  seed: number,
  capacity: number,
  maxOverflow: number,
  owners: OwnershipTerms,
): LinkMemory {
  return {
    threads,
    capacity,
    maxOverflow,
    inboxes: new Array<SharedArrayBuffer | undefined>(threads).fill(undefined),
    participants: ParticipantTable.create(threads),
    doorbells: createDoorbells(threads),
    interest: createInterestTable(undefined, seed),
    counts: createSubscriberCounts(threads, undefined, seed),
    pairs: PairTable.create(threads, threads),
    owners,
  };
}

/**
 * The rings from every thread to one.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION when there is no memory for them
 */
export function createInbox({ threads, capacity }: LinkMemory): SharedArrayBuffer {
  const stride = ringStride(capacity);
  const buffer = allocateShared(threads * stride, capacity);
  for (let from = 0; from < threads; from++) formatRing({ buffer, byteOffset: from * stride }, capacity);
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
