const NO_BYTES = new Uint8Array(0);

/**
 * HeldBytes: what a client sent that is not looked at yet, in one piece. However small the pieces in which it came, it takes
 * at most twice its size.
 */
export class HeldBytes {
  #memory: Uint8Array = NO_BYTES;
  #start = 0;
  #end = 0;

  get size(): number {
    return this.#end - this.#start;
  }

  /** A view that is valid until the next `append`. */
  get bytes(): Uint8Array {
    return this.#memory.subarray(this.#start, this.#end);
  }

  /** Copies what came. */
  append(bytes: Uint8Array): void {
    const { size } = this;
    if (this.#end + bytes.length > this.#memory.length) {
      const needed = size + bytes.length;
      // What is dropped from the front makes room only when as much of it was dropped as is to be moved.
      const isRoomy = needed <= this.#memory.length && this.#start >= size;
      const memory = isRoomy
        ? this.#memory
        : new Uint8Array(size === 0 ? needed : Math.max(needed, 2 * size));
      memory.set(this.bytes, 0);
      this.#memory = memory;
      this.#start = 0;
      this.#end = size;
    }
    this.#memory.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The first bytes are done with. */
  drop(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.clear();
  }

  clear(): void {
    this.#memory = NO_BYTES;
    this.#start = 0;
    this.#end = 0;
  }
}
