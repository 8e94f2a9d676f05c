import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  UTF8_ACCEPT,
  UTF8_REJECT,
  type Utf8Port,
  validateUtf8,
  validateUtf8Fast,
} from '../../../src/protocol/utf8.ts';

const port: Utf8Port = { isUtf8 };
const encoder = new TextEncoder();

const LAST_CODE_POINT = 0x10ffff;
const isSurrogate = (codePoint: number): boolean => codePoint >= 0xd800 && codePoint <= 0xdfff;

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function validate(bytes: Uint8Array): number {
  return validateUtf8(UTF8_ACCEPT, bytes, 0, bytes.length);
}

/** The index of the byte at which the text is rejected, fed byte by byte; -1 if it never is. */
function rejectedAt(bytes: Uint8Array): number {
  let state = UTF8_ACCEPT as number;
  for (let i = 0; i < bytes.length; i++) {
    state = validateUtf8(state, bytes, i, i + 1);
    if (state === UTF8_REJECT) return i;
  }
  return -1;
}

/** The platform's own decoder, which rejects at the first impossible byte too. */
function decoderState(bytes: Uint8Array): 'accept' | 'inside' | 'reject' {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    decoder.decode(bytes, { stream: true });
  } catch {
    return 'reject';
  }
  try {
    decoder.decode();
  } catch {
    return 'inside';
  }
  return 'accept';
}

function named(state: number): 'accept' | 'inside' | 'reject' {
  if (state === UTF8_ACCEPT) return 'accept';
  return state === UTF8_REJECT ? 'reject' : 'inside';
}

/** Encodes every code point and calls `visit` with the bytes, in one reused buffer, and their number. */
function forEveryCodePoint(visit: (codePoint: number, bytes: Uint8Array, length: number) => void): void {
  const bytes = new Uint8Array(4);
  for (let codePoint = 0; codePoint <= LAST_CODE_POINT; codePoint++) {
    if (isSurrogate(codePoint)) continue;
    visit(codePoint, bytes, encoder.encodeInto(String.fromCodePoint(codePoint), bytes).written);
  }
}

/** Bytes at and around every bound in the table of RFC 3629. */
const BOUNDARY_BYTES = hex('00 41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff');

/** Valid text, random bytes, and valid text with one byte spoilt. */
const someBytes = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 400 }).map((text) => encoder.encode(text)),
  fc.uint8Array({ maxLength: 40 }),
  fc.array(fc.constantFrom(...BOUNDARY_BYTES), { maxLength: 12 }).map((bytes) => Uint8Array.from(bytes)),
  fc
    .tuple(fc.string({ unit: 'binary', maxLength: 400 }), fc.nat(), fc.constantFrom(...BOUNDARY_BYTES))
    .map(([text, at, byte]) => {
      const bytes = encoder.encode(text);
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    }),
);

