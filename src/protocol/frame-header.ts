/**
 * The frame header as it is written (RFC 6455 §5.2): 2 to 14 bytes.
 *
 *   FIN RSV1-3 opcode(4) | MASK length(7) | extended length (0, 2 or 8) | masking key (0 or 4)
 */

export const FIN = 0x80;
export const RSV1 = 0x40;
export const MASK_BIT = 0x80;

/** The longest header: 2 + 8 + 4 bytes. */
export const MAX_HEADER_LENGTH = 14;

/** The longest payload of a control frame in bytes (RFC 6455 §5.5). */
export const MAX_CONTROL_PAYLOAD = 125;

/** Bytes that the header of a frame with `payloadLength` bytes of payload takes. */
export function headerLength(payloadLength: number, masked: boolean): number {
  const key = masked ? 4 : 0;
  if (payloadLength < 126) return 2 + key;
  return payloadLength < 65536 ? 4 + key : 10 + key;
}

/** The payload of a whole unmasked frame, where it lies. */
export function payloadOf(frame: Uint8Array): Uint8Array {
  const short = frame[1]! & 0x7f;
  // 126 stands for two bytes of length, 127 for eight.
  return frame.subarray(headerLength(short === 127 ? 65536 : short, false));
}

/**
 * Writes an unmasked header with the shortest length encoding and returns the position after it.
 *
 * @param firstByte FIN, RSV bits and opcode
 */
export function writeHeader(
  out: Uint8Array,
  position: number,
  firstByte: number,
  payloadLength: number,
): number {
  out[position] = firstByte;
  if (payloadLength < 126) {
    out[position + 1] = payloadLength;
    return position + 2;
  }
  if (payloadLength < 65536) {
    out[position + 1] = 126;
    out[position + 2] = payloadLength >>> 8;
    out[position + 3] = payloadLength & 255;
    return position + 4;
  }
  return writeLongHeader(out, position, payloadLength);
}

function writeLongHeader(out: Uint8Array, position: number, payloadLength: number): number {
  out[position + 1] = 127;
  let high = Math.floor(payloadLength / 0x1_0000_0000);
  let low = payloadLength >>> 0;
  for (let i = 3; i >= 0; i--) {
    out[position + 2 + i] = high & 255;
    out[position + 6 + i] = low & 255;
    high >>>= 8;
    low >>>= 8;
  }
  return position + 10;
}

/** Writes a header with the mask bit and the key (client role) and returns the position after it. */
export function writeMaskedHeader(
  out: Uint8Array,
  position: number,
  firstByte: number,
  payloadLength: number,
  key: number,
): number {
  const at = writeHeader(out, position, firstByte, payloadLength);
  out[position + 1] = out[position + 1]! | MASK_BIT;
  out[at] = key & 255;
  out[at + 1] = (key >>> 8) & 255;
  out[at + 2] = (key >>> 16) & 255;
  out[at + 3] = key >>> 24;
  return at + 4;
}
