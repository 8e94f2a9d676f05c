// @ts-check
// The load client of the STOMP queues: node stomp-queue-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult, or { "error": … }.
import { setTimeout as sleep } from 'node:timers/promises';
import { bench } from '../../../dist/src/load/index.js';
import { measureWindow } from './load-window.js';

/**
 * @typedef {object} StompQueueWork
 * @property {number} port
 * @property {number} publishers
 * @property {number} consumers that acknowledge each message
 * @property {number} size bytes of a message
 * @property {number} inFlight messages of each publisher that no consumer has got yet
 * @property {number} warmup seconds before the measurement
 *
 * @typedef {StompQueueWork & import('./load-window.js').WindowOptions} StompQueueOptions
 */

/** Seconds for the connections to open, and that the load goes on behind the measurement. */
const MARGIN = 1;

/** @param {StompQueueOptions} options */
async function main(options) {
  const { port, publishers, consumers, size, inFlight, warmup, seconds } = options;
  const load = bench({
    url: `ws://127.0.0.1:${port}/stomp`,
    scenario: 'stomp',
    connections: publishers + consumers,
    publishers,
    consumers,
    size,
    pipelining: inFlight,
    warmup: warmup + MARGIN / 2,
    duration: seconds + MARGIN,
  });
  await sleep((warmup + MARGIN) * 1000);
  const window = await measureWindow(options, () => 0);
  const { messages, duration, mismatches, lost, errors, reasons, stomp } = await load;
  const wrong = mismatches + lost + errors + (stomp?.redelivered ?? 0);
  if (wrong > 0)
    throw new Error(`${wrong} messages or connections were not as they should be: ${reasons[0]?.reason}`);
  const result = { ...window, messages: Math.round((messages.total / duration) * window.seconds) };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

main(JSON.parse(process.argv[2] ?? '{}')).catch((error) => {
  process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`, () => process.exit(1));
});
