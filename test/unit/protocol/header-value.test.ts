import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../src/errors.ts';
import {
  assertFieldValue,
  assertToken,
  HeaderCursor,
  isToken,
  isTokenChar,
  listHasToken,
} from '../../../src/protocol/header-value.ts';

/** RFC 9110 §5.6.2, as a pattern. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const COMMA = 0x2c;

describe('isTokenChar and isToken', () => {
  it('agree with the grammar on every character', () => {
    const wrong: number[] = [];
    for (let code = 0; code < 65536; code++) {
      if (isTokenChar(code) !== TOKEN.test(String.fromCharCode(code))) wrong.push(code);
    }
    expect(wrong).toEqual([]);
  });

  it('refuse the end of a text and the empty text', () => {
    expect(isTokenChar(Number.NaN)).toBe(false);
    expect(isToken('')).toBe(false);
  });

  it('agree with the grammar on any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(isToken(text)).toBe(TOKEN.test(text));
      }),
    );
  });
});

describe('listHasToken', () => {
  it.each([
    'upgrade',
    'Upgrade',
    'UPGRADE',
    'keep-alive, Upgrade',
    'upgrade,x',
    ' \tupgrade\t ',
    ',,upgrade,,',
    'a,upgrade\t,b',
  ])('finds the token in %j', (list) => {
    expect(listHasToken(list, 'upgrade')).toBe(true);
  });

  it.each([
    '',
    ',',
    'upgrad',
    'upgrades',
    'x-upgrade',
    'up grade',
    'upgrade;q=1',
    '"upgrade"',
    'close',
    'upgrade\u00a0',
  ])('does not find it in %j', (list) => {
    expect(listHasToken(list, 'upgrade')).toBe(false);
  });

  it('folds the case of ASCII letters only', () => {
    expect('\u212a'.toLowerCase()).toBe('k');
    expect(listHasToken('\u212aeep', 'keep')).toBe(false);
    // One bit away from "[" and "{".
    expect(listHasToken('[', '{')).toBe(false);
  });

  it('agrees with splitting, trimming and comparing', () => {
    const list = fc.string({ unit: fc.constantFrom('a', 'A', 'b', ',', ' ', '\t') });
    fc.assert(
      fc.property(list, fc.constantFrom('a', 'ab', 'aa'), (text, token) => {
        const expected = text.split(',').some((part) => part.trim().toLowerCase() === token);
        expect(listHasToken(text, token)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('HeaderCursor', () => {
  it('reads tokens and separators with whitespace between them', () => {
    const cursor = new HeaderCursor(' a \t,b');
    expect(cursor.token()).toBe('a');
    expect(cursor.atEnd()).toBe(false);
    expect(cursor.take(COMMA)).toBe(true);
    expect(cursor.take(COMMA)).toBe(false);
    expect(cursor.token()).toBe('b');
    expect(cursor.token()).toBe('');
    expect(cursor.atEnd()).toBe(true);
  });

  it.each([
    ['abc', 'abc'],
    ['"abc"', 'abc'],
    ['"\\a\\b"', 'ab'],
    ['""', ''],
    ['"a b"', ''],
    ['"a', ''],
    ['"a\\', ''],
    ['"a\\"b"', ''],
    ['"é"', ''],
  ])('reads %s as the token "%s"', (text, token) => {
    expect(new HeaderCursor(text).tokenOrQuoted()).toBe(token);
  });

  it('stays at the end once it is there', () => {
    const cursor = new HeaderCursor('"a');
    cursor.tokenOrQuoted();
    expect(cursor.token()).toBe('');
    expect(cursor.take(COMMA)).toBe(false);
  });
});

describe('assertFieldValue', () => {
  it('allows all but controls, and tab', () => {
    const wrong: number[] = [];
    for (let code = 0; code < 65536; code++) {
      const isAllowed = code === 9 || (code >= 32 && code !== 127);
      let isAccepted = true;
      try {
        assertFieldValue('A value', `a${String.fromCharCode(code)}b`);
      } catch (error) {
        isAccepted = false;
        expect(error).toBeInstanceOf(MillraceError);
      }
      if (isAccepted !== isAllowed) wrong.push(code);
    }
    expect(wrong).toEqual([]);
  });

  it('names the value and the character', () => {
    expect(() => assertFieldValue('Host', 'a\r\nb')).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_INVALID_ARGUMENT',
        message: 'Host must not contain the character U+000D',
      }),
    );
  });
});

describe('assertToken', () => {
  it('lets a token pass and throws for anything else', () => {
    assertToken('A name', 'x-name');
    for (const text of ['', 'a b', 'a\r\n', 'a,b', 'é']) {
      expect(() => assertToken('A name', text)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
      );
    }
  });
});
