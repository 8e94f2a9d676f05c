/**
 * Incremental UTF-8 validation (RFC 3629), fail-fast: the first byte that no valid text can have at its
 * place is rejected at once, which is earlier than the end of its code point (`f4 90` at the `90`).
 *
 * The state between two pieces is one small integer. Inside a code point it holds what may come next:
 *
 *   bits 16-17          bits 8-15             bits 0-7
 *   bytes still due     lowest next byte      highest next byte
 *
 * Only the byte after the lead byte has bounds narrower than 80..bf; they are what keeps out overlong forms
 * (e0, f0), surrogates (ed) and code points above U+10FFFF (f4).
 */

/** State between two code points. Start here; a text is complete only in this state. */
export const UTF8_ACCEPT = 0;

/** State after an impossible byte. It never changes again. */
export const UTF8_REJECT = -1;

/** One more byte is due, in 80..bf. */
const ONE_DUE = 0x1_80_bf;
const TWO_DUE = 0x2_80_bf;
const THREE_DUE = 0x3_80_bf;

/** The state after `byte` where a code point has to start. */
function afterLead(byte: number): number {
  if (byte < 0x80) return UTF8_ACCEPT;
  if (byte < 0xc2) return UTF8_REJECT; // a stray continuation byte, or an overlong form of ASCII
  if (byte < 0xe0) return ONE_DUE;
  if (byte < 0xf0) {
    if (byte === 0xe0) return 0x2_a0_bf; // below a0: overlong
    return byte === 0xed ? 0x2_80_9f : TWO_DUE; // above 9f: surrogates
  }
  if (byte > 0xf4) return UTF8_REJECT;
  if (byte === 0xf0) return 0x3_90_bf; // below 90: overlong
  return byte === 0xf4 ? 0x3_80_8f : THREE_DUE; // above 8f: beyond U+10FFFF
}

/** The state after `byte` inside a code point. */
function afterContinuation(state: number, byte: number): number {
  if (byte < ((state >> 8) & 0xff) || byte > (state & 0xff)) return UTF8_REJECT;
  const due = (state >> 16) - 1;
  return due === 0 ? UTF8_ACCEPT : (due << 16) | 0x80bf;
}

/** The first place in `[start, end)` that holds no ASCII, or `end`. */
function skipAscii(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i + 3 < end && (bytes[i]! | bytes[i + 1]! | bytes[i + 2]! | bytes[i + 3]!) < 0x80) i += 4;
  while (i < end && bytes[i]! < 0x80) i++;
  return i;
}

/**
 * Validates `bytes[start, end)` as the continuation of a text that is in `state`, and returns the new state:
 * UTF8_ACCEPT, UTF8_REJECT, or something else inside a code point.
 */
export function validateUtf8(state: number, bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && state !== UTF8_REJECT) {
    if (state === UTF8_ACCEPT) {
      i = skipAscii(bytes, i, end);
      if (i < end) state = afterLead(bytes[i++]!);
    } else {
      state = afterContinuation(state, bytes[i++]!);
    }
  }
  return state;
}

/** A whole-buffer check at native speed; `buffer.isUtf8` of Node fits as it is. */
export interface Utf8Port {
  isUtf8(bytes: Uint8Array): boolean;
}

/**
 * From how many bytes the port pays. Its call costs about 65 ns, view object included, up to some 300 bytes;
 * the loop above takes 0.5 ns a byte of ASCII and about 4 ns a byte of other text, so that the two break even
 * near 128 bytes of ASCII and near 16 bytes of anything else (Node 20.20 with `buffer.isUtf8`, x64).
 */
const PORT_PAYS_FROM_ASCII = 128;
const PORT_PAYS_FROM = 24;

/**
 * Same result as validateUtf8, always, at native speed for long pieces. The port never sees the rest of a code
 * point that an earlier piece began, nor the start of one that a later piece completes. A piece that does
 * reach the port costs one view object.
 */
export function validateUtf8Fast(
  port: Utf8Port,
  state: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let head = start;
  while (state > UTF8_ACCEPT && head < end) state = afterContinuation(state, bytes[head++]!);
  if (state !== UTF8_ACCEPT) return state;
  if (end - head < PORT_PAYS_FROM_ASCII) head = skipAscii(bytes, head, end);
  if (end - head < PORT_PAYS_FROM) return validateUtf8(UTF8_ACCEPT, bytes, head, end);
  const tail = incompleteTail(bytes, end);
  if (!port.isUtf8(bytes.subarray(head, tail))) return UTF8_REJECT;
  return validateUtf8(UTF8_ACCEPT, bytes, tail, end);
}

/** Where the last code point starts if it needs bytes beyond `end`, otherwise `end`. Looks at three bytes. */
function incompleteTail(bytes: Uint8Array, end: number): number {
  for (let length = 1; length <= 3; length++) {
    const byte = bytes[end - length]!;
    if (byte < 0x80) return end;
    if (byte >= 0xc0) {
      const needed = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      return needed > length ? end - length : end;
    }
  }
  return end;
}
