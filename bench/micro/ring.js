#!/usr/bin/env node
// @ts-check
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { fixed, markdownTable, percent } from '../lib/markdown.js';
import { measureMicro, runMicros } from '../lib/micro-run.js';
import { recordIndex, ringRecords } from '../lib/ring-records.js';
import { RingWait } from '../lib/ring-wait.js';

const HELP = `The ring alone: one producer thread, one consumer thread, no event loop and no doorbell. Every record is copied
into the ring; its number and the sum of its words are checked where it lies.

  node bench/micro/ring.js [options]

  --seconds 1      length of a measurement
  --reps 3         repetitions
  --quiet 30       seconds to wait, before each measurement, for other programs to leave the processors alone
  --build FOLDER   another build of millrace (it has dist/) instead of this one
  --help
`;

/** Records that one timed call reads. */
const ROUND = 65_536;

const CASES = [
  { name: '64 B, 256 a commit', length: 64, batch: 256 },
  { name: '64 B, 32 a commit', length: 64, batch: 32 },
  { name: '512 B, 256 a commit', length: 512, batch: 256 },
  { name: '512 B, 32 a commit', length: 512, batch: 32 },
  { name: '4 KiB, 32 a commit', length: 4096, batch: 32 },
];
const [TARGET] = CASES;
const MUST = 5e6;
const AIM = 10e6;

const { values } = parseArgs({
  options: {
    case: { type: 'string' },
    seconds: { type: 'string', default: '1' },
    reps: { type: 'string', default: '3' },
    quiet: { type: 'string', default: '30' },
    build: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const root =
  values.build === undefined ? new URL('../../', import.meta.url) : pathToFileURL(`${values.build}/`);
const folder = new URL('dist/src/ring/', root).href;

/**
 * Reads records where they lie in the ring, every word of them, and checks them.
 */
class RecordChecker {
  /** Number of the next record. */
  next = 0;
  #length;
  #sums;
  #words;

  /**
   * @param {Int32Array} words of the ring
   * @param {number} length
   */
  constructor(words, length) {
    this.#words = words;
    this.#length = length;
    this.#sums = ringRecords(length).sums;
  }

  /**
   * @param {Uint8Array} _bytes
   * @param {number} offset
   * @param {number} length
   */
  onRecord(_bytes, offset, length) {
    if (length !== this.#length) throw new Error(`a record of ${length} bytes`);
    const words = this.#words;
    const first = offset >> 2;
    const number = /** @type {number} */ (words[first]);
    if (number !== this.next) throw new Error(`record ${number} came instead of ${this.next}`);
    let sum = 0;
    for (let i = first + 1, end = first + (length >> 2); i < end; i++) {
      sum = (sum + /** @type {number} */ (words[i])) | 0;
    }
    if (sum !== this.#sums[recordIndex(number)]) throw new Error(`record ${number} is damaged`);
    this.next = (number + 1) | 0;
  }

  onProducerRestart() {
    throw new Error('there is only one producer');
  }

  onReset() {
    throw new Error('the ring was found damaged');
  }
}

/**
 * @param {number} length
 * @param {number} batch
 * @returns {Promise<() => number>} which returns the records
 */
async function ringWork(length, batch) {
  /** @type {typeof import('../../src/ring/byte-ring.ts')} */
  const { createRing } = await import(new URL('byte-ring.js', folder).href);
  /** @type {typeof import('../../src/ring/ring-consumer.ts')} */
  const { RingConsumer } = await import(new URL('ring-consumer.js', folder).href);
  const region = createRing();
  const consumer = new RingConsumer(region);
  const checker = new RecordChecker(consumer.words, length);
  const wait = new RingWait();
  const producer = new Worker(new URL('../lib/ring-producer.js', import.meta.url), {
    workerData: { folder, region, length, batch },
  });
  await new Promise((resolve, reject) => {
    producer.once('online', resolve);
    producer.once('error', reject);
  });
  return () => {
    let records = 0;
    while (records < ROUND) {
      const count = consumer.read(checker);
      if (count === 0) wait.again();
      else wait.done();
      records += count;
    }
    return records;
  };
}

/** @param {Map<string, import('../lib/stats.js').Summary>} results */
function report(results) {
  const rows = CASES.map(({ name, length }) => {
    const { median, min, spread } = /** @type {import('../lib/stats.js').Summary} */ (results.get(name));
    const bytes = fixed((median * length) / 1e9, 2);
    return [name, fixed(median / 1e6, 2), fixed(min / 1e6, 2), bytes, percent(spread)];
  });
  const rate = results.get(TARGET?.name ?? '')?.median ?? Number.NaN;
  const outcome = rate >= AIM ? 'aim reached' : rate >= MUST ? 'met' : 'MISSED';
  return [
    `# Ring, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}`,
    markdownTable(['', 'million records/s', 'least', 'GB/s', 'spread'], rows),
    '## Targets',
    markdownTable(
      ['', 'figure', 'must', 'aim', ''],
      [['P9: million records/s', fixed(rate / 1e6, 2), fixed(MUST / 1e6, 0), fixed(AIM / 1e6, 0), outcome]],
    ),
  ].join('\n\n');
}

async function main() {
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const one = CASES.find(({ name }) => name === values.case);
  if (one !== undefined) {
    const { name, length, batch } = one;
    await measureMicro({ name, prepare: () => ringWork(length, batch) }, Number(values.seconds));
    process.exit();
  }
  const args = [
    '--seconds',
    values.seconds,
    ...(values.build === undefined ? [] : ['--build', values.build]),
  ];
  const names = CASES.map(({ name }) => name);
  const options = { repetitions: Number(values.reps), args, cpu: '0,1', quiet: Number(values.quiet) };
  const results = await runMicros(fileURLToPath(import.meta.url), names, options);
  process.stdout.write(`${report(results)}\n`);
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
