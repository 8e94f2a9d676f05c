import { expect, it } from 'vitest';
import { LENGTH_SIZE, lengthPrefix, NO_SOCKET } from '../../../src/net/handoff-framing.ts';

it.each([0, 1, 255, 256, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1])(
  'the length %d is in front, with the top bit for no socket',
  (length) => {
    for (const hasSocket of [true, false]) {
      const prefix = Buffer.from(lengthPrefix(length, hasSocket), 'latin1');
      expect(prefix).toHaveLength(LENGTH_SIZE);
      const bits = prefix.readUInt32LE(0);
      expect((bits & NO_SOCKET) === 0).toBe(hasSocket);
      expect(hasSocket ? bits : (bits ^ NO_SOCKET) >>> 0).toBe(length);
    }
  },
);
