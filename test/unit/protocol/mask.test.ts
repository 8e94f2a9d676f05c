import { describe, expect, it, vi } from 'vitest';
import { Random } from '../../support/protocol/chunked.ts';
import { keyNumber } from '../../support/protocol/endpoint.ts';
import { hex, type MaskKey, pattern, SAMPLE_KEY, ZERO_KEY } from '../../support/protocol/frame-bytes.ts';

// A module of its own: which buffer is favored is said once for the life of a thread, which other tests share.
vi.resetModules();
const { applyMask, favorBuffer, isFavoredBuffer, NON_ASCII, orBytes, rotateMask, wordsOf } = await import(
  '../../../src/protocol/mask.ts'
);

const CANARY = 0xc7;
const MARGIN = 16;
const LENGTHS = Array.from({ length: 81 }, (_, length) => length);
const OFFSETS = [0, 1, 2, 3, 4, 5, 6, 7];
const KEYS: readonly MaskKey[] = [
  SAMPLE_KEY,
  ZERO_KEY,
  [0xff, 0xff, 0xff, 0xff],
  [1, 2, 3, 0x80],
  [0, 0, 0, 9],
];

/** RFC 6455 §5.3 as it is written: octet i is XORed with octet i mod 4 of the key. */
function naive(payload: Uint8Array, key: MaskKey): Uint8Array {
  return payload.map((byte, i) => byte ^ key[i % 4]!);
}

function naiveOr(payload: Uint8Array): number {
  return payload.reduce((seen, byte) => seen | byte, 0);
}

/** The OR over the four lanes. */
function folded(seen: number): number {
  return (seen | (seen >>> 8) | (seen >>> 16) | (seen >>> 24)) & 0xff;
}

/** Memory with `payload` at `offset`, canaries around it; the view itself may start off a word. */
function around(payload: Uint8Array, offset: number, viewStart = 0): Uint8Array {
  const memory = new Uint8Array(new ArrayBuffer(viewStart + offset + payload.length + MARGIN), viewStart);
  memory.fill(CANARY);
  memory.set(payload, offset);
  return memory;
}

describe('applyMask', () => {
  it('equals the byte-wise XOR at every offset mod 8 and length, and touches nothing else', () => {
    for (const key of KEYS) {
      for (const viewStart of [0, 1, 6]) {
        for (const offset of OFFSETS) {
          for (const length of LENGTHS) {
            const payload = pattern(length, length + 1);
            const memory = around(payload, offset + MARGIN, viewStart);
            applyMask(memory, wordsOf(memory), offset + MARGIN, length, keyNumber(key));
            const wanted = around(naive(payload, key), offset + MARGIN, viewStart);
            if (Buffer.compare(memory, wanted) !== 0) expect(memory).toEqual(wanted);
          }
        }
      }
    }
  });

  it('masks the example of RFC 6455 §5.7', () => {
    const hello = hex('48656c6c6f');
    applyMask(hello, wordsOf(hello), 0, 5, keyNumber(SAMPLE_KEY));
    expect(hello).toEqual(hex('7f9f4d5158'));
  });

  it('restores the payload when applied twice', () => {
    const memory = pattern(1000);
    applyMask(memory, wordsOf(memory), 3, 990, keyNumber(SAMPLE_KEY));
    applyMask(memory, wordsOf(memory), 3, 990, keyNumber(SAMPLE_KEY));
    expect(memory).toEqual(pattern(1000));
  });

  it('equals the byte-wise XOR for long payloads at every alignment, in the known buffer and in others', () => {
    const known = new Uint8Array(new ArrayBuffer(4200), 3);
    // More than enough in a row to become the known one.
    for (let run = 0; run < 100; run++) applyMask(known, wordsOf(known), 0, 400, 0);
    for (const bytes of [known, new Uint8Array(4100), new Uint8Array(new ArrayBuffer(4200), 6)]) {
      for (const key of KEYS) {
        for (const offset of OFFSETS) {
          for (const length of [255, 256, 257, 263, 264, 287, 288, 289, 290, 291, 1000, 2047, 3999]) {
            bytes.fill(CANARY);
            bytes.set(pattern(length, 9), offset + MARGIN);
            const wanted = Uint8Array.from(bytes);
            wanted.set(naive(pattern(length, 9), key), offset + MARGIN);
            const seen = applyMask(bytes, wordsOf(bytes), offset + MARGIN, length, keyNumber(key));
            if (Buffer.compare(bytes, wanted) !== 0) expect(bytes).toEqual(wanted);
            const or = naiveOr(naive(pattern(length, 9), key));
            if ((folded(seen) & or) !== or) expect.fail(`hides bits at ${offset}, ${length}`);
          }
        }
      }
    }
  });

  it('learns the buffer that long payloads come in, when they come in no other meanwhile', () => {
    const [home, other] = [new Uint8Array(1000), new Uint8Array(1000)];
    const mask = (bytes: Uint8Array): void => void applyMask(bytes, wordsOf(bytes), 0, 900, 1);
    for (let run = 0; run < 64; run++) mask(home);
    expect(isFavoredBuffer(home)).toBe(true);
    for (let run = 0; run < 1000; run++) {
      mask(other);
      if (run % 50 === 0) mask(home);
    }
    expect(isFavoredBuffer(home)).toBe(true);
    for (let run = 0; run < 64; run++) mask(other);
    expect(isFavoredBuffer(other)).toBe(true);
  });

  it('favors the buffer that was named first, whatever comes in others', () => {
    const named = new Uint8Array(1000);
    favorBuffer(named);
    expect(isFavoredBuffer(named)).toBe(true);
    for (let round = 0; round < 3; round++) {
      const bytes = new Uint8Array(1000);
      for (let run = 0; run < 150; run++) {
        bytes.set(pattern(900, run));
        applyMask(bytes, wordsOf(bytes), 0, 900, keyNumber(SAMPLE_KEY));
        const wanted = naive(pattern(900, run), SAMPLE_KEY);
        if (Buffer.compare(bytes.subarray(0, 900), wanted) !== 0)
          expect(bytes.subarray(0, 900)).toEqual(wanted);
      }
      expect(isFavoredBuffer(bytes)).toBe(false);
      favorBuffer(bytes);
    }
    expect(isFavoredBuffer(named)).toBe(true);
  });

  it('returns the OR of the unmasked bytes, and no other bits', () => {
    for (const offset of OFFSETS) {
      for (const length of LENGTHS) {
        const payload = pattern(length, 7).map((byte) => byte & (length % 2 === 0 ? 0x55 : 0x2a));
        const memory = around(naive(payload, SAMPLE_KEY), offset);
        const seen = applyMask(memory, wordsOf(memory), offset, length, keyNumber(SAMPLE_KEY));
        expect(folded(seen)).toBe(naiveOr(payload));
      }
    }
  });

  it('shows one byte that is not ASCII at every place of every length', () => {
    for (const length of LENGTHS) {
      for (let at = 0; at < length; at++) {
        const payload = new Uint8Array(length).fill(0x7f);
        payload[at] = 0x80;
        const memory = around(naive(payload, SAMPLE_KEY), 1);
        const seen = applyMask(memory, wordsOf(memory), 1, length, keyNumber(SAMPLE_KEY));
        if ((seen & NON_ASCII) === 0) expect.fail(`missed at ${at} of ${length}`);
      }
      const ascii = around(naive(new Uint8Array(length).fill(0x7f), SAMPLE_KEY), 1);
      expect(applyMask(ascii, wordsOf(ascii), 1, length, keyNumber(SAMPLE_KEY)) & NON_ASCII).toBe(0);
    }
  });
});

