/** Bytes of a chunk; a copy that is longer has memory of its own. */
const CHUNK = 64 * 1024;

/**
 * Copies: many short copies in few chunks of memory. They are posted to another thread by the transfer of their chunks:
 * to transfer a buffer for each copy would cost the square of their number.
 */
export class Copies {
  #chunk = new Uint8Array(0);
  #used = 0;

  /** Memory for one copy. No other copy has it, but others lie in the same buffer. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > CHUNK) return new Uint8Array(length);
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = new Uint8Array(CHUNK);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return this.#chunk.subarray(start, this.#used);
  }

  of(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const copy = this.take(bytes.length);
    copy.set(bytes);
    return copy;
  }
}
