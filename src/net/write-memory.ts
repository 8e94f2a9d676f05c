import { BufferPool } from '../protocol/buffer-pool.ts';

/**
 * Memory that frames are written into on their way to the kernel.
 *
 * A slab is cork memory: the socket whose bytes are being handled writes its frames here, and all of them go
 * out in one write when the handler is done.
 *
 *     slab  [ in flight for A ][ in flight for B ][ cork ──▶ free          ]
 *                                                 └ start  └ start + length
 *
 * The kernel nearly always takes a write at once, and the cork starts again at the same place. When it does
 * not, those bytes belong to libuv until the write completes: the slab is pinned and the cork moves on behind
 * them. A slab without pins starts from the front.
 */
export interface Slab {
  readonly bytes: Uint8Array;
  readonly memory: ArrayBufferLike;
  /** Writes in flight out of it. */
  pins: number;
}

/** Bytes of a slab. A message larger than this is written from a block of its own. */
export const SLAB_SIZE = 64 * 1024;

/** Slabs kept for reuse. */
const MAX_SPARE_SLABS = 64;

export class Cork {
  slab: Slab = newSlab();
  start = 0;
  length = 0;
  readonly #spare: Slab[] = [];

  /** The position for `size` more bytes, or -1: flush first (or, when nothing is corked, it is too large). */
  reserve(size: number): number {
    const at = this.start + this.length;
    if (at + size <= SLAB_SIZE) return at;
    if (this.length > 0 || size > SLAB_SIZE) return -1;
    if (this.slab.pins > 0) this.slab = this.#spare.pop() ?? newSlab();
    this.start = 0;
    return 0;
  }

  /** The corked bytes are in flight: they stay as they are until `unpin`. */
  pin(): Slab {
    this.slab.pins++;
    this.start += this.length;
    this.length = 0;
    return this.slab;
  }

  unpin(slab: Slab): void {
    if (--slab.pins > 0) return;
    if (slab === this.slab) {
      if (this.length === 0) this.start = 0;
    } else if (this.#spare.length < MAX_SPARE_SLABS) {
      this.#spare.push(slab);
    }
  }
}

function newSlab(): Slab {
  const bytes = Buffer.allocUnsafeSlow(SLAB_SIZE);
  return { bytes, memory: bytes.buffer, pins: 0 };
}

/** Bytes that wait for their turn on one socket. */
export interface Block {
  bytes: Uint8Array;
  length: number;
}

/** Memory with undefined content, whose text methods are native. */
export function allocate(size: number): Buffer {
  return Buffer.allocUnsafeSlow(size);
}

/** The smallest block: one small message for a socket that is not being read. */
const MIN_BLOCK = 1024;

/** Blocks and the memory in them, lent to write queues. */
export class BlockPool {
  readonly #memory = new BufferPool(16 * 1024 * 1024, allocate);
  readonly #blocks: Block[] = [];

  take(size: number): Block {
    const bytes = this.#memory.take(Math.max(size, MIN_BLOCK));
    const block = this.#blocks.pop() ?? { bytes, length: 0 };
    block.bytes = bytes;
    return block;
  }

  give(block: Block): void {
    this.#memory.give(block.bytes);
    block.bytes = NO_BYTES;
    block.length = 0;
    if (this.#blocks.length < 4096) this.#blocks.push(block);
  }
}

const NO_BYTES = new Uint8Array(0);
