// @ts-check
// The load client of the HTTP benchmark, a process of its own: node http-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult, or { "error": … }.
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import { measureWindow } from './load-window.js';

/**
 * @typedef {object} HttpWork
 * @property {number} port
 * @property {number} connections
 * @property {number} inFlight requests on their way on each connection
 * @property {string} body that every answer must have
 * @property {number} warmup seconds before the measurement
 *
 * @typedef {HttpWork & import('./load-window.js').WindowOptions} HttpOptions
 */

/** Seconds autocannon runs beside what is measured; it is stopped before. */
const SPARE = 30;

/** @param {HttpOptions} options */
async function run(options) {
  let responses = 0;
  const load = autocannon({
    url: `http://127.0.0.1:${options.port}/`,
    connections: options.connections,
    duration: options.warmup + options.seconds + SPARE,
    expectBody: options.body,
    pipelining: options.inFlight,
  });
  load.on('response', () => {
    responses++;
  });
  await sleep(options.warmup * 1000);
  const result = await measureWindow(options, () => responses);
  load.stop();
  const { errors, mismatches, non2xx } = await load;
  if (errors + mismatches + non2xx > 0) {
    throw new Error(`${errors} errors, ${mismatches} other bodies, ${non2xx} other statuses`);
  }
  return result;
}

run(JSON.parse(process.argv[2] ?? '{}')).then(
  (result) => process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit()),
  (/** @type {unknown} */ error) => {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`, () => process.exit(1));
  },
);
