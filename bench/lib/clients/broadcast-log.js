// @ts-check
import { BODY_OFFSET, messageTemplates, templateOf } from './broadcast-message.js';

/** Frames that the log remembers: how far behind the first of all subscribers another may be. */
const FRAMES = 4096;

const SHORT_LENGTH = 126;

/**
 * BroadcastLog: the one stream of bytes that all subscribers must get, in a ring. Who is first to receive a part of
 * it appends it, and each message in it is checked: its header, that its number is the next one of its publisher,
 * its body. For all others that part is compared natively, byte for byte.
 */
export class BroadcastLog {
  /** Bytes of a frame. @readonly */
  frameLength;
  /** Bytes of the stream so far. */
  end = 0;
  #size;
  #templates;
  #bytes;
  #header;
  /** The start of the first frame that is not checked. */
  #unchecked = 0;
  /** The number of the next message of each publisher. */
  #next;
  #sentAt = new Float64Array(FRAMES);

  /**
   * @param {number} size payload of a message in bytes
   * @param {number} publishers
   */
  constructor(size, publishers) {
    this.#size = size;
    this.#templates = messageTemplates(size);
    this.#header = serverHeader(size);
    this.frameLength = this.#header.length + size;
    this.#bytes = Buffer.alloc(FRAMES * this.frameLength);
    this.#next = new Float64Array(publishers);
  }

  /** The longest chunk that `accept` takes. */
  get capacity() {
    return this.#bytes.length;
  }

  /**
   * Microseconds of the monotonic clock when a message was published. It must be among the last ones.
   *
   * @param {number} frame number of the frame in the stream
   */
  sentAt(frame) {
    return this.#sentAt[frame % FRAMES] ?? Number.NaN;
  }

  /**
   * @param {number} position bytes that this subscriber has got before
   * @param {Buffer} chunk
   * @param {number} count bytes of it
   * @returns {string} what is wrong, or ''
   */
  accept(position, chunk, count) {
    if (this.end - position > this.capacity) return 'a subscriber is too far behind the others';
    const known = Math.min(count, this.end - position);
    if (known > 0 && !this.#isSame(position, chunk, known))
      return 'a subscriber got other bytes than another';
    return known === count ? '' : this.#append(chunk, known, count);
  }

  /**
   * @param {number} position
   * @param {Buffer} chunk
   * @param {number} count
   */
  #isSame(position, chunk, count) {
    const bytes = this.#bytes;
    const start = position % bytes.length;
    const first = Math.min(count, bytes.length - start);
    if (bytes.compare(chunk, 0, first, start, start + first) !== 0) return false;
    return first === count || bytes.compare(chunk, first, count, 0, count - first) === 0;
  }

  /**
   * @param {Buffer} chunk
   * @param {number} start
   * @param {number} end
   */
  #append(chunk, start, end) {
    const bytes = this.#bytes;
    const at = this.end % bytes.length;
    const copied = chunk.copy(bytes, at, start, end);
    if (copied < end - start) chunk.copy(bytes, 0, start + copied, end);
    this.end += end - start;
    while (this.#unchecked + this.frameLength <= this.end) {
      const error = this.#check(this.#unchecked % bytes.length);
      if (error !== '') return error;
      this.#unchecked += this.frameLength;
    }
    return '';
  }

  /**
   * A frame never straddles the end of the ring.
   *
   * @param {number} at
   */
  #check(at) {
    const bytes = this.#bytes;
    const header = this.#header;
    const payload = at + header.length;
    if (bytes.compare(header, 0, header.length, at, payload) !== 0) return 'a frame has another header';
    const number = bytes.readUInt32LE(payload);
    const publisher = bytes.readUInt32LE(payload + 4);
    const expected = this.#next[publisher];
    if (number !== expected) return `message ${number} of publisher ${publisher} came instead of ${expected}`;
    this.#next[publisher] = number + 1;
    this.#sentAt[(this.#unchecked / this.frameLength) % FRAMES] = bytes.readDoubleLE(payload + 8);
    const template = templateOf(this.#templates, number);
    const body = payload + BODY_OFFSET;
    const isIntact = bytes.compare(template, BODY_OFFSET, this.#size, body, payload + this.#size) === 0;
    return isIntact ? '' : `message ${number} of publisher ${publisher} is damaged`;
  }
}

/**
 * The header of a binary message in one frame from the server (RFC 6455 §5.2).
 *
 * @param {number} length below 65,536
 */
function serverHeader(length) {
  if (length < SHORT_LENGTH) return Buffer.from([0x82, length]);
  return Buffer.from([0x82, SHORT_LENGTH, length >> 8, length & 255]);
}
