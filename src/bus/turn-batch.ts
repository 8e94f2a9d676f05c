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
 *
 * Once a message is to go out compressed there is a variant of the batch for each kind of socket that takes it so: the
 * same messages, some of them compressed. Variants take over what they lack when they are asked for.
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
  /** By window bits; null: there are none. */
  #variants: (TurnBatch<S> | undefined)[] | null = null;
  readonly #spareVariants: TurnBatch<S>[] = [];
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

  /** Whether some of its messages have compressed variants. */
  get hasVariants(): boolean {
    return this.#variants !== null;
  }

  /** What a socket that takes compressed messages with this window is sent. */
  variantFor(bits: number): TurnBatch<S> {
    const variant = this.#variants?.[bits];
    if (variant === undefined) return this;
    variant.#takeOver(this, this.count);
    return variant;
  }

  /** The message begun last is `frame` in this variant. */
  addVariant(bits: number, frame: Uint8Array): void {
    this.#variants ??= [];
    const variant = (this.#variants[bits] ??= this.#spareVariants.pop() ?? new TurnBatch<S>(this.#slabs));
    const number = this.count - 1;
    variant.#takeOver(this, number);
    variant.begin(null, this.isBinary(number));
    variant.bytes.set(frame, variant.reserve(frame.length));
    variant.commit(frame.length);
  }

  /** Makes the messages from its own count up to `end` those of `batch`. */
  #takeOver(batch: TurnBatch<S>, end: number): void {
    const { count } = this;
    if (count >= end) return;
    const from = batch.start(count);
    const size = batch.end(end - 1) - from;
    const at = this.reserve(size);
    this.bytes.set(batch.bytes.subarray(from, from + size), at);
    for (let i = count; i < end; i++) this.#starts[i] = at + batch.start(i) - from;
    this.count = end;
    this.commit(size);
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
    if (this.#variants !== null) this.#resetVariants(this.#variants);
    if (this.slab.pins > 0 || this.bytes.length > SLAB_SIZE) this.#replaceSlab(this.#slabs.take());
  }

  #resetVariants(variants: readonly (TurnBatch<S> | undefined)[]): void {
    this.#variants = null;
    for (const variant of variants) {
      if (variant === undefined) continue;
      variant.reset();
      this.#spareVariants.push(variant);
    }
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
