import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addressIn,
  HANDOFF_PREFIX,
  HandoffKind,
  handoffPrefix,
  MAX_ROUTES,
  readHandoffPrefix,
} from '../../../src/shard/handoff-message.ts';

test('the prefix of a handoff says kind, route, address and time in bytes', () => {
  const kind = fc.constantFrom(...Object.values(HandoffKind));
  const route = fc.oneof(fc.constantFrom(0, 255, 256, MAX_ROUTES), fc.integer({ min: 0, max: MAX_ROUTES }));
  const address = fc.oneof(fc.constantFrom(-1, 0, 255, 65_535, 2 ** 31 - 1), fc.integer({ min: -1 }));
  const time = fc.oneof(fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)), fc.integer());
  const property = fc.property(
    kind,
    route,
    address,
    time,
    fc.boolean(),
    (kind, route, address, time, isInPlace) => {
      const prefix = handoffPrefix(kind, route, address, time, isInPlace);
      const bytes = Buffer.from(prefix, 'latin1');
      // One byte a character.
      expect(bytes.toString('latin1')).toBe(prefix);
      expect(bytes).toHaveLength(HANDOFF_PREFIX);
      const read = [bytes[0], bytes.readUInt16LE(1), bytes.readInt32LE(3), bytes.readInt32LE(7)];
      expect(read).toEqual([isInPlace ? kind | 0x80 : kind, route, address, time]);
      // What follows the prefix does not matter.
      const message = Buffer.concat([bytes, Buffer.from('GET')]);
      expect(readHandoffPrefix(message)).toEqual({ kind, route, address, acceptedAt: time, isInPlace });
      expect(addressIn(`${prefix}GET`)).toBe(address);
    },
  );
  fc.assert(property, { numRuns: 500 });
});
