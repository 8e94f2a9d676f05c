import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  HANDOFF_PREFIX,
  HandoffKind,
  handoffPrefix,
  MAX_ROUTES,
} from '../../../src/shard/handoff-message.ts';

test('the prefix of a handoff says kind, route and address in bytes', () => {
  const kind = fc.constantFrom(HandoffKind.WEBSOCKET, HandoffKind.HTTP);
  const route = fc.oneof(fc.constantFrom(0, 255, 256, MAX_ROUTES), fc.integer({ min: 0, max: MAX_ROUTES }));
  const address = fc.oneof(fc.constantFrom(-1, 0, 255, 65_535, 2 ** 31 - 1), fc.integer({ min: -1 }));
  const property = fc.property(kind, route, address, (kind, route, address) => {
    const prefix = handoffPrefix(kind, route, address);
    const bytes = Buffer.from(prefix, 'latin1');
    // One byte a character.
    expect(bytes.toString('latin1')).toBe(prefix);
    expect(bytes).toHaveLength(HANDOFF_PREFIX);
    expect([bytes[0], bytes.readUInt16LE(1), bytes.readInt32LE(3)]).toEqual([kind, route, address]);
  });
  fc.assert(property, { numRuns: 500 });
});
