/**
 * Masking (RFC 6455 §5.3): byte i of the payload is XORed with byte i mod 4 of the key. Applying it twice
 * restores the payload, so masking and unmasking are one function.
 *
 * A key is carried as one 32-bit integer, first key byte lowest (little-endian), so that four payload bytes
 * are treated at once. A DataView reads and writes words at any alignment at the same speed as an aligned
 * Int32Array (measured on V8 11.3, x86-64: 20 bytes in 12 ns, 8 GB/s for long payloads; the byte loop 1.3).
 *
 * Long payloads in the one buffer that a thread reads into go eight bytes at a time, at 22 GB/s. V8 does that only
 * for a typed array that it knows when it compiles the loop: one that is a constant of the closure, and of the first
 * closure alone (a second one is as slow as the loop of four). So there is one such buffer for the life of a thread, and
 * what peers send does not choose it: see {@link favorBuffer}. Where nobody names one it is learned.
 */

let lastBytes: Uint8Array = new Uint8Array(0);
let lastWords: DataView = new DataView(lastBytes.buffer);

/**
 * A DataView over the same memory with the same indices. The view of the last array asked for is kept: a
 * shard reads into one receive buffer, so the hot path never creates one.
 */
export function wordsOf(bytes: Uint8Array): DataView {
  if (bytes !== lastBytes) {
    lastWords = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    lastBytes = bytes;
  }
  return lastWords;
}

/**
 * XORs `length` bytes from `offset` in place.
 *
 * @param words view of the same memory as `bytes`, see {@link wordsOf}
 * @param key masking key as a little-endian 32-bit integer, rotated so that its lowest byte is for the first byte
 * @returns the bitwise OR of all unmasked bytes, four lanes wide: `(result & 0x80808080) === 0` says that
 *   the payload is pure ASCII, found without a second pass. For a long payload it may be -1: not looked at
 */
export function applyMask(
  bytes: Uint8Array,
  words: DataView,
  offset: number,
  length: number,
  key: number,
): number {
  const end = offset + length;
  let seen = 0;
  let i = offset;
  let rest = key;
  if (length >= LONG_PAYLOAD) {
    i = applyLongMask(bytes, offset, end, key);
    if (i > offset) {
      rest = rotateMask(key, i - offset);
      seen = UNKNOWN;
    }
  }
  for (const last = end - 15; i < last; i += 16) {
    const a = words.getInt32(i, true) ^ rest;
    const b = words.getInt32(i + 4, true) ^ rest;
    const c = words.getInt32(i + 8, true) ^ rest;
    const d = words.getInt32(i + 12, true) ^ rest;
    words.setInt32(i, a, true);
    words.setInt32(i + 4, b, true);
    words.setInt32(i + 8, c, true);
    words.setInt32(i + 12, d, true);
    seen |= a | b | c | d;
  }
  for (const last = end - 3; i < last; i += 4) {
    const a = words.getInt32(i, true) ^ rest;
    words.setInt32(i, a, true);
    seen |= a;
  }
  for (; i < end; i++, rest >>>= 8) {
    const byte = bytes[i]! ^ (rest & 255);
    bytes[i] = byte;
    seen |= byte;
  }
  return seen;
}

/** Bytes from which the eight-byte loop is worth its start. */
const LONG_PAYLOAD = 256;

/** Not counted: the bytes may or may not be ASCII. */
const UNKNOWN = -1;

/** Long payloads in a row outside the known buffer before another one is learned, if nobody named one. */
const LEARN_AFTER = 64;

/** The words of a BigUint64Array have the byte order of the machine, the key has this one. */
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

type XorWords = (from: number, to: number, key: number) => void;

let longBytes: Uint8Array | null = null;
/** Index of the first byte of `longBytes` that is aligned to eight. */
let longStart = 0;
let xorLongWords: XorWords = () => {};
/** Somebody named it. */
let isFavored = false;
let strangers = 0;

/**
 * Names the buffer whose long payloads are masked fastest: the one that this thread reads into. The first call counts.
 * Without one it is whatever buffer long payloads came in, many in a row.
 */
export function favorBuffer(bytes: Uint8Array): void {
  if (isFavored) return;
  isFavored = true;
  if (IS_LITTLE_ENDIAN) learnBuffer(bytes);
}

/** Whether this is the buffer whose long payloads are masked fastest. */
export function isFavoredBuffer(bytes: Uint8Array): boolean {
  return bytes === longBytes;
}

/** XORs what lies in whole words of `bytes[offset, end)`; returns the first position that is left to do. */
function applyLongMask(bytes: Uint8Array, offset: number, end: number, key: number): number {
  if (bytes !== longBytes && !learnStranger(bytes)) return offset;
  if (strangers !== 0) strangers = 0;
  let i = offset;
  let rest = key;
  for (; ((i - longStart) & 7) !== 0; i++) {
    bytes[i] = bytes[i]! ^ (rest & 255);
    rest = (rest >>> 8) | (rest << 24);
  }
  const to = (end - longStart) >> 3;
  xorLongWords((i - longStart) >> 3, to, rest);
  return longStart + (to << 3);
}

/** Whether another buffer is the known one from here on. */
function learnStranger(bytes: Uint8Array): boolean {
  if (isFavored || !IS_LITTLE_ENDIAN || (longBytes !== null && ++strangers < LEARN_AFTER)) return false;
  learnBuffer(bytes);
  return true;
}

function learnBuffer(bytes: Uint8Array): void {
  longBytes = bytes;
  longStart = (8 - (bytes.byteOffset & 7)) & 7;
  const count = (bytes.length - longStart) >> 3;
  xorLongWords = xorOf(new BigUint64Array(bytes.buffer, bytes.byteOffset + longStart, count));
}

function xorOf(words: BigUint64Array): XorWords {
  return (from, to, key) => {
    const half = BigInt(key >>> 0);
    const mask = BigInt.asUintN(64, (half << 32n) | half);
    let i = from;
    for (const last = to - 3; i < last; i += 4) {
      words[i] = BigInt.asUintN(64, words[i]! ^ mask);
      words[i + 1] = BigInt.asUintN(64, words[i + 1]! ^ mask);
      words[i + 2] = BigInt.asUintN(64, words[i + 2]! ^ mask);
      words[i + 3] = BigInt.asUintN(64, words[i + 3]! ^ mask);
    }
    for (; i < to; i++) words[i] = BigInt.asUintN(64, words[i]! ^ mask);
  };
}

/** The OR of all bytes, as {@link applyMask} returns it, for a payload that is not masked. */
export function orBytes(bytes: Uint8Array, words: DataView, offset: number, length: number): number {
  const end = offset + length;
  let seen = 0;
  let i = offset;
  for (const last = end - 3; i < last; i += 4) seen |= words.getInt32(i, true);
  for (; i < end; i++) seen |= bytes[i]!;
  return seen;
}

/** The key for the byte that follows `length` bytes treated with `key`. */
export function rotateMask(key: number, length: number): number {
  const bits = (length & 3) << 3;
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits));
}

/** The high bit of each of four lanes: set in a result of {@link applyMask} when a byte is not ASCII. */
export const NON_ASCII = 0x80808080 | 0;
