import { describe, expect, it } from 'vitest';
import { described, readFlag, readInteger, readNumber, withoutNull } from '../../src/caller-values.ts';

describe('an integer of a caller', () => {
  it.each<[unknown, number]>([
    [9001, 9001],
    ['9001', 9001],
    [' 9001\n', 9001],
    ['-1', -1],
    ['1e3', 1000],
    ['0x10', 16],
    [16.9, 16],
    ['16.9', 16],
    [-0.5, -0],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  ])('%o is %d', (value, expected) => {
    expect(readInteger(value)).toBe(expected);
  });

  it.each([undefined, null])('%s is not given', (value) => {
    expect(readInteger(value)).toBeUndefined();
  });

  it.each([
    '',
    ' ',
    'abc',
    '16k',
    '9001x',
    '1,5',
    Number.NaN,
    true,
    false,
    {},
    [],
    [5],
    () => 5,
    Symbol('5'),
  ])('is none of the other values, such as %o', (value) => {
    expect(readInteger(value)).toBeNaN();
  });

  it('is no bigint, which cannot be mixed with numbers', () => {
    expect(readInteger(5n)).toBeNaN();
  });

  it('is a number with its fraction when it is asked for', () => {
    expect([readNumber(0.5), readNumber('0.5'), readNumber(null)]).toEqual([0.5, 0.5, Number.NaN]);
  });
});

describe('a flag of a caller', () => {
  it('is true or false, 1 or 0, or not given', () => {
    expect([true, false, 1, 0, undefined, null].map(readFlag)).toEqual([
      true,
      false,
      true,
      false,
      undefined,
      undefined,
    ]);
  });

  it.each(['true', '1', '', 2, -1, Number.NaN, {}, []])('is none: %o', (value) => {
    expect(readFlag(value)).toBeNull();
  });
});

describe('what came', () => {
  it.each<[unknown, string]>([
    ['9001', "'9001' (a string)"],
    ['', "'' (a string)"],
    ['\u001b[31mred\r\n', String.raw`'\x1b[31mred\r\n' (a string)`],
    ['x'.repeat(41), `'${'x'.repeat(40)}… (1 more characters)' (a string)`],
    [9001, '9001'],
    [Number.NaN, 'NaN'],
    [null, 'null'],
    [undefined, 'undefined'],
    [true, 'true (a boolean)'],
    [[1, 2], 'an array'],
    [{ toString: () => 'never called' }, 'an object'],
    [Object.create(null), 'an object'],
    [() => {}, 'a function'],
    [Symbol('x'), 'a symbol'],
  ])('%o is described with its type', (value, text) => {
    expect(described(value)).toBe(text);
  });

  it('may be a bigint', () => {
    expect(described(5n)).toBe('5n (a bigint)');
  });
});

describe('options', () => {
  it('that are null are not given', () => {
    expect(withoutNull({ a: null, b: 0, c: undefined, d: false, e: '' })).toEqual({
      b: 0,
      c: undefined,
      d: false,
      e: '',
    });
  });
});
