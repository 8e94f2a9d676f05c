// @ts-check
// The load client of the handshake benchmark, a process of its own: node handshake-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult, or { "error": … }.
import { setTimeout as sleep } from 'node:timers/promises';
import { openWebSocket } from './client-handshake.js';
import { measureWindow } from './load-window.js';
import { deliverReads, WriteWrap } from './stream-handles.js';

/**
 * @typedef {object} HandshakeWork
 * @property {number} port
 * @property {number} together connections at a time
 * @property {number} warmup seconds before the measurement
 *
 * @typedef {HandshakeWork & import('./load-window.js').WindowOptions} HandshakeOptions
 */

/** Close with 1000, masked with the key 1 2 3 4; and the answer to it (RFC 6455 §5.5.1). */
const CLOSE = Buffer.from([0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe8 ^ 2]);
const CLOSED = Buffer.from([0x88, 0x02, 0x03, 0xe8]);

/** How long a server may take to close a connection, in ms. */
const TIMEOUT = 5000;

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

/** ClosingHandshake: says goodbye on a connection, and waits until the server has answered and closed it. */
class ClosingHandshake {
  #handle;
  #buffer;
  #answer = Buffer.alloc(0);
  #resolve;
  #timer;

  /**
   * @param {import('./stream-handles.js').TcpHandle} handle
   * @param {Buffer} buffer
   * @param {() => void} resolve
   */
  constructor(handle, buffer, resolve) {
    this.#handle = handle;
    this.#buffer = buffer;
    this.#resolve = resolve;
    this.#timer = setTimeout(fail, TIMEOUT, 'the server does not close a connection');
    deliverReads(handle, this);
    const error = handle.writeBuffer(new WriteWrap(), CLOSE);
    if (error !== 0) fail(`a write failed (${error})`);
  }

  /** @param {number} count */
  readCompleted(count) {
    if (count > 0) {
      this.#answer = Buffer.concat([this.#answer, this.#buffer.subarray(0, count)]);
      return;
    }
    if (count === 0) return;
    if (!this.#answer.equals(CLOSED))
      fail(`the server answered '${this.#answer.toString('hex')}' to a Close`);
    clearTimeout(this.#timer);
    this.#handle.close();
    this.#resolve();
  }
}

let closed = 0;
let isDraining = false;

/**
 * One connection after the other.
 *
 * @param {number} port
 */
async function loop(port) {
  const buffer = Buffer.allocUnsafeSlow(4096);
  while (!isDraining) {
    const handle = await openWebSocket(port, '/', buffer);
    await new Promise((resolve) => new ClosingHandshake(handle, buffer, () => resolve(undefined)));
    closed++;
  }
}

/** @param {HandshakeOptions} options */
async function run(options) {
  const loops = Array.from({ length: options.together }, () => loop(options.port));
  for (const one of loops) one.catch((error) => fail(String(error)));
  await sleep(options.warmup * 1000);
  const result = await measureWindow(options, () => closed);
  isDraining = true;
  await Promise.all(loops);
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
