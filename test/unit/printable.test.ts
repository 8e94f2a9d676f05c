import { describe, expect, it } from 'vitest';
import { printable, printableLines, withoutPassword } from '../../src/printable.ts';

describe('printable', () => {
  it.each([
    ['plain text', 'plain text'],
    ['ünïcödé, 日本語, 👩‍👩‍👧', 'ünïcödé, 日本語, 👩‍👩‍👧'],
    ['\x1b[2J\x1b]0;title\x07', '\\x1b[2J\\x1b]0;title\\x07'],
    ['one\ntwo\r\n\tthree', 'one\\ntwo\\r\\n\\tthree'],
    ['\x00\x7f', '\\x00\\x7f'],
    // C1: a terminal takes 9b for ESC [.
    ['\x9b31m\x85', '\\x9b31m\\x85'],
    ['user\u202egpj.exe\u2066x\u2069\u200f\u061c', 'user\\u202egpj.exe\\u2066x\\u2069\\u200f\\u061c'],
    ['a\u2028b\u2029c', 'a\\u2028b\\u2029c'],
    ['zero\u200bwidth\ufeff', 'zero\\u200bwidth\\ufeff'],
    ['lone \ud800 \udc00', 'lone \\ud800 \\udc00'],
    ['tag \u{e0041}', 'tag \\u{e0041}'],
  ])('shows %j as %s', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('cuts, and says how much', () => {
    expect(printable('x'.repeat(200))).toBe('x'.repeat(200));
    expect(printable('x'.repeat(201))).toBe(`${'x'.repeat(200)}… (1 more characters)`);
    expect(printable('\x1b'.repeat(10), 8)).toBe('\\x1b\\x1b… (8 more characters)');
    expect(printable('a👍b', 2)).toBe('a… (3 more characters)');
  });

  it('shows nothing of any character of control, direction or none at all', () => {
    for (let code = 0; code < 0x3000; code++) {
      const shown = printable(String.fromCharCode(code));
      expect(shown).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+$/u);
    }
  });

  it('takes a long text in no more time than its limit needs', () => {
    const huge = '\x1b'.repeat(50_000_000);
    expect(printable(huge).length).toBeLessThan(250);
  });
});

describe('printableLines', () => {
  it('keeps lines apart, and cuts each', () => {
    expect(printableLines('one\r\ntwo\x1b\nthree', 4)).toBe(
      'one\ntwo… (1 more characters)\nthre… (1 more characters)',
    );
  });
});

describe('withoutPassword', () => {
  it.each([
    ['ws://user:secret@host:1/path?a=b@c', 'ws://…@host:1/path?a=b@c'],
    ['user:secret@host', '…@host'],
    ['http://a@b@host', 'http://…@host'],
    ['ws://host/@user', 'ws://host/@user'],
    ['ws://host', 'ws://host'],
    ['', ''],
  ])('shows %s as %s', (url, shown) => {
    expect(withoutPassword(url)).toBe(shown);
  });
});
