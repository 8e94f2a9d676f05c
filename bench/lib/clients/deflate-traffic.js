// @ts-check
import { deflateRawSync, inflateRawSync, constants as zlib } from 'node:zlib';

/**
 * What a connection sends compressed (RFC 7692): JSON messages that all differ, each compressed alone. How a server
 * compresses its replies is its own affair, so they are learned from it once: each must inflate to its message.
 * Without context takeover the same message then has the same reply, and the bytes can be compared.
 *
 * @typedef {object} DeflateTraffic
 * @property {readonly Buffer[]} messages
 * @property {readonly Buffer[]} requests masked frames
 */

/** Messages until the traffic repeats itself. */
const PERIOD = 16;
/** RFC 7692 §7.2.1: left out at the end of a message. */
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
/** FIN, RSV1 and the opcode of text. */
const COMPRESSED_TEXT = 0xc1;
const PLAIN_TEXT = 0x81;

/**
 * @param {number} size bytes of a message before compression
 * @returns {DeflateTraffic}
 */
export function deflateTraffic(size) {
  const messages = Array.from({ length: PERIOD }, (_, i) => jsonOf(i, size));
  const requests = messages.map((message, i) => {
    const bytes = deflateRawSync(message, { finishFlush: zlib.Z_SYNC_FLUSH });
    return maskedFrame(bytes.subarray(0, -TAIL.length), 0x9e3779b9 * (i + 1));
  });
  return { messages, requests };
}

/**
 * A list of records such as an application sends, exactly `size` bytes.
 *
 * @param {number} seed
 * @param {number} size
 */
function jsonOf(seed, size) {
  let text = '{"records":[';
  for (let i = seed * 100; text.length < size - 12; i++) {
    const record = {
      id: (i * 7919) % 100_003,
      name: `user ${i % 97}`,
      active: i % 3 === 0,
      score: (i * 31) % 1000,
    };
    text += `${JSON.stringify(record)},`;
  }
  const cut = text.slice(0, size - 12);
  return Buffer.from(cut.padEnd(size - 2, ' ').concat(']}'));
}

/**
 * The first frame of `bytes`: its length and, decompressed, what it says; undefined while it is not complete.
 *
 * @param {Buffer} bytes
 */
export function readReply(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes.readUInt8(1);
  const header = short < 126 ? 2 : 4;
  if (short > 126 || bytes.length < header) throw new Error('a reply is longer than expected, or masked');
  const length = header + (short < 126 ? short : bytes.readUInt16BE(2));
  if (bytes.length < length) return undefined;
  const payload = bytes.subarray(header, length);
  const first = bytes.readUInt8(0);
  if (first === PLAIN_TEXT) return { length, message: payload, isCompressed: false };
  if (first !== COMPRESSED_TEXT) throw new Error(`a reply begins with ${first}`);
  const message = inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: zlib.Z_SYNC_FLUSH });
  return { length, message, isCompressed: true };
}

/**
 * @param {Buffer} payload
 * @param {number} key
 */
function maskedFrame(payload, key) {
  const keyBytes = Buffer.alloc(4);
  keyBytes.writeInt32BE(key | 0);
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) {
    masked.writeUInt8(masked.readUInt8(i) ^ keyBytes.readUInt8(i & 3), i);
  }
  const { length } = payload;
  const header =
    length < 126 ? [COMPRESSED_TEXT, 0x80 | length] : [COMPRESSED_TEXT, 0xfe, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(header), keyBytes, masked]);
}
