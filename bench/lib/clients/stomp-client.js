// @ts-check
// The load client of the STOMP rows, a process of its own: node stomp-client.js '{ "port": 61613, … }'
// It is `millrace bench --scenario stomp`, whose STOMP is its own and not the broker's. Prints one JSON line: a
// WindowResult, or { "error": … }.
import { bench } from '../../../dist/src/load/index.js';
import { ClockLog } from './load-window.js';

/**
 * @typedef {object} StompWork
 * @property {number} port
 * @property {string} [path]
 * @property {number} connections
 * @property {number} publishers
 * @property {number} consumers
 * @property {number} pipelining messages of a publisher in flight
 * @property {number} size bytes of a message
 * @property {string} [login]
 * @property {string} [passcode]
 * @property {string} [virtualHost]
 * @property {number} warmup seconds before the measurement
 *
 * @typedef {StompWork & import('./load-window.js').WindowOptions} StompOptions
 */

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

/** @param {StompOptions} options */
async function run({ port, path = '/stomp', warmup, seconds, serverPid, serverCpus, clientCpus, ...work }) {
  const clocks = new ClockLog({ serverPid, serverCpus, clientCpus, seconds });
  const result = await bench({
    ...work,
    url: `ws://127.0.0.1:${port}${path}`,
    scenario: 'stomp',
    // Whole seconds.
    warmup: Math.ceil(warmup),
    duration: Math.max(1, Math.round(seconds)),
  });
  const { errors, mismatches, lost, messages, start, finish, reasons } = result;
  if (errors + mismatches + lost > 0) {
    const why = reasons.map(({ reason }) => reason).join('; ');
    throw new Error(`${errors} errors, ${mismatches} mismatches, ${lost} lost messages ${why}`);
  }
  const window = clocks.between(start.getTime(), finish.getTime(), messages.total);
  process.stdout.write(`${JSON.stringify(window)}\n`, () => process.exit());
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
