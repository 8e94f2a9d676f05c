// @ts-check
// The load client of the echo benchmark, a process of its own: node echo-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult, or { "error": … }.
import { setTimeout as sleep } from 'node:timers/promises';
import { EchoLoad } from './echo-connection.js';
import { echoTraffic } from './echo-traffic.js';
import { measureWindow } from './load-window.js';

/**
 * @typedef {object} EchoWork
 * @property {number} port
 * @property {number} connections
 * @property {number} size payload of a message in bytes
 * @property {number} inFlight messages on their way on each connection
 * @property {boolean} [tls] over TLS, for which one message may be in flight
 * @property {number} warmup seconds before the measurement
 *
 * @typedef {EchoWork & import('./load-window.js').WindowOptions} EchoOptions
 */

/** How long the last replies may take once nothing more is sent, in seconds. */
const DRAIN_LIMIT = 10;

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

/**
 * Every message that was sent must come back, and not one more.
 *
 * @param {EchoLoad} load
 */
async function drain(load) {
  load.isDraining = true;
  const deadline = performance.now() + DRAIN_LIMIT * 1000;
  while (load.received < load.sent && performance.now() < deadline) await sleep(10);
  await sleep(20);
  if (load.received === load.sent) return;
  throw new Error(`${load.sent - load.received} of ${load.sent} replies are missing`);
}

/** @param {EchoOptions} options */
async function run(options) {
  const load = new EchoLoad(echoTraffic(options.size, options.inFlight), fail);
  const opening = Array.from({ length: options.connections }, () => load.open(options.port, options.tls));
  for (const connection of await Promise.all(opening)) connection.start();
  await sleep(options.warmup * 1000);
  const result = await measureWindow(options, () => load.received);
  await drain(load);
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
