import { describe, expect, it } from 'vitest';
import { checkDescriptor, createDescriptor } from '../../../src/group/app-descriptor.ts';

const check = (value: unknown) => checkDescriptor('addChildApp', value);
const VERSION_UNIT = 2 ** 50;
const PROCESS_UNIT = 2 ** 34;

describe('a descriptor', () => {
  it('is a number of its own that survives JSON and cloning', () => {
    const all = Array.from({ length: 1000 }, createDescriptor);
    expect(new Set(all).size).toBe(all.length);
    for (const descriptor of all) {
      expect(check(JSON.parse(JSON.stringify(descriptor)))).toBe(descriptor);
      expect(check(structuredClone(descriptor))).toBe(descriptor);
    }
  });

  it.each([undefined, null, '1', {}, Number.NaN, 1.5, -1, 0, 2 ** 53, 2n ** 50n, VERSION_UNIT - 1])(
    'is not %s',
    (value) => {
      expect(() => check(value)).toThrow(
        /^addChildApp: the argument must be the number that getDescriptor\(\) of an App returned, as it was; got /,
      );
    },
  );

  it('of another version is refused with both versions', () => {
    expect(() => check(createDescriptor() + VERSION_UNIT)).toThrow(
      /the descriptor is of version 2, this copy of millrace knows version 1/,
    );
  });

  it('of another process is refused', () => {
    const [own, bits] = [createDescriptor(), process.pid % 2 ** 16];
    const other = own + (bits === 0 ? 1 : -1) * PROCESS_UNIT;
    expect(() => check(other)).toThrow(/the descriptor is of another process/);
  });
});
