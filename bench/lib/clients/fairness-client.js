// @ts-check
// The load client of the fairness benchmark, a process of its own: node fairness-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult with latencies, or { "error": … }.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openWebSocket } from './client-handshake.js';
import { LatencyHistogram } from './latency.js';
import { measureWindow } from './load-window.js';
import { deliverReads, WriteWrap } from './stream-handles.js';

/** Ms from a reply to the next message of a connection. */
const PAUSE = 5;
const SIZE = 20;
const REQUEST = Buffer.concat([Buffer.from([0x82, 0x80 | SIZE, 0, 0, 0, 0]), Buffer.alloc(SIZE, 'fair ')]);
const REPLY = Buffer.concat([Buffer.from([0x82, SIZE]), Buffer.alloc(SIZE, 'fair ')]);

/**
 * @typedef {object} FairnessWork
 * @property {number} port
 * @property {number} probes connections that talk
 * @property {number} floods connections that send without end
 * @property {number} warmup seconds before the measurement
 */

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

const latencies = new LatencyHistogram();
let received = 0;

/** One connection that talks: a message, its reply, a pause. */
class Probe {
  #handle;
  #buffer;
  #sentAt = 0;

  /**
   * @param {import('./stream-handles.js').TcpHandle} handle
   * @param {Buffer} buffer what it reads into
   */
  constructor(handle, buffer) {
    this.#handle = handle;
    this.#buffer = buffer;
    deliverReads(handle, this);
  }

  /** @param {number} count */
  readCompleted(count) {
    if (count === 0) return;
    if (count < 0 || REPLY.compare(this.#buffer, 0, count) !== 0) {
      fail(count < 0 ? `the server closed a connection (${count})` : 'a reply differs from its message');
      return;
    }
    latencies.add((performance.now() - this.#sentAt) * 1000);
    received++;
    setTimeout(() => {
      this.send();
    }, PAUSE);
  }

  send() {
    this.#sentAt = performance.now();
    this.#handle.writeBuffer(new WriteWrap(), REQUEST);
  }
}

/** @param {FairnessWork & import('./load-window.js').WindowOptions} options */
async function run(options) {
  const { port, probes, floods, warmup } = options;
  for (let i = 0; i < probes; i++) {
    const buffer = Buffer.allocUnsafeSlow(1024);
    const probe = new Probe(await openWebSocket(port, '/', buffer), buffer);
    probe.send();
  }
  const memory = new SharedArrayBuffer(4);
  const returned = new Int32Array(memory);
  const thread = new Worker(new URL('flood-thread.js', import.meta.url), {
    workerData: { port, floods, memory },
  });
  thread.once('exit', () => fail('the flood ended'));
  await once(thread, 'message');
  await sleep(warmup * 1000);
  latencies.clear();
  const before = Atomics.load(returned, 0);
  const result = await measureWindow(options, () => received);
  if (Atomics.load(returned, 0) === before) throw new Error('the server did not read the flood');
  const latency99 = latencies.percentile(0.99);
  const latencyMost = latencies.percentile(1);
  const line = { ...result, latency50: latencies.percentile(0.5), latency99, latencyMost };
  process.stdout.write(`${JSON.stringify(line)}\n`, () => process.exit());
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
