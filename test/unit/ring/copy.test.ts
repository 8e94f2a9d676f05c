import { describe, expect, test } from 'vitest';
import { copyIn, copyOut, SHORT_COPY } from '../../../src/ring/copy.ts';
import { pattern } from './collector.ts';

function sharedBytes(length: number) {
  const buffer = new SharedArrayBuffer(length);
  return { bytes: new Uint8Array(buffer).fill(0xee), words: new Int32Array(buffer) };
}

describe('copies into and out of a ring', () => {
  test('move exactly the bytes asked for, for every length and alignment', () => {
    const source = pattern(SHORT_COPY + 200, 5);
    for (let length = 0; length <= SHORT_COPY + 80; length++) {
      for (let offset = 0; offset < 8; offset++) {
        for (const sourceOffset of [0, 1, 4, 7]) {
          const ring = sharedBytes(512);
          copyIn(source, sourceOffset, ring, 64 + offset, length);
          const expected = new Uint8Array(512).fill(0xee);
          expected.set(source.subarray(sourceOffset, sourceOffset + length), 64 + offset);
          if (Buffer.compare(ring.bytes, expected) !== 0) throw new Error(`in: ${length} at ${offset}`);
          const target = new Uint8Array(400).fill(0xdd);
          copyOut(ring, 64 + offset, target, sourceOffset + 8, length);
          const back = new Uint8Array(400).fill(0xdd);
          back.set(source.subarray(sourceOffset, sourceOffset + length), sourceOffset + 8);
          if (Buffer.compare(target, back) !== 0) throw new Error(`out: ${length} at ${offset}`);
        }
      }
    }
    expect(SHORT_COPY).toBeGreaterThan(0);
  });
});
