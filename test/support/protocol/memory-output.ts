import type { Output } from '../../../src/protocol/sender.ts';
import { concat } from './frame-bytes.ts';

const CANARY = 0xa5;
const MARGIN = 8;

/**
 * An Output that keeps what was committed. Every reservation is new memory full of canaries, so that memory
 * from before `reserve`, a write outside of the reservation and bytes sent without being written all show.
 */
export class MemoryOutput implements Output {
  bytes = new Uint8Array(0);
  blocked = false;
  /** The largest reservation so far. */
  largest = 0;
  #reserved = -1;
  #parts: Uint8Array[] = [];

  reserve(size: number): number {
    if (this.#reserved >= 0) throw new Error('reserve before the last reservation was committed');
    this.bytes = new Uint8Array(size + 2 * MARGIN).fill(CANARY);
    this.#reserved = size;
    this.largest = Math.max(this.largest, size);
    return MARGIN;
  }

  commit(size: number): void {
    if (this.#reserved < 0 || size > this.#reserved) throw new Error(`commit of ${size}: not reserved`);
    const end = MARGIN + this.#reserved;
    for (let i = 0; i < MARGIN; i++) {
      if (this.bytes[i] !== CANARY || this.bytes[end + i] !== CANARY) {
        throw new Error('a write outside of the reservation');
      }
    }
    this.#reserved = -1;
    this.#parts.push(this.bytes.subarray(MARGIN, MARGIN + size));
  }

  /** How many commits there were. */
  get commits(): number {
    return this.#parts.length;
  }

  /** All that was sent. */
  sent(): Uint8Array {
    const joined = concat(...this.#parts);
    this.#parts = [joined];
    return joined;
  }

  /** All that was sent since the last call. */
  take(): Uint8Array {
    const joined = concat(...this.#parts);
    this.#parts = [];
    return joined;
  }
}
