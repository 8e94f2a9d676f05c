// @ts-check
// The producer thread of micro/ring.js: fills a ring until it is ended.
import { workerData } from 'node:worker_threads';
import { recordIndex, ringRecords } from './ring-records.js';
import { RingWait } from './ring-wait.js';

/**
 * @typedef {object} RingWork
 * @property {string} folder of the ring's modules, as a URL
 * @property {import('../../../src/ring/byte-ring.ts').RingRegion} region
 * @property {number} length of a record in bytes
 * @property {number} batch records of a commit
 */
const { folder, region, length, batch } = /** @type {RingWork} */ (workerData);

/** @type {typeof import('../../../src/ring/ring-producer.ts')} */
const { RingProducer } = await import(new URL('ring-producer.js', folder).href);
/** @type {typeof import('../../../src/ring/copy.ts')} */
const { copyIn } = await import(new URL('copy.js', folder).href);

const { records } = ringRecords(length);
const producer = new RingProducer(region);
const wait = new RingWait();

/** @param {number} first number of the first record */
function writeBatch(first) {
  for (let number = first; number !== ((first + batch) | 0); number = (number + 1) | 0) {
    let offset = producer.claim(length);
    while (offset < 0) {
      // A batch larger than the ring goes out in parts.
      producer.commit();
      wait.again();
      offset = producer.claim(length);
    }
    wait.done();
    copyIn(/** @type {Uint8Array} */ (records[recordIndex(number)]), 0, producer, offset, length);
    producer.words[offset >> 2] = number;
  }
  producer.commit();
}

for (let first = 0; ; first = (first + batch) | 0) writeBatch(first);
