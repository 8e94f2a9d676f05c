// @ts-check
// The load client of the memory benchmark, a process of its own: node memory-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult with bytesPerConnection, or { "error": … }.
import { setTimeout as sleep } from 'node:timers/promises';
import { processMemory } from '../runs/process-cpu.js';
import { openWebSocket } from './client-handshake.js';
import { measureWindow } from './load-window.js';
import { deliverReads } from './stream-handles.js';

/**
 * @typedef {object} MemoryWork
 * @property {number} port
 * @property {number} first connections from which the slope is taken
 * @property {number} last connections up to which it is taken
 * @property {number} settle seconds until the memory is measured
 *
 * @typedef {MemoryWork & import('./load-window.js').WindowOptions} MemoryOptions
 */

/** Connections that are opened at the same time. */
const TOGETHER = 100;
/** Looks at the memory, at the end of the time to settle. */
const LOOKS = 5;

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

const buffer = Buffer.allocUnsafeSlow(64 * 1024);
/** @type {import('./stream-handles.js').TcpHandle[]} */
const handles = [];
let isMeasuring = true;
const idle = {
  /** @param {number} count */
  readCompleted: (count) => {
    if (count < 0 && isMeasuring) fail(`the server closed a connection (${count})`);
  },
};

/**
 * @param {number} port
 * @param {number} count
 */
async function openUpTo(port, count) {
  while (handles.length < count) {
    const opening = Array.from({ length: Math.min(TOGETHER, count - handles.length) }, () =>
      openWebSocket(port, '/', buffer),
    );
    for (const handle of await Promise.all(opening)) {
      deliverReads(handle, idle);
      handles.push(handle);
    }
  }
}

function closeAll() {
  for (const handle of handles.splice(0)) handle.close();
}

/**
 * The least memory that the server has in use after some time of rest.
 *
 * @param {MemoryOptions} options
 */
async function settledMemory({ serverPid, settle }) {
  await sleep(settle * 1000);
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < LOOKS; i++) {
    await sleep(100);
    least = Math.min(least, processMemory(serverPid));
  }
  return least;
}

/** @param {MemoryOptions} options */
async function run(options) {
  const { port, first, last } = options;
  // Twice: what a server makes once, compiled code and pools, is there before it counts.
  await openUpTo(port, first);
  closeAll();
  await sleep(options.settle * 500);
  await openUpTo(port, first);
  const before = await settledMemory(options);
  await openUpTo(port, last);
  const after = await settledMemory(options);
  const result = await measureWindow({ ...options, seconds: 0.1 }, () => 0);
  const bytesPerConnection = (after - before) / (last - first);
  isMeasuring = false;
  process.stdout.write(`${JSON.stringify({ ...result, messages: last, bytesPerConnection })}\n`, () =>
    process.exit(),
  );
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
