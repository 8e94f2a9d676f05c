import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CloseCode,
  closePayloadCode,
  closePayloadError,
  closePayloadLength,
  isValidCloseCode,
  MAX_CLOSE_REASON,
  writeClosePayload,
} from '../../../src/protocol/close-code.ts';

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const INVALID_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];
const VALID_CODES = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];

function payload(code: number, reason: Uint8Array | string = ''): Uint8Array {
  const bytes = typeof reason === 'string' ? encoder.encode(reason) : reason;
  return Uint8Array.of(code >> 8, code & 255, ...bytes);
}

function errorOf(bytes: Uint8Array): number {
  return closePayloadError(bytes, 0, bytes.length);
}

/** What writeClosePayload writes, checked to touch nothing around it. */
function written(code: number, reason: Uint8Array | string): Uint8Array {
  const bytes = typeof reason === 'string' ? encoder.encode(reason) : reason;
  const out = new Uint8Array(140).fill(0xaa);
  const end = writeClosePayload(out, 5, code, bytes);
  expect(closePayloadLength(code, bytes)).toBe(end - 5);
  expect(out.subarray(0, 5).every((byte) => byte === 0xaa)).toBe(true);
  expect(out.subarray(end).every((byte) => byte === 0xaa)).toBe(true);
  return out.slice(5, end);
}

describe('isValidCloseCode', () => {
  it('allows exactly 1000-1003, 1007-1014 and 3000-4999 of all 16-bit codes', () => {
    const allowed = new Set(VALID_CODES);
    for (let code = 3000; code < 5000; code++) allowed.add(code);
    const wrong: number[] = [];
    for (let code = 0; code < 65536; code++)
      if (isValidCloseCode(code) !== allowed.has(code)) wrong.push(code);
    expect(wrong).toEqual([]);
  });

  it('refuses the codes of the table that are never on the wire, and only those', () => {
    const refused = Object.values(CloseCode).filter((code) => !isValidCloseCode(code));
    expect(refused).toEqual([CloseCode.NO_STATUS, CloseCode.ABNORMAL, CloseCode.TLS_HANDSHAKE]);
  });
});

describe('closePayloadError', () => {
  it('accepts an empty payload and refuses a single byte with 1002', () => {
    expect(errorOf(new Uint8Array(0))).toBe(0);
    expect(errorOf(Uint8Array.of(3))).toBe(1002);
  });

  it.each(INVALID_CODES)('refuses the code %i with 1002', (code) => {
    expect(errorOf(payload(code))).toBe(1002);
    expect(errorOf(payload(code, 'reason'))).toBe(1002);
  });

  it.each(VALID_CODES)('accepts the code %i, with and without a reason', (code) => {
    expect(errorOf(payload(code))).toBe(0);
    expect(errorOf(payload(code, 'grüße 😀'))).toBe(0);
  });

  it('refuses a reason that is not UTF-8, or ends inside a code point, with 1007', () => {
    expect(errorOf(payload(1000, Uint8Array.of(0xc3, 0x28)))).toBe(1007);
    expect(errorOf(payload(1000, Uint8Array.of(0xed, 0xa0, 0x80)))).toBe(1007);
    expect(errorOf(payload(1000, Uint8Array.of(0x61, 0xe2, 0x82)))).toBe(1007);
  });

  it('names the bad code first when code and reason are both bad', () => {
    expect(errorOf(payload(1005, Uint8Array.of(0xff)))).toBe(1002);
  });

  it('looks at nothing outside the range it is given', () => {
    const inside = payload(1001, 'ok');
    const bytes = Uint8Array.of(0xff, 0xff, ...inside, 0xff);
    expect(closePayloadError(bytes, 2, 2 + inside.length)).toBe(0);
    expect(closePayloadCode(bytes, 2, 2 + inside.length)).toBe(1001);
    expect(closePayloadError(bytes, 2, 2)).toBe(0);
    expect(closePayloadCode(bytes, 2, 2)).toBe(1005);
  });
});

describe('closePayloadCode', () => {
  it('reads all 16-bit codes', () => {
    for (let code = 0; code < 65536; code += 1) {
      if (closePayloadCode(payload(code), 0, 2) !== code) expect.fail(`code ${code}`);
    }
  });

  it('says 1005 for a payload without a code', () => {
    expect(closePayloadCode(new Uint8Array(0), 0, 0)).toBe(1005);
    expect(closePayloadCode(Uint8Array.of(3), 0, 1)).toBe(1005);
  });
});

describe('writeClosePayload', () => {
  it('writes the code in network order and the reason', () => {
    expect(written(1000, '')).toEqual(payload(1000));
    expect(written(4999, 'bye')).toEqual(payload(4999, 'bye'));
  });

  it.each([0, 1005, 1006])('writes nothing for the code %i, whatever the reason', (code) => {
    expect(written(code, '')).toHaveLength(0);
    expect(written(code, 'reason')).toHaveLength(0);
  });

  it('keeps a reason of 123 bytes whole and cuts one of 124', () => {
    expect(written(1000, 'a'.repeat(122))).toHaveLength(124);
    expect(written(1000, 'a'.repeat(123))).toHaveLength(125);
    expect(written(1000, 'a'.repeat(124))).toHaveLength(125);
    expect(written(1000, 'a'.repeat(5000))).toHaveLength(125);
  });

  it.each(['é', '漢', '😀'])('never cuts within %s, wherever it lies across the limit', (character) => {
    const size = encoder.encode(character).length;
    for (let before = MAX_CLOSE_REASON - size - 1; before <= MAX_CLOSE_REASON + 1; before++) {
      const kept = written(1000, `${'a'.repeat(before)}${character}tail`);
      const fits = before + size <= MAX_CLOSE_REASON;
      const reason = strictDecoder.decode(kept.subarray(2));
      if (fits) expect(reason.slice(before, before + character.length)).toBe(character);
      else expect(reason).toBe('a'.repeat(Math.min(before, MAX_CLOSE_REASON)));
    }
  });

  it('keeps the longest part of any text that fits, and what it writes is always a valid payload', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.constantFrom(...VALID_CODES),
        (text, code) => {
          let expected = '';
          for (const character of text) {
            if (encoder.encode(expected + character).length > MAX_CLOSE_REASON) break;
            expected += character;
          }
          const bytes = written(code, text);
          expect(bytes).toEqual(payload(code, expected));
          expect(errorOf(bytes)).toBe(0);
        },
      ),
    );
  });

  it('ends a reason that is not UTF-8 before its first invalid byte', () => {
    expect(written(1000, Uint8Array.of(0x61, 0x62, 0xff, 0x63))).toEqual(payload(1000, 'ab'));
    expect(written(1000, Uint8Array.of(0x61, 0xe2, 0x82))).toEqual(payload(1000, 'a'));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (reason) => {
        expect(errorOf(written(1000, reason))).toBe(0);
      }),
    );
  });
});
