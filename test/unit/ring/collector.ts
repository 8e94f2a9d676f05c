import type { RingHandler } from '../../../src/ring/ring-consumer.ts';

/** Keeps a copy of everything a consumer hands over. */
export class Collector implements RingHandler {
  readonly records: Uint8Array[] = [];
  readonly restarts: number[] = [];
  readonly resets: number[] = [];

  onRecord(bytes: Uint8Array, offset: number, length: number): void {
    if (offset % 8 !== 0 || offset < 0 || offset + length > bytes.length) {
      throw new Error(`record outside the ring: ${offset}+${length}`);
    }
    this.records.push(Uint8Array.from(bytes.subarray(offset, offset + length)));
  }

  onProducerRestart(epoch: number): void {
    this.restarts.push(epoch);
  }

  onReset(lostBytes: number): void {
    this.resets.push(lostBytes);
  }
}

/** `length` bytes that tell `seed` apart. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + 1) & 0xff);
}

/** Cursors around which 32-bit arithmetic goes wrong. */
export const EDGE_CURSORS: readonly number[] = [
  0,
  2 ** 31 - 64,
  2 ** 31 - 16,
  2 ** 31 - 8,
  2 ** 31,
  2 ** 32 - 16,
  2 ** 32 - 8,
];
