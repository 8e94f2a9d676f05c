// @ts-check

/**
 * What is published. Every message differs from all others, and its bytes follow from its number and publisher, so
 * that whoever receives it can check it:
 *
 *     number (uint32)  publisher (uint32)  time (float64, µs)  body, which depends on the number
 *
 * Servers and load client both use this, in Node.js and in Bun.
 */

/** Bytes before the body. */
export const BODY_OFFSET = 16;
/** Bodies that differ. */
const BODIES = 16;

/** Microseconds of the machine's monotonic clock: the same one in all processes. */
export function monotonicMicroseconds() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/**
 * Messages of one size without number, publisher and time.
 *
 * @param {number} size 16 and more
 * @returns {readonly Buffer[]}
 */
export function messageTemplates(size) {
  if (!(size >= BODY_OFFSET)) throw new RangeError(`a message must have ${BODY_OFFSET} bytes`);
  return Array.from({ length: BODIES }, (_, index) => {
    const message = Buffer.alloc(size);
    let state = 0x2545f491 ^ Math.imul(index + 1, 0x9e3779b1);
    for (let i = BODY_OFFSET; i < size; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      message[i] = state & 255;
    }
    return message;
  });
}

/**
 * The template that a message is made from.
 *
 * @param {readonly Buffer[]} templates
 * @param {number} number
 */
export function templateOf(templates, number) {
  return /** @type {Buffer} */ (templates[number % BODIES]);
}
