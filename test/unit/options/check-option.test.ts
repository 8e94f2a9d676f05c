import { describe, expect, it, test } from 'vitest';
import { checkFlag, checkLimit, checkLimits, checkPort } from '../../../src/options/check-option.ts';
import type { Limit } from '../../../src/options/option.ts';
import {
  checkServeLimits,
  checkServerLimits,
  ringCapacity,
  SERVER_LIMITS,
  THREAD_LIMITS,
} from '../../../src/options/server-limits.ts';

const SECONDS = { type: 'integer', default: 10, min: 2, max: 960, unit: 'seconds', help: '' } as const;
const ZERO: Limit = { ...SECONDS, zero: 'never' };
const CLAMPED: Limit = { ...SECONDS, isClamped: true };
const check = (value: unknown, limit: Limit = SECONDS): number => checkLimit('here', 'time', value, limit);

describe('checkLimit', () => {
  test.each([
    [undefined, 10],
    [null, 10],
    [2, 2],
    [960, 960],
    ['16', 16],
    [' 16 ', 16],
    [2.9, 2],
    ['960.5', 960],
  ])('takes %j for %i', (value, meant) => {
    expect(check(value)).toBe(meant);
  });

  test.each([0, 1, 961, -1, '', 'x', Number.NaN, Number.POSITIVE_INFINITY, true, false, {}, 5n])(
    'refuses %s',
    (value) => {
      expect(() => check(value)).toThrow(
        expect.objectContaining({
          code: 'MILLRACE_INVALID_OPTION',
          message: expect.stringContaining(
            "here: 'time' must be an integer from 2 to 960 (seconds); got ",
          ) as string,
        }),
      );
    },
  );

  test.each([0, '0', false])('takes %j where 0 is allowed, and says so in what it refuses', (value) => {
    expect(check(value, ZERO)).toBe(0);
    expect(() => check(1, ZERO)).toThrow('(seconds), or 0 for never; got 1');
    expect(() => check(0.5, ZERO)).toThrow('got 0.5');
  });

  it('takes more than the largest for the largest where the row says so, and no less than the smallest', () => {
    expect(check(961, CLAMPED)).toBe(960);
    expect(check(Number.POSITIVE_INFINITY, CLAMPED)).toBe(960);
    expect(() => check(1, CLAMPED)).toThrow('got 1');
  });
});

describe('checkLimits', () => {
  it('gives all limits of a table and nothing else', () => {
    const table = { time: SECONDS, more: ZERO };
    expect(checkLimits('here', { time: '3', other: 1, more: null }, table)).toEqual({ time: 3, more: 10 });
  });
});

describe('the limits of App() and serve()', () => {
  it('are those of their tables', () => {
    expect(Object.keys(checkServerLimits('App', {}))).toEqual(Object.keys(SERVER_LIMITS));
    expect(Object.keys(checkServeLimits('serve', {}))).toEqual([
      ...Object.keys(SERVER_LIMITS),
      ...Object.keys(THREAD_LIMITS),
    ]);
    const given = { loadTimeout: 0, maxHeaders: 7 };
    expect(checkServeLimits('serve', given)).toMatchObject(given);
    expect(() => checkServeLimits('serve', { heapWatermark: 96 })).toThrow("serve: 'heapWatermark' must be");
  });

  it('take rings for as large as the next power of two', () => {
    expect([4096, 4097, 8192].map((ringSize) => ringCapacity({ ringSize }))).toEqual([4096, 8192, 8192]);
  });
});

describe('checkFlag', () => {
  const flag = (value: unknown, byDefault: boolean): boolean =>
    checkFlag('here', 'on', value, { default: byDefault });

  it('takes true, false, 1 and 0, and the default for what is not given', () => {
    expect([true, 1, false, 0].map((value) => flag(value, false))).toEqual([true, true, false, false]);
    expect([undefined, null].map((value) => flag(value, true))).toEqual([true, true]);
    expect(flag(undefined, false)).toBe(false);
  });

  test.each(['true', 2, {}])('refuses %j', (value) => {
    expect(() => flag(value, false)).toThrow("here: 'on' must be true or false, or 1 or 0; got ");
  });
});

describe('checkPort', () => {
  it('takes what a port can be', () => {
    expect([0, '9001', 65_535].map((port) => checkPort('listen', port))).toEqual([0, 9001, 65_535]);
    for (const port of [-1, 65_536, 'x', undefined, null]) {
      expect(() => checkPort('listen', port)).toThrow("listen: 'port' must be an integer from 0 to 65535");
    }
  });
});
