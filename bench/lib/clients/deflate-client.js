// @ts-check
// The load client of the compression benchmark, a process of its own: node deflate-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult, or { "error": … }.
import { setTimeout as sleep } from 'node:timers/promises';
import { DeflateLoad } from './deflate-connection.js';
import { deflateTraffic } from './deflate-traffic.js';
import { measureWindow } from './load-window.js';

/**
 * @typedef {object} DeflateWork
 * @property {number} port
 * @property {number} connections
 * @property {number} size bytes of a message before compression
 * @property {number} warmup seconds before the measurement
 *
 * @typedef {DeflateWork & import('./load-window.js').WindowOptions} DeflateOptions
 */

/** How long the last replies may take once nothing more is sent, in seconds. */
const DRAIN_LIMIT = 10;

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

/** @param {DeflateOptions} options */
async function run(options) {
  const load = new DeflateLoad(deflateTraffic(options.size), fail);
  await load.learn(options.port);
  const opening = Array.from({ length: options.connections }, () => load.open(options.port));
  for (const connection of await Promise.all(opening)) connection.start();
  await sleep(options.warmup * 1000);
  const result = await measureWindow(options, () => load.received);
  load.isDraining = true;
  const deadline = performance.now() + DRAIN_LIMIT * 1000;
  while (load.received < load.sent && performance.now() < deadline) await sleep(10);
  await sleep(20);
  if (load.received !== load.sent) {
    throw new Error(`${load.sent - load.received} of ${load.sent} replies are missing`);
  }
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
