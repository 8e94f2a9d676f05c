import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  alignLike,
  firstPieceData,
  furtherPieceData,
  joinSequence,
  metaAlignment,
  metaOpcode,
  metaPublisher,
  packMeta,
  sequenceHigh,
} from '../../../src/ring/record.ts';

test('the words of META come apart as they were put together', () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const property = fc.property(
    fc.integer({ min: 0, max: 7 }),
    byte,
    byte,
    fc.integer({ min: 0, max: 7 }),
    (f, o, p, a) => {
      const meta = packMeta(f, o, p, a);
      expect([meta & 0xff, metaOpcode(meta), metaPublisher(meta), metaAlignment(meta)]).toEqual([f, o, p, a]);
    },
  );
  fc.assert(property);
});

function checkSequence(sequence: number): void {
  // What a 32-bit store keeps of the low word.
  expect(joinSequence(sequence | 0, sequenceHigh(sequence) | 0)).toBe(sequence);
}

test('sequence numbers stay exact up to 2^53 - 1', () => {
  for (const edge of [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER])
    checkSequence(edge);
  fc.assert(fc.property(fc.maxSafeNat(), checkSequence));
});

test('the bytes of a frame keep their alignment in every piece', () => {
  for (let alignment = 0; alignment < 8; alignment++) {
    for (let offset = 0; offset < 64; offset++) {
      const aligned = alignLike(offset, alignment);
      expect(aligned % 8).toBe(alignment);
      expect(aligned - offset).toBeGreaterThanOrEqual(0);
      expect(aligned - offset).toBeLessThan(8);
      expect(firstPieceData(offset, alignment) % 8).toBe(alignment);
      expect(furtherPieceData(offset, alignment) % 8).toBe((alignment + offset) % 8);
    }
  }
});
