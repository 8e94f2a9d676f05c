import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equals, equalsLowerCase, latin1Decoder, lowerCase, StringCache } from '../../../src/http/latin1.ts';
import { latin1, textOf } from './feed-head.ts';

describe('the latin1 decoder', () => {
  it('gives one character for every byte', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(latin1Decoder.latin1(bytes, 0, 256)).toBe(textOf(bytes));
    expect(latin1Decoder.latin1(bytes, 65, 68)).toBe('ABC');
    expect(latin1Decoder.latin1(bytes, 5, 5)).toBe('');
  });

  it.each([4095, 4096, 4097, 100_000])('decodes %i bytes', (size) => {
    const bytes = Uint8Array.from({ length: size }, (_, i) => i % 251);
    expect(latin1Decoder.latin1(bytes, 0, size)).toBe(textOf(bytes));
  });
});

describe('the string cache', () => {
  const bytes = fc.uint8Array({ maxLength: 60, max: 255 });
  const few = fc
    .array(fc.constantFrom(...latin1('aAbB-')), { maxLength: 4 })
    .map((list) => Uint8Array.from(list));

  it('gives the text of the bytes, whatever was asked before', () => {
    const cache = new StringCache();
    fc.assert(
      fc.property(fc.oneof(bytes, few), fc.nat(5), (value, offset) => {
        const shifted = new Uint8Array(value.length + 10);
        shifted.set(value, offset);
        const [start, end] = [offset, offset + value.length];
        expect(cache.get(shifted, start, end)).toBe(textOf(value));
        expect(cache.once(shifted, start, end)).toBe(textOf(value));
      }),
      { numRuns: 3000 },
    );
  });

  it('gives names in lower case, whatever was asked before', () => {
    const cache = new StringCache();
    fc.assert(
      fc.property(fc.array(few, { minLength: 1 }), (names) => {
        for (const name of names)
          expect(cache.getLowerCase(name, 0, name.length)).toBe(textOf(name).toLowerCase());
      }),
    );
    const long = 'Header'.repeat(20);
    expect(cache.getLowerCase(latin1(long), 0, long.length)).toBe(long.toLowerCase());
  });

  it('decodes a short text once, and a long one every time', () => {
    let decoded = 0;
    const cache = new StringCache({
      latin1(source, start, end) {
        decoded++;
        return latin1Decoder.latin1(source, start, end);
      },
    });
    const text = latin1('x'.repeat(49));
    for (let i = 0; i < 3; i++) cache.get(text, 0, 48);
    expect(decoded).toBe(1);
    for (let i = 0; i < 3; i++) cache.get(text, 0, 49);
    expect(decoded).toBe(4);
  });
});

describe('comparing', () => {
  it('minds the case of letters, or not, and nothing else', () => {
    for (let byte = 0; byte < 256; byte++) {
      const isUpper = byte >= 65 && byte <= 90;
      expect(lowerCase(byte)).toBe(isUpper ? byte + 32 : byte);
      expect(equals(Uint8Array.of(byte), 0, 'k')).toBe(byte === 107);
      expect(equalsLowerCase(Uint8Array.of(byte), 0, 'k')).toBe(byte === 107 || byte === 75);
      expect(equalsLowerCase(Uint8Array.of(byte), 0, '_')).toBe(byte === 95);
      expect(equalsLowerCase(Uint8Array.of(byte), 0, '-')).toBe(byte === 45);
    }
  });
});
