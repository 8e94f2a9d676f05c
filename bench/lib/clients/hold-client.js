// @ts-check
// The load client of the row with many connections: node hold-client.js '{ "port": 9001, … }'
// Starts the processes that hold the connections, and adds up what they say. Prints one JSON line: a WindowResult with
// latencies and what was lost, or { "error": … }.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LatencyHistogram } from './latency.js';
import { measureWindow } from './load-window.js';

/**
 * @typedef {object} HoldWork
 * @property {number} port
 * @property {number} processes
 * @property {number} connections of each process
 * @property {number} warmup seconds before the measurement
 *
 * @typedef {HoldWork & import('./load-window.js').WindowOptions} HoldOptions
 *
 * What a process says: that its connections are open, and at the end what came of them.
 * @typedef {object} Held
 * @property {number} received messages that came back in the measurement, as they were sent
 * @property {number} lost messages that did not, and connections that were closed
 * @property {[number, number][]} latencies entries of a LatencyHistogram
 *
 * @typedef {{ type: 'open' } | { type: 'error', error: string } | ({ type: 'done' } & Held)} FromHolder
 * @typedef {{ type: 'start' } | { type: 'measure' } | { type: 'stop' }} ToHolder
 */

const HOLDER = fileURLToPath(new URL('hold-process.js', import.meta.url));

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** @type {ChildProcess[]} */
const holders = [];
process.once('exit', () => {
  for (const holder of holders) holder.kill('SIGKILL');
});

/**
 * @param {ChildProcess} holder
 * @param {FromHolder['type']} type
 * @returns {Promise<FromHolder>}
 */
async function answer(holder, type) {
  const [message] = /** @type {[FromHolder]} */ (await once(holder, 'message'));
  if (message.type === 'error') throw new Error(message.error);
  if (message.type !== type) throw new Error(`a process said '${message.type}' instead of '${type}'`);
  return message;
}

/** @param {ToHolder} message */
function tellAll(message) {
  for (const holder of holders) holder.send(message);
}

/** @param {HoldOptions} options */
async function run({ processes, connections, ...options }) {
  for (let i = 0; i < processes; i++) {
    const args = [JSON.stringify({ port: options.port, connections, index: i })];
    holders.push(fork(HOLDER, args));
  }
  for (const holder of holders) {
    holder.once('exit', (code) => fail(`a process that holds connections ended (${code})`));
  }
  await Promise.all(holders.map((holder) => answer(holder, 'open')));
  tellAll({ type: 'start' });
  // All of them have sent once when it begins.
  await new Promise((resolve) => setTimeout(resolve, Math.max(1.2, options.warmup) * 1000));
  tellAll({ type: 'measure' });
  const pids = [process.pid, ...holders.map(({ pid }) => /** @type {number} */ (pid))];
  const window = await measureWindow(options, () => 0, pids);
  const answers = holders.map((holder) => answer(holder, 'done'));
  tellAll({ type: 'stop' });
  const held = /** @type {(FromHolder & { type: 'done' })[]} */ (await Promise.all(answers));
  const latencies = new LatencyHistogram();
  for (const one of held) latencies.merge(one.latencies);
  const result = {
    ...window,
    messages: held.reduce((total, one) => total + one.received, 0),
    lost: held.reduce((total, one) => total + one.lost, 0),
    latency50: latencies.percentile(0.5),
    latency99: latencies.percentile(0.99),
    latencyMost: latencies.percentile(1),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
