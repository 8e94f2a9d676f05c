import type { Slab, SlabPool } from '../net/write-memory.ts';
import { allocate, SLAB_SIZE } from '../net/write-memory.ts';
import type { Output } from '../protocol/sender.ts';

/**
 * TurnBatch: the messages published in one turn, framed, one behind the other in one slab, so that a subscriber
 * of all of them gets them in one write of the very same bytes.
 *
 *     bytes   [ frame 0 ][ frame 1 ][ frame 2 ]…
 *     starts    0          27         58        the end of a frame is the start of the next
 *
 * As the Output of a Sender it takes one frame after each `begin`.
 */
export class TurnBatch<S> implements Output {
  readonly blocked = false;
  slab: Slab;
  bytes: Uint8Array;
  /** Bytes of all frames. */
  length = 0;
  /** Messages. */
  count = 0;
  /** Tells this turn's batch from any other. */
  epoch = 0;
  readonly #slabs: SlabPool;
  readonly #starts: number[] = [];
  readonly #senders: (S | null)[] = [];
  readonly #binary: boolean[] = [];
  #view: Uint8Array | null = null;
  #viewStart = 0;
  #viewEnd = 0;

  constructor(slabs: SlabPool) {
    this.#slabs = slabs;
    this.slab = slabs.take();
    this.bytes = this.slab.bytes;
  }

  hasRoom(size: number): boolean {
    return this.length + size <= this.bytes.length;
  }

  /** Starts a message and returns its number; its frame is written next. */
  begin(sender: S | null, isBinary: boolean): number {
    this.#starts[this.count] = this.length;
    this.#senders[this.count] = sender;
    this.#binary[this.count] = isBinary;
    return this.count++;
  }

  reserve(size: number): number {
    if (!this.hasRoom(size)) this.#grow(size);
    return this.length;
  }

  commit(size: number): void {
    this.length += size;
  }

  start(message: number): number {
    return this.#starts[message]!;
  }

  end(message: number): number {
    return message + 1 === this.count ? this.length : this.#starts[message + 1]!;
  }

  senderOf(message: number): S | null {
    return this.#senders[message]!;
  }

  isBinary(message: number): boolean {
    return this.#binary[message]!;
  }

  /** A view of some of the bytes. The one made last is kept: most subscribers want the same. */
  view(start: number, end: number): Uint8Array {
    if (this.#view === null || start !== this.#viewStart || end !== this.#viewEnd) {
      this.#view = new Uint8Array(this.slab.memory, start, end - start);
      this.#viewStart = start;
      this.#viewEnd = end;
    }
    return this.#view;
  }

  /** Starts anew, in other memory when some of this is still being written, or it has grown. */
  reset(): void {
    this.count = 0;
    this.length = 0;
    this.#view = null;
    // Senders must not be kept alive by a quiet shard.
    this.#senders.length = 0;
    if (this.slab.pins > 0 || this.bytes.length > SLAB_SIZE) this.#replaceSlab(this.#slabs.take());
  }

  #grow(size: number): void {
    const bytes = allocate(2 ** Math.ceil(Math.log2(this.length + size)));
    bytes.set(this.bytes.subarray(0, this.length));
    this.#replaceSlab({ bytes, memory: bytes.buffer, pins: 0, isOpen: true });
    this.#view = null;
  }

  #replaceSlab(slab: Slab): void {
    this.#slabs.close(this.slab);
    this.slab = slab;
    this.bytes = slab.bytes;
  }
}
