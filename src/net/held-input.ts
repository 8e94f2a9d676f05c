import { BufferPool } from '../protocol/buffer-pool.ts';
import { FRAME_HEADROOM } from '../protocol/frame-parser.ts';
import type { Transport } from './transport.ts';
import { allocateTarget } from './write-memory.ts';

/** Bytes of memory that may hold what was read; with more, sockets are not stopped any more. */
const MAX_HELD = 64 * 1024 * 1024;

/** Bytes kept for reuse. */
const MAX_KEPT = 4 * 1024 * 1024;

/** `bytes[start, end)` was read from a socket, and is to be handled before anything else is read from it. */
export interface Held {
  bytes: Uint8Array;
  start: number;
  end: number;
  /** What comes behind these bytes: the end of the stream, or an error; 0: neither is known. */
  error: number;
}

/** HeldInput: what was read and could not be handled, because the others had to get their turn. */
export class HeldInput {
  readonly #pool = new BufferPool(MAX_KEPT, allocateTarget);
  readonly #held = new Map<Transport, Held>();
  #size = 0;

  /** More can be held, from as many sockets as one turn may read. */
  get hasRoom(): boolean {
    return this.#size < MAX_HELD;
  }

  of(transport: Transport): Held | undefined {
    return this.#held.get(transport);
  }

  /** Holds a copy of bytes that come behind what is held already. */
  add(transport: Transport, bytes: Uint8Array, start: number, end: number): void {
    const held = this.#held.get(transport);
    const size = end - start;
    if (held === undefined) {
      const copy = this.#take(FRAME_HEADROOM + size);
      copy.set(bytes.subarray(start, end), FRAME_HEADROOM);
      this.#held.set(transport, { bytes: copy, start: FRAME_HEADROOM, end: FRAME_HEADROOM + size, error: 0 });
      return;
    }
    if (held.end + size > held.bytes.length) this.#grow(held, size);
    held.bytes.set(bytes.subarray(start, end), held.end);
    held.end += size;
  }

  /** Holds a copy of bytes that came before what is held already. */
  addInFront(transport: Transport, bytes: Uint8Array, start: number, end: number): void {
    const later = this.#held.get(transport)!;
    this.#held.delete(transport);
    this.add(transport, bytes, start, end);
    this.add(transport, later.bytes, later.start, later.end);
    this.#held.get(transport)!.error = later.error;
    this.#give(later.bytes);
  }

  drop(transport: Transport): void {
    const held = this.#held.get(transport);
    if (held === undefined) return;
    this.#held.delete(transport);
    this.#give(held.bytes);
  }

  #grow(held: Held, size: number): void {
    const rest = held.end - held.start;
    const grown = this.#take(FRAME_HEADROOM + rest + size);
    grown.set(held.bytes.subarray(held.start, held.end), FRAME_HEADROOM);
    this.#give(held.bytes);
    held.bytes = grown;
    held.start = FRAME_HEADROOM;
    held.end = FRAME_HEADROOM + rest;
  }

  #take(size: number): Uint8Array {
    const bytes = this.#pool.take(size);
    this.#size += bytes.length;
    return bytes;
  }

  #give(bytes: Uint8Array): void {
    this.#size -= bytes.length;
    this.#pool.give(bytes);
  }
}
