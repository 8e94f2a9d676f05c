#!/usr/bin/env node
// @ts-check
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { fixed, markdownTable, percent } from '../lib/markdown.js';
import { measureMicro, runMicros } from '../lib/micro-run.js';

const HELP = `The frame parser alone, in memory: no sockets, one chunk of whole masked frames after the other.

  node bench/micro/frame-parser.js [options]

  --seconds 1      length of a measurement
  --reps 3         repetitions
  --build FOLDER   another build of millrace (it has dist/) instead of this one
  --help
`;

/** Bytes of a chunk, as one read of the engine brings them. */
const CHUNK = 256 * 1024;
const SMALL = 20;
const LARGE = 1024 * 1024;

/** Chunks that one timed call parses. */
const ROUNDS = 8;

const { values } = parseArgs({
  options: {
    case: { type: 'string' },
    seconds: { type: 'string', default: '1' },
    reps: { type: 'string', default: '3' },
    build: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const root =
  values.build === undefined ? new URL('../../', import.meta.url) : pathToFileURL(`${values.build}/`);

/**
 * @param {string} file of src/protocol
 * @returns {Promise<any>}
 */
const load = (file) => import(new URL(`dist/src/protocol/${file}`, root).href);

/** @returns {Promise<typeof import('../../src/protocol/frame-parser.ts')>} */
const loadFrameParser = () => load('frame-parser.js');
/** @returns {Promise<typeof import('../../src/protocol/receiver.ts')>} */
const loadReceiver = () => load('receiver.js');
/** @returns {Promise<typeof import('../../src/protocol/buffer-pool.ts')>} */
const loadBufferPool = () => load('buffer-pool.js');

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
 * @param {number} firstByte
 * @param {number} length
 * @returns {Promise<() => number>} which returns the payload bytes for long frames, else the frames
 */
async function parserWork(firstByte, length) {
  const { FRAME_HEADROOM, FrameParser, FrameState } = await loadFrameParser();
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
 * @param {number} firstByte
 * @returns {Promise<() => number>}
 */
async function receiverWork(firstByte) {
  const { FRAME_HEADROOM, FrameParser } = await loadFrameParser();
  const { Receiver, ReceiverState } = await loadReceiver();
  const { BufferPool } = await loadBufferPool();
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

/** @type {readonly import('../lib/micro-run.js').MicroCase[]} */
const CASES = [
  { name: BINARY_20, prepare: () => parserWork(BINARY, SMALL) },
  { name: TEXT_20, prepare: () => parserWork(TEXT, SMALL) },
  { name: 'parser and receiver, binary 20 B', prepare: () => receiverWork(BINARY) },
  { name: 'parser and receiver, text 20 B', prepare: () => receiverWork(TEXT) },
  { name: BINARY_1M, prepare: () => parserWork(BINARY, LARGE) },
  { name: COPY_1M, prepare: copyWork },
];

/** @param {Map<string, import('../lib/stats.js').Summary>} results */
function report(results) {
  const rows = Array.from(results, ([name, { median, spread }]) => {
    const isBytes = name.endsWith('1 MiB');
    const figure = isBytes ? `${fixed(median / 1e9, 2)} GB/s` : `${fixed(median / 1e6, 1)} million frames/s`;
    return [name, figure, percent(spread)];
  });
  /** @param {string} name */
  const rate = (name) => results.get(name)?.median ?? Number.NaN;
  const slowest = Math.min(rate(BINARY_20), rate(TEXT_20)) / 1e6;
  const bytes = rate(BINARY_1M) / 1e9;
  const share = rate(BINARY_1M) / rate(COPY_1M);
  const verdicts = [
    ['P10, 20 B: million frames/s', fixed(slowest, 1), '8', '20', verdict(slowest >= 8, slowest >= 20)],
    ['P10, 1 MiB: GB/s', fixed(bytes, 2), '2', '', verdict(bytes >= 2, false)],
    [
      'P10, 1 MiB: share of Buffer.copy',
      fixed(share, 2),
      '',
      '0.50',
      share >= 0.5 ? 'aim reached' : 'aim not reached',
    ],
  ];
  return [
    `# Frame parser, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}`,
    markdownTable(['', 'rate', 'spread'], rows),
    '## Targets',
    markdownTable(['', 'figure', 'must', 'aim', ''], verdicts),
  ].join('\n\n');
}

/**
 * @param {boolean} isMet
 * @param {boolean} isAimReached
 */
function verdict(isMet, isAimReached) {
  if (isAimReached) return 'aim reached';
  return isMet ? 'met' : 'MISSED';
}

async function main() {
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const one = CASES.find(({ name }) => name === values.case);
  if (one !== undefined) {
    await measureMicro(one, Number(values.seconds));
    return;
  }
  const args = [
    '--seconds',
    values.seconds,
    ...(values.build === undefined ? [] : ['--build', values.build]),
  ];
  const names = CASES.map(({ name }) => name);
  const options = { repetitions: Number(values.reps), args, cpu: 0 };
  const results = await runMicros(fileURLToPath(import.meta.url), names, options);
  process.stdout.write(`${report(results)}\n`);
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
