// @ts-check
import { Worker } from 'node:worker_threads';
import { recordIndex, ringRecords } from '../lib/rings/ring-records.js';
import { RingWait } from '../lib/rings/ring-wait.js';

/**
 * The ring alone: one producer thread, one consumer thread, no event loop and no doorbell. Every record is copied into
 * the ring; its number and the sum of its words are checked where it lies.
 */

/** Records that one timed call reads. */
const ROUND = 65_536;

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
 * @param {import('../lib/runs/micro-run.js').Load} load
 * @param {string} folder
 * @param {number} length
 * @param {number} batch
 * @returns {Promise<() => number>} which returns the records
 */
async function ringWork(load, folder, length, batch) {
  /** @type {typeof import('../../src/ring/byte-ring.ts')} */
  const { createRing } = await load('ring/byte-ring.js');
  /** @type {typeof import('../../src/ring/ring-consumer.ts')} */
  const { RingConsumer } = await load('ring/ring-consumer.js');
  const region = createRing();
  const consumer = new RingConsumer(region);
  const checker = new RecordChecker(consumer.words, length);
  const wait = new RingWait();
  const producer = new Worker(new URL('../lib/rings/ring-producer.js', import.meta.url), {
    workerData: { folder: `${folder}ring/`, region, length, batch },
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

/**
 * @param {string} size
 * @param {number} length
 * @param {number} batch
 * @returns {import('../lib/runs/micro-run.js').MicroCase}
 */
const passing = (size, length, batch) => ({
  name: `${size}, ${batch} a commit`,
  unit: 'records',
  prepare: (load, folder) => ringWork(load, folder, length, batch),
});

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'ring',
  title: 'Ring between two threads',
  cpu: '0,1',
  cases: [
    passing('64 B', 64, 256),
    passing('64 B', 64, 32),
    passing('512 B', 512, 256),
    passing('512 B', 512, 32),
    passing('4 KiB', 4096, 32),
  ],
  targets: [
    {
      id: 'P9',
      title: 'million records of 64 B a second',
      cases: ['64 B, 256 a commit'],
      scale: 1e6,
      must: 5,
      aim: 10,
    },
  ],
};
