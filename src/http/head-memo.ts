import { isWorthKeeping, NOTHING_KEPT } from './memo-policy.ts';
import type { RequestHead } from './request-head.ts';

/** Bytes of a head that is remembered; longer ones are read each time. */
const MAX_SIZE = 1024;

const CR = 0x0d;
const NO_BYTES: Uint8Array = new Uint8Array(0);
const NO_WORDS: DataView = new DataView(NO_BYTES.buffer);

/**
 * What was compared last, mostly the buffer that all sockets of the thread are read into, and its words. One for all
 * memos: each would keep alive what a connection had waiting.
 */
let lastChunk = NO_BYTES;
let lastWords = NO_WORDS;

/**
 * HeadMemo: the head that was read last, with its bytes. A client that keeps its connection mostly sends the same head
 * again, byte for byte (a health check, an API client, a proxy's pool); comparing it costs a tenth of reading it, and
 * equal bytes have one meaning. One head at most is kept, whatever peers send.
 */
export class HeadMemo {
  /** What the bytes were read as, all but where they lie; null before the first. */
  head: RequestHead | null = null;
  #bytes = NO_BYTES;
  #words = NO_WORDS;
  /** 0: nothing is remembered. */
  #size = 0;
  /** Where the last one was different: an identifier, mostly, that will be different again. */
  #suspect = 0;
  #misses = NOTHING_KEPT;

  /** Returns the length of the head if `chunk[start, end)` starts with the one remembered, otherwise 0. */
  match(chunk: Uint8Array, start: number, end: number): number {
    const size = this.#size;
    // Where heads differ in length, the empty line is elsewhere, which one look at the right place shows.
    if (size === 0 || end - start < size || chunk[start + size - 2] !== CR) return 0;
    if (!this.#isSame(chunk, start, size)) return 0;
    this.#misses = 0;
    return size;
  }

  /** Remembers the head that `bytes[head.headStart, head.headEnd)` is. Returns false when that does not look worth it. */
  keep(head: RequestHead): boolean {
    const { bytes, headStart, headEnd } = head;
    const misses = this.#misses++;
    const size = headEnd - headStart;
    if (size > MAX_SIZE || !isWorthKeeping(misses)) return false;
    if (this.#bytes.length < size) {
      this.#bytes = new Uint8Array(Math.min(size * 2, MAX_SIZE));
      this.#words = new DataView(this.#bytes.buffer);
    }
    this.#bytes.set(bytes.subarray(headStart, headEnd));
    this.#size = size;
    this.head = head;
    return true;
  }

  #isSame(chunk: Uint8Array, start: number, size: number): boolean {
    if (chunk !== lastChunk) {
      lastChunk = chunk;
      lastWords = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    const bytes = this.#bytes;
    const words = this.#words;
    const chunkWords = lastWords;
    let i = this.#suspect;
    if (i + 4 <= size && chunkWords.getInt32(start + i) !== words.getInt32(i)) return false;
    for (i = 0; i + 4 <= size; i += 4) {
      if (chunkWords.getInt32(start + i) === words.getInt32(i)) continue;
      this.#suspect = i;
      return false;
    }
    for (; i < size; i++) if (chunk[start + i] !== bytes[i]) return false;
    return true;
  }
}
