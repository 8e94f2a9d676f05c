/**
 * Copies between private memory and a ring. `TypedArray.set` needs a view for each call and works in words
 * only when both sides have the same alignment modulo 8 (over shared memory it is eight times slower
 * otherwise), so short copies go through the ring's 32-bit words and long ones should be aligned alike.
 */

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Up to this many bytes are copied word by word, without a view (the words are taken apart little end first). */
export const SHORT_COPY = LITTLE_ENDIAN ? 96 : 0;

/** A data area as bytes and as words, as producers and consumers offer it. */
export interface SharedBytes {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** Copies `length` bytes of `source` from `sourceOffset` to `offset` in the ring. */
export function copyIn(
  source: Uint8Array,
  sourceOffset: number,
  ring: SharedBytes,
  offset: number,
  length: number,
): void {
  if (length > SHORT_COPY || (offset & 3) !== 0) {
    ring.bytes.set(source.subarray(sourceOffset, sourceOffset + length), offset);
    return;
  }
  const { words, bytes } = ring;
  let from = sourceOffset;
  let word = offset >> 2;
  for (const end = sourceOffset + (length & ~3); from < end; from += 4) {
    words[word++] =
      source[from]! | (source[from + 1]! << 8) | (source[from + 2]! << 16) | (source[from + 3]! << 24);
  }
  for (let to = word << 2; to < offset + length; to++) bytes[to] = source[from++]!;
}

/** Copies `length` bytes from `offset` in the ring to `target` at `targetOffset`. */
export function copyOut(
  ring: SharedBytes,
  offset: number,
  target: Uint8Array,
  targetOffset: number,
  length: number,
): void {
  if (length > SHORT_COPY || (offset & 3) !== 0) {
    target.set(ring.bytes.subarray(offset, offset + length), targetOffset);
    return;
  }
  const { words, bytes } = ring;
  let to = targetOffset;
  let word = offset >> 2;
  for (const end = targetOffset + (length & ~3); to < end; to += 4) {
    const four = words[word++]!;
    target[to] = four;
    target[to + 1] = four >> 8;
    target[to + 2] = four >> 16;
    target[to + 3] = four >> 24;
  }
  for (let from = word << 2; from < offset + length; from++) target[to++] = bytes[from]!;
}
