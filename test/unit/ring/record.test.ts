import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PieceFlag } from '../../../src/ring/layout.ts';
import {
  alignLike,
  firstPieceData,
  furtherPieceData,
  INSTANCE_MASK,
  MAX_KIND_FLAGS,
  metaAlignment,
  metaFlags,
  metaInstance,
  metaKind,
  metaSender,
  packMeta,
  sequenceFrom,
  sequenceHigh,
} from '../../../src/ring/record.ts';
import { message } from './record-channel.ts';

test('the words of META come apart as they were put together', () => {
  const property = fc.property(
    fc.record({
      kind: fc.integer({ min: 0, max: 255 }),
      flags: fc.integer({ min: 0, max: MAX_KIND_FLAGS }),
      isAddressed: fc.boolean(),
      sender: fc.integer({ min: 0, max: 63 }),
      instance: fc.nat(1000),
    }),
    fc.integer({ min: 0, max: 7 }),
    (fields, alignment) => {
      const meta = packMeta({ ...message(), ...fields }, alignment);
      expect({
        kind: metaKind(meta),
        flags: metaFlags(meta),
        isAddressed: (meta & PieceFlag.ADDRESSED) !== 0,
        sender: metaSender(meta),
        instance: metaInstance(meta),
      }).toEqual({ ...fields, instance: fields.instance & INSTANCE_MASK });
      expect([metaAlignment(meta), meta & (PieceFlag.FIRST | PieceFlag.LAST)]).toEqual([alignment, 0]);
    },
  );
  fc.assert(property);
});

function checkSequence(sequence: number): void {
  // What a 32-bit store keeps of the low word.
  expect(sequenceFrom(sequence | 0, sequenceHigh(sequence) | 0)).toBe(sequence);
}

test('sequence numbers stay exact up to 2^53 - 1', () => {
  for (const edge of [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER])
    checkSequence(edge);
  fc.assert(fc.property(fc.maxSafeNat(), checkSequence));
});

test('the bytes of a body keep their alignment in every piece', () => {
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
