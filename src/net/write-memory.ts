import { markAsUntransferable } from 'node:worker_threads';
import { BufferPool } from '../protocol/buffer-pool.ts';
import { ViewTable } from './view-table.ts';

/**
 * Memory that frames are written into on their way to the kernel.
 *
 * A slab takes frames one behind the other, to go out in one write. The kernel nearly always takes a write at
 * once, and the memory is free again. When it does not, those bytes belong to libuv until the write completes:
 * the slab is pinned, and what comes next goes behind them or into another slab.
 *
 *     slab  [ in flight for A ][ in flight for B ][ cork ──▶ free          ]
 *                                                 └ start  └ start + length
 */
export interface Slab {
  readonly bytes: Uint8Array;
  readonly memory: ArrayBufferLike;
  /** Writes in flight out of it. */
  pins: number;
  /** Somebody is still writing into it. */
  isOpen: boolean;
}

/** Bytes of a slab. A message larger than this is written from memory of its own. */
export const SLAB_SIZE = 64 * 1024;

/** Slabs kept for reuse. */
const MAX_SPARE_SLABS = 64;

/** The slabs of one thread. */
export class SlabPool {
  readonly #spare: Slab[] = [];

  /** A slab without pins, open. */
  take(): Slab {
    const slab = this.#spare.pop();
    if (slab === undefined) {
      const bytes = allocate(SLAB_SIZE);
      return { bytes, memory: bytes.buffer, pins: 0, isOpen: true };
    }
    slab.isOpen = true;
    return slab;
  }

  /** The taker of the slab writes into it no more; the slab is free once its writes are complete, if it is one of ours. */
  close(slab: Slab): void {
    slab.isOpen = false;
    this.#recycle(slab);
  }

  unpin(slab: Slab): void {
    slab.pins--;
    this.#recycle(slab);
  }

  #recycle(slab: Slab): void {
    if (slab.pins > 0 || slab.isOpen || slab.bytes.length !== SLAB_SIZE) return;
    if (this.#spare.length < MAX_SPARE_SLABS) this.#spare.push(slab);
  }
}

/** Cork memory: where the socket whose bytes are being handled writes its frames. */
export class Cork {
  /** The memory, until a `reserve` takes other. */
  bytes: Uint8Array;
  start = 0;
  length = 0;
  /** Corked bytes lie before `start` that are not written yet. */
  #isKeeping = false;
  #slab: Slab;
  readonly #slabs: SlabPool;
  readonly #views: ViewTable;

  constructor(slabs: SlabPool) {
    this.#slabs = slabs;
    this.#slab = slabs.take();
    this.bytes = this.#slab.bytes;
    this.#views = new ViewTable(this.bytes);
  }

  /** The position for `size` more bytes, or -1: flush first (or, when nothing is corked, it is too large). */
  reserve(size: number): number {
    const at = this.start + this.length;
    if (at + size <= SLAB_SIZE) return at;
    if (this.length > 0 || size > SLAB_SIZE) return -1;
    if (this.#slab.pins > 0) {
      this.#slabs.close(this.#slab);
      this.#slab = this.#slabs.take();
      this.bytes = this.#slab.bytes;
      // A slab lasts for 64 KiB at least.
      this.#views.turnTo(this.bytes);
    }
    this.start = 0;
    return 0;
  }

  /** Bytes that `reserve` gives without a write of what is corked. */
  get room(): number {
    return this.length === 0 ? SLAB_SIZE : SLAB_SIZE - this.start - this.length;
  }

  /** What is corked. */
  view(): Uint8Array {
    return this.viewOf(this.start, this.length);
  }

  viewOf(start: number, length: number): Uint8Array {
    return this.#views.view(this.bytes, start, length);
  }

  /** The corked bytes are written. */
  written(): void {
    this.length = 0;
    this.#rewind();
  }

  /** What is corked waits to be written; the next is corked `size` bytes behind its start. */
  keep(size: number): void {
    this.#isKeeping = true;
    this.start += size;
    this.length = 0;
  }

  /** Nothing waits any more. */
  letGo(): void {
    this.#isKeeping = false;
    if (this.length === 0) this.#rewind();
  }

  /** The corked bytes are in flight: they stay as they are until the slab is unpinned. */
  pin(): Slab {
    this.start += this.length;
    this.length = 0;
    return this.pinKept();
  }

  /** Bytes that waited are in flight. */
  pinKept(): Slab {
    this.#slab.pins++;
    return this.#slab;
  }

  #rewind(): void {
    if (this.#slab.pins === 0 && !this.#isKeeping) this.start = 0;
  }
}

/** Bytes that wait for their turn on one socket. */
export interface Block {
  bytes: Uint8Array;
  length: number;
  /** Other sockets wait with the same bytes: nothing may be added, and the memory is not the pool's. */
  isShared: boolean;
}

/** The smallest block: one small message for a socket that is not being read. */
const MIN_BLOCK = 1024;

/** Block objects kept for reuse. */
const MAX_SPARE_BLOCKS = 4096;

/** Blocks and the memory in them, lent to write queues. */
export class BlockPool {
  readonly #memory = new BufferPool(16 * 1024 * 1024, allocate);
  readonly #blocks: Block[] = [];

  take(size: number): Block {
    return this.#block(this.#memory.take(Math.max(size, MIN_BLOCK)), 0, false);
  }

  /** A block over bytes that others use too and that never change. */
  share(bytes: Uint8Array): Block {
    return this.#block(bytes, bytes.length, true);
  }

  give(block: Block): void {
    if (!block.isShared) this.#memory.give(block.bytes);
    block.bytes = NO_BYTES;
    block.length = 0;
    if (this.#blocks.length < MAX_SPARE_BLOCKS) this.#blocks.push(block);
  }

  #block(bytes: Uint8Array, length: number, isShared: boolean): Block {
    const block = this.#blocks.pop();
    if (block === undefined) return { bytes, length, isShared };
    block.bytes = bytes;
    block.length = length;
    block.isShared = isShared;
    return block;
  }
}

/** What waits to be written on a socket, and what a write in flight was made from. */
export interface Backlog {
  /** Oldest first. */
  readonly blocks: Block[];
  /** Bytes in them. */
  bytes: number;
  /** The bytes leave at the end of the turn. */
  isDirty: boolean;
  inFlightSlab: Slab | null;
  inFlightBlock: Block | null;
}

/** Backlogs, lent to sockets that have one. */
export class BacklogPool {
  readonly #spare: Backlog[] = [];

  take(): Backlog {
    const spare = this.#spare.pop();
    return spare ?? { blocks: [], bytes: 0, isDirty: false, inFlightSlab: null, inFlightBlock: null };
  }

  /** @param backlog with nothing in it */
  give(backlog: Backlog): void {
    backlog.isDirty = false;
    if (this.#spare.length < MAX_SPARE_BLOCKS) this.#spare.push(backlog);
  }
}

const NO_BYTES = new Uint8Array(0);

/** Memory with undefined content, whose text methods are native. */
export function allocate(size: number): Buffer {
  return Buffer.allocUnsafeSlow(size);
}

/** The same for reads, which go on into it: a handler that has a view of it cannot send it to another thread. */
export function allocateTarget(size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  markAsUntransferable(bytes.buffer);
  return bytes;
}
