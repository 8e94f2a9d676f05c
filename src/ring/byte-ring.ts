/**
 * A single-producer single-consumer byte ring in shared memory.
 *
 *      tail                     head            next
 *       │ committed, not read    │ claimed       │
 *  ─────┴────────────────────────┴───────────────┴──────────▶ cursors, 32 bits, counting bytes for ever
 *        consumer reads here      producer writes here
 *
 * A cursor's low bits are the position in the data area. Records are 8-byte aligned and never straddle the
 * end: a padding record fills what is left. Nothing claimed is visible until `commit` moves the head, so a
 * producer that dies in the middle of a write leaves no trace of it.
 *
 * Each side keeps its own cursor privately, trusts it above shared memory, and puts right what it finds
 * broken there. Every record carries a stamp of its cursor, length and producer epoch: the consumer meets
 * left-over or damaged bytes as a mismatch, reports it and goes on at the live edge. The stamp covers the
 * framing of records, not their contents.
 */
import { invalidArgument } from '../errors.ts';
import {
  alignUp,
  DEFAULT_RING_CAPACITY,
  isPowerOfTwo,
  LAYOUT_VERSION,
  LINE_PAIR,
  MAX_RING_CAPACITY,
  MIN_RING_CAPACITY,
  RECORD_ALIGNMENT,
  RecordHeader,
  RING_MAGIC,
  RingHeader,
} from './layout.ts';

/** A place for a ring: can be posted to another thread as it is. */
export interface RingRegion {
  readonly buffer: SharedArrayBuffer;
  /** A multiple of 128. */
  readonly byteOffset: number;
}

/** Indices of the two cursors in the header's words. */
export const HEAD: number = RingHeader.HEAD >> 2;
export const TAIL: number = RingHeader.TAIL >> 2;
export const HEADER_BYTES: number = RecordHeader.BYTES;
/** A stamp holds this much of the producer's epoch. */
export const EPOCH_MASK = 0xff;

/** Bytes a ring of this capacity takes in shared memory. */
export function ringByteLength(capacity: number): number {
  return RingHeader.DATA + capacity;
}

/**
 * Makes a ring in a SharedArrayBuffer of its own.
 *
 * @param capacity bytes for records, a power of two from 64 bytes to 512 MiB (256 KiB)
 * @param startCursor the first cursor, a multiple of 8 (0); tests start close to where 32 bits wrap
 */
export function createRing(capacity: number = DEFAULT_RING_CAPACITY, startCursor = 0): RingRegion {
  checkCapacity(capacity);
  const region = { buffer: new SharedArrayBuffer(ringByteLength(capacity)), byteOffset: 0 };
  formatRing(region, capacity, startCursor);
  return region;
}

/** Writes the header of an empty ring, with the arguments of `createRing`. Neither side may be attached. */
export function formatRing(region: RingRegion, capacity: number, startCursor = 0): void {
  checkCapacity(capacity);
  checkPlace(region, ringByteLength(capacity));
  const header = new Int32Array(region.buffer, region.byteOffset, RingHeader.DATA >> 2);
  header.fill(0);
  header[RingHeader.VERSION >> 2] = LAYOUT_VERSION;
  header[RingHeader.CAPACITY >> 2] = capacity;
  header[HEAD] = startCursor | 0;
  header[TAIL] = startCursor | 0;
  // Publishes the words above: who reads the magic sees them all.
  Atomics.store(header, RingHeader.MAGIC >> 2, RING_MAGIC);
}

/** Bytes committed and not yet read, as a third thread sees them. */
export function ringDepth(region: RingRegion): number {
  const { header, capacity } = openRing(region);
  // Orders nothing: two moments of a moving picture, of which only the difference is shown.
  const used = (Atomics.load(header, HEAD) - Atomics.load(header, TAIL)) | 0;
  return Math.min(Math.max(used, 0), capacity);
}

/** The views both sides work with. */
export interface RingViews {
  readonly header: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly capacity: number;
}

export function openRing(region: RingRegion): RingViews {
  checkPlace(region, RingHeader.DATA);
  const { buffer, byteOffset } = region;
  const header = new Int32Array(buffer, byteOffset, RingHeader.DATA >> 2);
  // Orders the reads of version and capacity after the format that wrote them.
  const magic = Atomics.load(header, RingHeader.MAGIC >> 2);
  const capacity = header[RingHeader.CAPACITY >> 2]!;
  if (magic !== RING_MAGIC || header[RingHeader.VERSION >> 2] !== LAYOUT_VERSION || !isPowerOfTwo(capacity)) {
    throw invalidArgument('This memory holds no ring of this version');
  }
  checkPlace(region, ringByteLength(capacity));
  const start = byteOffset + RingHeader.DATA;
  return {
    header,
    bytes: new Uint8Array(buffer, start, capacity),
    words: new Int32Array(buffer, start, capacity >> 2),
    capacity,
  };
}

function checkCapacity(capacity: number): void {
  if (isPowerOfTwo(capacity) && capacity >= MIN_RING_CAPACITY && capacity <= MAX_RING_CAPACITY) return;
  throw invalidArgument(`A ring's capacity must be a power of two from 64 to 2^29, not ${capacity}`);
}

function checkPlace(region: RingRegion, byteLength: number): void {
  const aligned = region.byteOffset >= 0 && region.byteOffset % LINE_PAIR === 0;
  if (aligned && region.byteOffset + byteLength <= region.buffer.byteLength) return;
  throw invalidArgument('A ring must lie inside its buffer, at a multiple of 128 bytes');
}

/** Bytes a record with `length` bytes takes. */
export function recordSize(length: number): number {
  return alignUp(length + HEADER_BYTES, RECORD_ALIGNMENT);
}

/** Tells a record written here, in this lap, with this length, from anything else: 24 bits of check. */
export function stampOf(cursor: number, length: number, epoch: number): number {
  const mixed = Math.imul(cursor ^ Math.imul(length + epoch * 0x1_0001, 0x85eb_ca6b), 0x9e37_79b1);
  return (mixed & ~EPOCH_MASK) | epoch;
}

/** Can `tail` and `head` be the cursors of a ring of this capacity? */
export function isSane(used: number, cursor: number, capacity: number): boolean {
  return used >= 0 && used <= capacity && (cursor & (RECORD_ALIGNMENT - 1)) === 0;
}
