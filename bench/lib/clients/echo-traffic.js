// @ts-check

/**
 * What a connection sends and must get back, made before the clock starts.
 *
 * Both directions repeat a short period of messages that all differ, so that a reply that is lost, doubled,
 * damaged or out of order makes the stream differ from what is expected, and one native comparison of each
 * chunk that arrives finds it.
 *
 * @typedef {object} EchoTraffic
 * @property {number} period messages until the stream repeats itself
 * @property {number} replyLength bytes of one reply, frame header included
 * @property {Buffer} expected replies from the start of a period on, long enough for any chunk that starts in it
 * @property {readonly Buffer[]} batches see {@link batchOf}
 * @property {number} inFlight messages a connection may have sent without a reply
 */

/**
 * @param {number} size payload of a message in bytes
 * @param {number} inFlight
 * @returns {EchoTraffic}
 */
export function echoTraffic(size, inFlight) {
  const period = size <= 1024 ? 16 : size <= 65536 ? 4 : 2;
  /** @type {Buffer[]} */
  const requests = [];
  /** @type {Buffer[]} */
  const replies = [];
  for (let i = 0; i < period + inFlight; i++) {
    const payload = payloadOf(i % period, size);
    requests.push(maskedFrame(payload, 0x9e3779b9 * (1 + (i % period))));
    replies.push(Buffer.concat([header(size, 0), payload]));
  }
  const requestLength = header(size, 0x80).length + 4 + size;
  const stream = Buffer.concat(requests);
  /** @type {Buffer[]} */
  const batches = [];
  for (let first = 0; first < period; first++) {
    for (let count = 1; count <= inFlight; count++) {
      batches.push(stream.subarray(first * requestLength, (first + count) * requestLength));
    }
  }
  return {
    period,
    replyLength: header(size, 0).length + size,
    expected: Buffer.concat(replies),
    batches,
    inFlight,
  };
}

/**
 * The bytes of `count` requests (1 to `inFlight`) from the one at place `first` of the period on.
 *
 * @param {EchoTraffic} traffic
 * @param {number} first
 * @param {number} count
 */
export function batchOf(traffic, first, count) {
  const batch = traffic.batches[first * traffic.inFlight + count - 1];
  if (batch === undefined) throw new RangeError(`no batch of ${count} messages`);
  return batch;
}

/**
 * Bytes without a pattern that would hide a shift, the same in every run.
 *
 * @param {number} index
 * @param {number} size
 */
function payloadOf(index, size) {
  const payload = Buffer.alloc(size);
  let state = 0x2545f491 ^ Math.imul(index + 1, 0x9e3779b1);
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    payload[i] = state & 255;
  }
  return payload;
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
  return Buffer.concat([header(payload.length, 0x80), keyBytes, masked]);
}

/**
 * The header of a binary message in one frame (RFC 6455 §5.2), masking key excluded.
 *
 * @param {number} length
 * @param {number} maskBit
 */
function header(length, maskBit) {
  if (length < 126) return Buffer.from([0x82, maskBit | length]);
  if (length < 65536) return Buffer.from([0x82, maskBit | 126, length >> 8, length & 255]);
  const long = Buffer.from([0x82, maskBit | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  long.writeUInt32BE(length, 6);
  return long;
}
