import { describe, expect, it } from 'vitest';
import {
  FIN,
  headerLength,
  MAX_HEADER_LENGTH,
  payloadOf,
  RSV1,
  writeHeader,
  writeMaskedHeader,
} from '../../../src/protocol/frame-header.ts';
import { keyNumber } from '../../support/protocol/endpoint.ts';
import { frameBytes, hex, type MaskKey, SAMPLE_KEY } from '../../support/protocol/frame-bytes.ts';
import { readHead } from '../../support/protocol/frame-reader.ts';

const CANARY = 0xc7;
const POSITION = 5;
const HIGH_KEY: MaskKey = [0x80, 0x00, 0xff, 0xfe];

/** Payload length, and the bytes the header has without a key. */
const LENGTHS: readonly (readonly [number, number])[] = [
  [0, 2],
  [1, 2],
  [124, 2],
  [125, 2],
  [126, 4],
  [127, 4],
  [128, 4],
  [255, 4],
  [256, 4],
  [65534, 4],
  [65535, 4],
  [65536, 10],
  [65537, 10],
  [0x0102_0304, 10],
  [2 ** 31 - 1, 10],
  [2 ** 31, 10],
  [2 ** 31 + 1, 10],
  [2 ** 32 - 1, 10],
  [2 ** 32, 10],
  [2 ** 32 + 5, 10],
  [2 ** 48 + 2 ** 31, 10],
  [2 ** 53 - 1, 10],
];

function memory(): Uint8Array {
  return new Uint8Array(POSITION + MAX_HEADER_LENGTH + 4).fill(CANARY);
}

function isUntouched(bytes: Uint8Array, end: number): boolean {
  return bytes.every((byte, i) => (i >= POSITION && i < end) || byte === CANARY);
}

describe('headerLength', () => {
  it.each(LENGTHS)('of %d bytes of payload is %d, and 4 more with a key', (length, size) => {
    expect(headerLength(length, false)).toBe(size);
    expect(headerLength(length, true)).toBe(size + 4);
  });

  it('is never above MAX_HEADER_LENGTH', () => {
    expect(headerLength(Number.MAX_SAFE_INTEGER, true)).toBe(MAX_HEADER_LENGTH);
  });
});

describe('writeHeader', () => {
  it.each(LENGTHS)('writes the length %d in %d bytes, and nothing else', (length, size) => {
    const out = memory();
    expect(writeHeader(out, POSITION, FIN | RSV1 | 2, length)).toBe(POSITION + size);
    const head = readHead(out, POSITION);
    expect(head).toEqual({ fin: true, rsv: 4, opcode: 2, key: null, length: BigInt(length), size });
    expect(isUntouched(out, POSITION + size)).toBe(true);
  });

  it('writes the bytes of RFC 6455 §5.7', () => {
    const out = new Uint8Array(10);
    writeHeader(out, 0, FIN | 1, 5);
    expect(out.subarray(0, 2)).toEqual(hex('8105'));
    writeHeader(out, 0, FIN | 2, 256);
    expect(out.subarray(0, 4)).toEqual(hex('827e0100'));
    writeHeader(out, 0, FIN | 2, 65536);
    expect(out).toEqual(hex('827f0000000000010000'));
  });
});

describe('writeMaskedHeader', () => {
  it.each(LENGTHS)('writes the length %d in %d bytes and the key behind it', (length, size) => {
    for (const key of [SAMPLE_KEY, HIGH_KEY]) {
      const out = memory();
      expect(writeMaskedHeader(out, POSITION, 1, length, keyNumber(key))).toBe(POSITION + size + 4);
      const head = readHead(out, POSITION);
      expect(head).toEqual({ fin: false, rsv: 0, opcode: 1, key, length: BigInt(length), size: size + 4 });
      expect(isUntouched(out, POSITION + size + 4)).toBe(true);
    }
  });
});

describe('payloadOf', () => {
  it.each(LENGTHS.filter(([length]) => length <= 2 ** 20))(
    'finds %d bytes behind a header of %d',
    (length, size) => {
      const frame = new Uint8Array(size + length);
      writeHeader(frame, 0, FIN | 2, length);
      const payload = payloadOf(frame);
      expect(payload.byteOffset).toBe(size);
      expect(payload.length).toBe(length);
    },
  );
});

describe('the frame builder of the tests', () => {
  it.each(LENGTHS)('agrees with the writer about a header of %d bytes of payload', (length, size) => {
    const out = new Uint8Array(size);
    writeHeader(out, 0, FIN | 2, length);
    const spec = { opcode: 2, payload: new Uint8Array(0), declaredLength: BigInt(length) };
    expect(frameBytes(spec)).toEqual(out);
  });
});