describe('rotateMask', () => {
  it('continues a payload that arrives in 1 to 9 pieces', () => {
    const random = new Random(5);
    for (let pieces = 1; pieces <= 9; pieces++) {
      for (let run = 0; run < 60; run++) {
        const lengths = Array.from({ length: pieces }, () => random.below(run < 30 ? 6 : 41));
        const payload = pattern(
          lengths.reduce((sum, length) => sum + length, 0),
          run,
        );
        const offset = random.below(8);
        const memory = around(payload, offset);
        let key = keyNumber(SAMPLE_KEY);
        let at = offset;
        for (const length of lengths) {
          applyMask(memory, wordsOf(memory), at, length, key);
          key = rotateMask(key, length);
          at += length;
        }
        expect(memory).toEqual(around(naive(payload, SAMPLE_KEY), offset));
      }
    }
  });

  it.each([
    [0, 0x44332211],
    [1, 0x11443322],
    [2, 0x22114433],
    [3, 0x33221144],
    [4, 0x44332211],
    [65537, 0x11443322],
    [2 ** 31 + 2, 0x22114433],
    [2 ** 32 + 3, 0x33221144],
  ])('turns the key by %d bytes', (length, wanted) => {
    expect(rotateMask(0x44332211, length)).toBe(wanted);
  });

  it('keeps a key whose highest bit is set', () => {
    const key = keyNumber([0x01, 0x02, 0x03, 0x84]);
    expect(key).toBeLessThan(0);
    expect(rotateMask(key, 1)).toBe(keyNumber([0x02, 0x03, 0x84, 0x01]));
    expect(rotateMask(key, 3)).toBe(keyNumber([0x84, 0x01, 0x02, 0x03]));
  });
});

describe('orBytes', () => {
  it('is the OR of the bytes between the bounds, at every offset and length', () => {
    for (const offset of OFFSETS) {
      for (const length of LENGTHS) {
        const payload = pattern(length, 3).map((byte) => byte & 0x55);
        const memory = around(payload, offset);
        expect(folded(orBytes(memory, wordsOf(memory), offset, length))).toBe(naiveOr(payload));
        expect(memory).toEqual(around(payload, offset));
      }
    }
  });

  it('shows one byte that is not ASCII at every place of every length', () => {
    for (const length of LENGTHS) {
      for (let at = 0; at < length; at++) {
        const payload = new Uint8Array(length).fill(0x7f);
        payload[at] = 0x80;
        const memory = around(payload, 3);
        if ((orBytes(memory, wordsOf(memory), 3, length) & NON_ASCII) === 0) {
          expect.fail(`missed at ${at} of ${length}`);
        }
      }
    }
  });
});

describe('wordsOf', () => {
  it('has the indices of the array, also of a part of larger memory', () => {
    const part = pattern(32).subarray(5, 29);
    const words = wordsOf(part);
    expect(words.byteLength).toBe(24);
    for (let i = 0; i < 24; i++) expect(words.getUint8(i)).toBe(part[i]);
  });

  it('gives the same view for the same array and never that of another', () => {
    const one = pattern(8, 1);
    const two = pattern(8, 2);
    const words = wordsOf(one);
    expect(wordsOf(one)).toBe(words);
    expect(wordsOf(two).getUint8(0)).toBe(two[0]);
    expect(wordsOf(one).getUint8(0)).toBe(one[0]);
    const half = one.subarray(0, 4);
    expect(wordsOf(half).byteLength).toBe(4);
  });
});
