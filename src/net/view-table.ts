const NO_BYTES = new Uint8Array(0);

/** Views kept; a power of two. */
const SLOTS = 1024;

/**
 * ViewTable: views over one block of memory, made once for each place and length and then handed out again.
 *
 * A new `Uint8Array` costs V8 some 50 ns and work for its collector, and asking an array for its `buffer` 40 more:
 * for small messages most of what the engine would spend in JavaScript. A shard reads into one buffer and writes
 * from one slab, so the same few places come back. A user who holds a view longer than it is valid sees it change.
 *
 * A message that was joined, decompressed or held lies elsewhere: its view is made for it alone, and those of the block
 * stay. To turn to another block costs about as much as to make a thousand views, so what peers send must not bring it about.
 */
export class ViewTable {
  #bytes: Uint8Array = NO_BYTES;
  #memory: ArrayBufferLike = NO_BYTES.buffer;
  #start = 0;
  readonly #views: Uint8Array[] = Array.from({ length: SLOTS }, () => NO_BYTES);
  /** Offset of each view; -1 where there is none. */
  readonly #offsets = new Int32Array(SLOTS).fill(-1);

  /** @param bytes the block */
  constructor(bytes: Uint8Array) {
    this.turnTo(bytes);
  }

  /** `bytes[offset, offset + length)`, kept if `bytes` is the block. */
  view(bytes: Uint8Array, offset: number, length: number): Uint8Array {
    if (bytes !== this.#bytes) return viewElsewhere(bytes, offset, length);
    const slot = (offset ^ (length << 3)) & (SLOTS - 1);
    if (this.#offsets[slot] === offset) {
      const kept = this.#views[slot]!;
      if (kept.length === length) return kept;
    }
    return this.#make(slot, offset, length);
  }

  #make(slot: number, offset: number, length: number): Uint8Array {
    const view = new Uint8Array(this.#memory, this.#start + offset, length);
    this.#views[slot] = view;
    this.#offsets[slot] = offset;
    return view;
  }

  /** From here on its block is this one. */
  turnTo(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#memory = bytes.buffer;
    this.#start = bytes.byteOffset;
    for (let i = 0; i < SLOTS; i++) this.#views[i] = NO_BYTES;
    this.#offsets.fill(-1);
  }
}

/** A function of its own, as it is rare: what the compiler makes of `view` stays small. */
function viewElsewhere(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length);
}
