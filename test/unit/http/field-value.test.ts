import { describe, expect, it } from 'vitest';
import { isHost, isToken, listHas, parseContentLength, trimEnd } from '../../../src/http/field-value.ts';
import { latin1 } from './feed-head.ts';

/** The value stands between bytes that would change the answer if they were read. */
function within<T>(
  check: (bytes: Uint8Array, start: number, end: number) => T,
  value: string,
  around: string,
): T {
  const bytes = latin1(around + value + around);
  return check(bytes, around.length, around.length + value.length);
}

describe('checks of a value', () => {
  it('look at nothing outside of it', () => {
    expect(within(isHost, 'a%4', '1')).toBe(false);
    expect(within(isHost, 'a%4', '1:')).toBe(false);
    expect(within(isHost, 'a%', '41')).toBe(false);
    expect(within(isHost, '[::1', ']')).toBe(false);
    expect(within(isHost, '', 'a')).toBe(false);
    expect(within(isHost, 'a:6553', '9')).toBe(true);
    expect(within(parseContentLength, '5', '0')).toBe(5);
    expect(within(parseContentLength, '', '5')).toBe(-1);
    expect(within(isToken, 'ab', ' ')).toBe(true);
    expect(within(isToken, '', 'a')).toBe(false);
    expect(within((bytes, start, end) => listHas(bytes, start, end, 'close'), 'x, clos', 'e')).toBe(false);
    expect(within((bytes, start, end) => listHas(bytes, start, end, 'close'), 'x, close', 'd')).toBe(true);
    expect(within(trimEnd, ' \t', ' ')).toBe(1);
  });
});
