import { describe, expect, test } from 'vitest';
import { KeyedHash, newHashKey } from '../../src/keyed-hash.ts';

/** The key of the reference vectors: the bytes 0 to 7. */
const REFERENCE = new KeyedHash([0x0302_0100, 0x0706_0504]);

function bytesOf(hash: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(hash);
  return bytes.toString('hex');
}

describe('a keyed hash', () => {
  test('is HalfSipHash-2-4 with 32 bits, as its reference vectors say', () => {
    // Inputs of 0, 2 and 4 bytes: 00 01 02 03.
    expect(['', '\u0100', '\u0100\u0302'].map((text) => bytesOf(REFERENCE.text(text)))).toEqual([
      'a9359f5b',
      'fa62a603',
      '2a6e4689',
    ]);
  });

  test('tells texts of any length apart, and words like the same bytes of a text', () => {
    const texts = ['', 'a', 'b', 'ab', 'ba', 'abc', '\0', '\0\0', 'a\0', '\0a'];
    expect(new Set(texts.map((text) => REFERENCE.text(text))).size).toBe(texts.length);
    expect(REFERENCE.words(0x0302_0100, 0x0706_0504)).toBe(REFERENCE.text('\u0100\u0302\u0504\u0706'));
  });

  test('lands elsewhere with each key, also in its lowest bits', () => {
    // Texts whose code units have one parity: a plain hash with a random start keeps them together.
    const texts = Array.from({ length: 64 }, (_, i) => `/${String.fromCharCode(0x40 + 2 * i)}`);
    const spread = texts.map((text) => new KeyedHash(newHashKey()).text(text) & 1);
    const same = texts.map((text) => REFERENCE.text(text) & 1);
    for (const bits of [spread, same]) {
      const ones = bits.filter((bit) => bit === 1).length;
      expect(ones).toBeGreaterThan(8);
      expect(ones).toBeLessThan(56);
    }
  });
});