describe('validateUtf8', () => {
  it('accepts every code point, whole and split at each of its bytes', () => {
    const wrong: number[] = [];
    let seen = 0;
    forEveryCodePoint((codePoint, bytes, length) => {
      seen++;
      let isRight = validateUtf8(UTF8_ACCEPT, bytes, 0, length) === UTF8_ACCEPT;
      for (let split = 1; split < length; split++) {
        const state = validateUtf8(UTF8_ACCEPT, bytes, 0, split);
        isRight &&= state > 0 && validateUtf8(state, bytes, split, length) === UTF8_ACCEPT;
      }
      if (!isRight) wrong.push(codePoint);
    });
    expect(wrong).toEqual([]);
    expect(seen).toBe(0x110000 - 0x800);
  });

  it('rejects, after every possible start of a code point, exactly the bytes that continue none', () => {
    // Every start of an encoded code point as one number, with whether it is complete.
    const starts = new Map<number, boolean>();
    forEveryCodePoint((_, bytes, length) => {
      let key = 1;
      for (let i = 0; i < length; i++) {
        key = key * 256 + bytes[i]!;
        starts.set(key, i === length - 1);
      }
    });
    const wrong: string[] = [];
    const oneByte = new Uint8Array(1);
    const check = (key: number, state: number): void => {
      for (let byte = 0; byte < 256; byte++) {
        oneByte[0] = byte;
        const isComplete = starts.get(key * 256 + byte);
        const expected = isComplete === undefined ? 'reject' : isComplete ? 'accept' : 'inside';
        const next = validateUtf8(state, oneByte, 0, 1);
        if (named(next) !== expected) wrong.push(`${(key * 256 + byte).toString(16)}: ${named(next)}`);
        else if (expected === 'inside') check(key * 256 + byte, next);
      }
    };
    check(1, UTF8_ACCEPT);
    expect(wrong).toEqual([]);
  });

  it('rejects every surrogate at its second byte', () => {
    const wrong: number[] = [];
    for (let surrogate = 0xd800; surrogate <= 0xdfff; surrogate++) {
      const bytes = Uint8Array.of(0xed, 0x80 | ((surrogate >> 6) & 0x3f), 0x80 | (surrogate & 0x3f));
      if (rejectedAt(bytes) !== 1) wrong.push(surrogate);
    }
    expect(wrong).toEqual([]);
  });

  it.each([
    ['80', 0],
    ['bf', 0],
    ['c0', 0],
    ['c0 80', 0],
    ['c1 bf', 0],
    ['c2 41', 1],
    ['df c0', 1],
    ['e0 80 80', 1],
    ['e0 9f bf', 1],
    ['e1 80 41', 2],
    ['ed a0', 1],
    ['ed a0 80', 1],
    ['ed bf bf', 1],
    ['f0 80 80 80', 1],
    ['f0 8f bf bf', 1],
    ['f1 80 80 41', 3],
    ['f4 90', 1],
    ['f4 90 80 80', 1],
    ['f4 bf bf bf', 1],
    ['f5', 0],
    ['f8 88 80 80 80', 0],
    ['fc 84 80 80 80 80', 0],
    ['fe', 0],
    ['ff', 0],
    ['ce ba e1 bd b9 cf 83 ce bc ce b5 f4 90 80 80', 12],
    ['ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80', 12],
  ])('rejects %s at the byte with index %i', (text, index) => {
    const bytes = hex(text);
    expect(rejectedAt(bytes)).toBe(index);
    expect(validateUtf8(UTF8_ACCEPT, bytes, 0, index)).not.toBe(UTF8_REJECT);
    expect(validateUtf8(UTF8_ACCEPT, bytes, 0, index + 1)).toBe(UTF8_REJECT);
    expect(validate(bytes)).toBe(UTF8_REJECT);
  });

  it.each(['c2', 'e1 80', 'e0 a0', 'ed 9f', 'f0 90', 'f0 90 80', 'f4 8f bf', '41 42 43 44 45 f1'])(
    'is inside a code point after %s, so that a text cannot end there',
    (text) => {
      const state = validate(hex(text));
      expect(named(state)).toBe('inside');
      expect(validateUtf8(state, hex('41'), 0, 1)).toBe(UTF8_REJECT);
    },
  );

  it('keeps the state over an empty piece', () => {
    for (const state of [UTF8_ACCEPT, UTF8_REJECT, validate(hex('f0 90'))]) {
      expect(validateUtf8(state, hex('80'), 1, 1)).toBe(state);
      expect(validateUtf8Fast(port, state, hex('80'), 1, 1)).toBe(state);
    }
  });

  it('never leaves the rejecting state', () => {
    const bytes = encoder.encode('plain text, and enough of it for the port: '.repeat(10));
    expect(validateUtf8(UTF8_REJECT, bytes, 0, bytes.length)).toBe(UTF8_REJECT);
    expect(validateUtf8Fast(port, UTF8_REJECT, bytes, 0, bytes.length)).toBe(UTF8_REJECT);
  });

  it('finds a bad byte at every place of an ASCII text', () => {
    for (let length = 1; length <= 20; length++) {
      for (let at = 0; at < length; at++) {
        const bytes = new Uint8Array(length).fill(0x61);
        bytes[at] = 0xff;
        expect(validate(bytes)).toBe(UTF8_REJECT);
      }
    }
  });

  it('looks at nothing outside the range it is given', () => {
    const text = encoder.encode('aé漢😀');
    for (let before = 0; before < 8; before++) {
      const bytes = new Uint8Array(before + text.length + 8).fill(0xff);
      bytes.set(text, before);
      expect(validateUtf8(UTF8_ACCEPT, bytes, before, before + text.length)).toBe(UTF8_ACCEPT);
    }
  });

  it('agrees with TextDecoder on whether a text is whole, cut off or wrong', () => {
    fc.assert(
      fc.property(someBytes, (bytes) => {
        expect(named(validate(bytes))).toBe(decoderState(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it('rejects at the same byte as TextDecoder', () => {
    fc.assert(
      fc.property(someBytes, (bytes) => {
        let first = -1;
        for (let end = 1; end <= bytes.length && first < 0; end++) {
          if (decoderState(bytes.subarray(0, end)) === 'reject') first = end - 1;
        }
        expect(rejectedAt(bytes)).toBe(first);
      }),
      { numRuns: 300 },
    );
  });

  it('agrees with buffer.isUtf8 on 300,000 strings of boundary bytes', () => {
    let seed = 0x9e3779b9;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const wrong: string[] = [];
    let valid = 0;
    for (let run = 0; run < 300_000; run++) {
      const bytes = new Uint8Array(random(7));
      for (let i = 0; i < bytes.length; i++) bytes[i] = BOUNDARY_BYTES[random(BOUNDARY_BYTES.length)]!;
      const expected = isUtf8(bytes);
      if (expected) valid++;
      if ((validate(bytes) === UTF8_ACCEPT) !== expected) wrong.push(Buffer.from(bytes).toString('hex'));
    }
    expect(wrong).toEqual([]);
    expect(valid).toBeGreaterThan(30_000);
  });
});

describe('validateUtf8Fast', () => {
  it('has the same state as validateUtf8 after each piece of any text', () => {
    fc.assert(
      fc.property(someBytes, fc.array(fc.nat(200), { maxLength: 6 }), fc.nat(9), (text, cuts, before) => {
        const bytes = new Uint8Array(before + text.length).fill(0xff);
        bytes.set(text, before);
        let slow = UTF8_ACCEPT as number;
        let fast = UTF8_ACCEPT as number;
        let start = before;
        for (const cut of [...cuts, bytes.length]) {
          const end = Math.min(bytes.length, start + cut);
          slow = validateUtf8(slow, bytes, start, end);
          fast = validateUtf8Fast(port, fast, bytes, start, end);
          expect(fast).toBe(slow);
          start = end;
        }
      }),
      { numRuns: 5000 },
    );
  });

  it('has the same state for a long text cut anywhere, with every short ending', () => {
    const long = encoder.encode('aéb漢c😀'.repeat(20));
    for (let cut = 0; cut <= long.length; cut++) {
      const state = validateUtf8Fast(port, UTF8_ACCEPT, long, 0, cut);
      expect(state).toBe(validateUtf8(UTF8_ACCEPT, long, 0, cut));
      expect(validateUtf8Fast(port, state, long, cut, long.length)).toBe(UTF8_ACCEPT);
    }
    const filled = new Uint8Array(203).fill(0x61);
    for (const a of BOUNDARY_BYTES) {
      for (const b of BOUNDARY_BYTES) {
        for (const c of BOUNDARY_BYTES) {
          filled.set([a, b, c], 200);
          const expected = validateUtf8(UTF8_ACCEPT, filled, 0, 203);
          expect(validateUtf8Fast(port, UTF8_ACCEPT, filled, 0, 203)).toBe(expected);
        }
      }
    }
  });

  it('never shows the port a part of a code point, so that it never refuses a part of a valid text', () => {
    let calls = 0;
    const strict: Utf8Port = {
      isUtf8(bytes) {
        calls++;
        expect(isUtf8(bytes)).toBe(true);
        return true;
      },
    };
    const text = encoder.encode('漢😀é'.repeat(30));
    for (let cut = 0; cut <= text.length; cut++) {
      const state = validateUtf8Fast(strict, UTF8_ACCEPT, text, 0, cut);
      expect(validateUtf8Fast(strict, state, text, cut, text.length)).toBe(UTF8_ACCEPT);
    }
    expect(calls).toBeGreaterThan(text.length);
  });

  it('calls the port for long texts and for short ones that are not ASCII', () => {
    for (const text of ['a'.repeat(128), '漢'.repeat(10), `${'a'.repeat(50)}${'é'.repeat(20)}`]) {
      const bytes = encoder.encode(text);
      let calls = 0;
      const counting: Utf8Port = { isUtf8: (part) => isUtf8(part) && ++calls > 0 };
      expect(validateUtf8Fast(counting, UTF8_ACCEPT, bytes, 0, bytes.length)).toBe(UTF8_ACCEPT);
      expect(calls).toBe(1);
    }
  });

  it('does not call the port for short texts', () => {
    const forbidden: Utf8Port = {
      isUtf8() {
        throw new Error('called');
      },
    };
    for (const text of ['', 'short', 'a'.repeat(100), '漢字', `${'a'.repeat(100)}é`]) {
      const bytes = encoder.encode(text);
      expect(validateUtf8Fast(forbidden, UTF8_ACCEPT, bytes, 0, bytes.length)).toBe(UTF8_ACCEPT);
    }
  });
});
