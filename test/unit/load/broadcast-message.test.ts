import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isBroadcast,
  MIN_BROADCAST_SIZE,
  microsecondsSince,
  publisherOf,
  sequenceOf,
  TIME_MODULO,
  timeOf,
  writeBroadcast,
} from '../../../src/load/broadcast-message.ts';
import { isSpecial, specialBefore } from '../../../src/load/roles.ts';

const message = fc.record({
  size: fc.integer({ min: MIN_BROADCAST_SIZE, max: 100 }),
  run: fc.integer({ min: 0, max: 63 }),
  publisher: fc.integer({ min: 0, max: 999 }),
  sequence: fc.integer({ min: 0, max: 2 ** 30 - 1 }),
  time: fc.integer({ min: 0, max: TIME_MODULO - 1 }),
});

describe('the message of broadcast', () => {
  it('says what was written, as printable ASCII', () => {
    fc.assert(
      fc.property(message, ({ size, run, publisher, sequence, time }) => {
        const bytes = new Uint8Array(size + 5).fill(255);
        writeBroadcast(bytes, 3, size, run, publisher, sequence, time);
        expect([bytes[2], bytes[size + 3]]).toEqual([255, 255]);
        expect(Buffer.from(bytes.subarray(3, 3 + size)).toString()).toMatch(/^[\x20-\x7e]+$/);
        expect([publisherOf(bytes, 3), sequenceOf(bytes, 3), timeOf(bytes, 3)]).toEqual([
          publisher,
          sequence,
          time,
        ]);
        expect(isBroadcast(bytes, 3, size, size, run)).toBe(true);
        expect(isBroadcast(bytes, 3, size, size + 1, run)).toBe(false);
        expect(isBroadcast(bytes, 3, size, size, (run + 1) % 64)).toBe(false);
      }),
    );
  });

  it('is not itself any more when a byte of the filling differs', () => {
    const bytes = new Uint8Array(40);
    writeBroadcast(bytes, 0, 40, 1, 2, 3, 4);
    for (let i = MIN_BROADCAST_SIZE; i < 40; i++) {
      bytes[i]! ^= 1;
      expect(isBroadcast(bytes, 0, 40, 40, 1)).toBe(false);
      bytes[i]! ^= 1;
    }
  });

  it('has times that go round', () => {
    expect(microsecondsSince(5, 12)).toBe(7);
    expect(microsecondsSince(TIME_MODULO - 3, 4)).toBe(7);
    expect(microsecondsSince(12, 5)).toBe(0);
  });
});

describe('special connections', () => {
  it('are as many as asked for, and numbered in order', () => {
    for (const [special, connections] of [
      [1, 1],
      [1, 100],
      [7, 100],
      [100, 100],
      [3, 10],
      [999, 1000],
    ] as const) {
      const numbers: number[] = [];
      for (let i = 0; i < connections; i++) {
        if (isSpecial(i, special, connections)) numbers.push(specialBefore(i, special, connections));
      }
      expect(numbers).toEqual(Array.from({ length: special }, (_, i) => i));
    }
  });
});
