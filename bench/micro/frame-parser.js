// @ts-check
/** The frame parser alone, in memory: one chunk of whole masked frames after the other. */

/** @typedef {import('../lib/runs/micro-run.js').Load} Load */

/** Bytes of a chunk, as one read of the engine brings them. */
const CHUNK = 256 * 1024;
const SMALL = 20;
const LARGE = 1024 * 1024;

/** Chunks that one timed call parses. */
const ROUNDS = 8;

/**
 * @param {Load} load
 * @returns {Promise<typeof import('../../src/protocol/frame-parser.ts')>}
 */
const loadFrameParser = (load) => load('protocol/frame-parser.js');

/**
 * Masked frames, one behind the other. Parsing unmasks them in place, and the next parse masks them again; with
 * this key text is ASCII both ways.
 *
 * @param {number} headroom
 * @param {number} count
 * @param {number} firstByte
 * @param {number} length
 */
function maskedFrames(headroom, count, firstByte, length) {
  const header = length < 126 ? [firstByte, 0x80 | length] : [firstByte, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
  const start = Buffer.from([...header, 1, 2, 3, 4]);
  if (length >= 126) start.writeUInt32BE(length, 6);
  const frame = Buffer.concat([start, Buffer.alloc(length, 'The quick brown fox jumps over the lazy dog. ')]);
  return Buffer.concat([Buffer.allocUnsafeSlow(headroom), ...new Array(count).fill(frame)]);
}

/** Counts what a parser hands on. */
class FrameCounter {
  frames = 0;
  bytes = 0;

  onFrameHeader() {
    return 0;
  }

  /**
   * @param {unknown} _state
   * @param {Uint8Array} _bytes
   * @param {number} _offset
   * @param {number} length
   */
  onFrame(_state, _bytes, _offset, length) {
    this.frames++;
    this.bytes += length;
    return true;
  }

  /** @returns {boolean} */
  onFramePiece() {
    throw new Error('the chunk holds whole frames only');
  }

  /**
   * @param {unknown} _state
   * @param {number} closeCode
   */
  onFrameError(_state, closeCode) {
    throw new Error(`the frames are not valid: ${closeCode}`);
  }
}

/** Counts what a receiver hands on. */
class MessageCounter {
  messages = 0;

  onMessage() {
    this.messages++;
    return true;
  }

  /** @returns {boolean} */
  onControl() {
    throw new Error('the chunk holds data frames only');
  }

  /**
   * @param {unknown} _state
   * @param {number} closeCode
   */
  onReceiveError(_state, closeCode) {
    throw new Error(`the messages are not valid: ${closeCode}`);
  }
}

/**
 * @param {Load} load
 * @param {number} firstByte
 * @param {number} length
 * @returns {Promise<() => number>} which returns the payload bytes for long frames, else the frames
 */
async function parserWork(load, firstByte, length) {
  const { FRAME_HEADROOM, FrameParser, FrameState } = await loadFrameParser(load);
  const count = Math.max(1, Math.floor(CHUNK / (length + 6)));
  const chunk = maskedFrames(FRAME_HEADROOM, count, firstByte, length);
  const counter = new FrameCounter();
  const parser = new FrameParser({ expectMasked: true, allowedRsv: 0 }, counter);
  const state = new FrameState();
  return () => {
    const framesBefore = counter.frames;
    const bytesBefore = counter.bytes;
    for (let i = 0; i < ROUNDS; i++) parser.parse(state, chunk, FRAME_HEADROOM, chunk.length);
    const frames = counter.frames - framesBefore;
    if (frames !== count * ROUNDS) throw new Error(`${frames} frames instead of ${count * ROUNDS}`);
    return length === LARGE ? counter.bytes - bytesBefore : frames;
  };
}

/**
 * The same with the rules on messages: fragmentation, limits, UTF-8.
 *
 * @param {Load} load
 * @param {number} firstByte
 * @returns {Promise<() => number>}
 */
async function receiverWork(load, firstByte) {
  const { FRAME_HEADROOM, FrameParser } = await loadFrameParser(load);
  /** @type {typeof import('../../src/protocol/receiver.ts')} */
  const { Receiver, ReceiverState } = await load('protocol/receiver.js');
  /** @type {typeof import('../../src/protocol/buffer-pool.ts')} */
  const { BufferPool } = await load('protocol/buffer-pool.js');
  const { isUtf8 } = await import('node:buffer');
  const count = Math.floor(CHUNK / (SMALL + 6));
  const chunk = maskedFrames(FRAME_HEADROOM, count, firstByte, SMALL);
  const counter = new MessageCounter();
  const limits = { maxPayloadLength: 16 * 1024, maxFragments: 1000 };
  const receiver = new Receiver(limits, counter, new BufferPool(), { isUtf8 });
  const parser = new FrameParser({ expectMasked: true, allowedRsv: 0 }, receiver);
  const state = new ReceiverState();
  return () => {
    const before = counter.messages;
    for (let i = 0; i < ROUNDS; i++) parser.parse(state, chunk, FRAME_HEADROOM, chunk.length);
    const messages = counter.messages - before;
    if (messages !== count * ROUNDS) throw new Error(`${messages} messages instead of ${count * ROUNDS}`);
    return messages;
  };
}

/** @returns {() => number} */
function copyWork() {
  const from = Buffer.alloc(LARGE, 'The quick brown fox jumps over the lazy dog. ');
  const to = Buffer.alloc(LARGE);
  return () => {
    for (let i = 0; i < ROUNDS; i++) from.copy(to);
    return ROUNDS * LARGE;
  };
}

const TEXT = 0x81;
const BINARY = 0x82;
const BINARY_20 = 'parser, binary 20 B';
const TEXT_20 = 'parser, text 20 B';
const BINARY_1M = 'parser, binary 1 MiB';
const COPY_1M = 'Buffer.copy, 1 MiB';

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'frame-parser',
  title: 'Frame parser',
  cases: [
    { name: BINARY_20, unit: 'frames', prepare: (load) => parserWork(load, BINARY, SMALL) },
    { name: TEXT_20, unit: 'frames', prepare: (load) => parserWork(load, TEXT, SMALL) },
    {
      name: 'parser and receiver, binary 20 B',
      unit: 'messages',
      prepare: (load) => receiverWork(load, BINARY),
    },
    { name: 'parser and receiver, text 20 B', unit: 'messages', prepare: (load) => receiverWork(load, TEXT) },
    { name: BINARY_1M, unit: 'B', prepare: (load) => parserWork(load, BINARY, LARGE) },
    { name: COPY_1M, unit: 'B', prepare: copyWork },
  ],
  targets: [
    {
      id: 'P10',
      title: 'million frames of 20 B a second',
      cases: [BINARY_20, TEXT_20],
      scale: 1e6,
      must: 8,
      aim: 20,
    },
    { id: 'P10', title: '1 MiB binary, GB/s', cases: [BINARY_1M], scale: 1e9, must: 2 },
    {
      id: 'P10',
      title: '1 MiB binary, share of Buffer.copy',
      cases: [BINARY_1M],
      against: COPY_1M,
      aim: 0.5,
    },
  ],
};
