// @ts-check
// The load client of the broadcast benchmark, a process of its own: node broadcast-client.js '{ "port": 9001, … }'
// Prints one JSON line: a WindowResult, with a LatencyResult at a steady rate, or { "error": … }.
import { setTimeout as sleep } from 'node:timers/promises';
import { BroadcastLoad } from './broadcast-load.js';
import { ControlConnection } from './control-connection.js';
import { measureWindow } from './load-window.js';
import { MORE } from './turn-publisher.js';

/**
 * Who publishes: every client, whenever it has got as many messages as there are clients; or one publisher in the
 * server, `perTurn` messages in a turn with `turns` turns on their way, or `rate` messages a second.
 *
 * @typedef {object} BroadcastWork
 * @property {number} connections subscribers
 * @property {number} size payload of a message in bytes
 * @property {number} [perTurn]
 * @property {number} [turns]
 * @property {number} [rate]
 * @property {{ publisher: number, subscribers: number }} [shards] where they are; without it the server has none
 *
 * @typedef {BroadcastWork & import('./load-window.js').WindowOptions & { port: number, warmup: number }} BroadcastOptions
 */

/** How long the last messages may take once nothing more is published, in seconds. */
const DRAIN_LIMIT = 10;
/** What subscriptions may take, in ms. */
const SETTLE = 300;
/** Connections that are opened at the same time. */
const OPEN_TOGETHER = 100;
/** Paths that are tried to find one that leads to a shard. */
const MAX_PATHS = 100;

/** @param {string} error */
function fail(error) {
  process.stdout.write(`${JSON.stringify({ error })}\n`, () => process.exit(1));
}

/**
 * A path under `prefix` whose connections go to a shard: the server spreads them by their path and answers a GET
 * with the number of the shard.
 *
 * @param {number} port
 * @param {string} prefix
 * @param {number} shard
 */
async function pathTo(port, prefix, shard) {
  for (let i = 0; i < MAX_PATHS; i++) {
    const response = await fetch(`http://127.0.0.1:${port}${prefix}${i}`, {
      headers: { connection: 'close' },
    });
    if ((await response.text()) === String(shard)) return `${prefix}${i}`;
  }
  throw new Error(`no path leads to shard ${shard}`);
}

/**
 * @param {BroadcastOptions} options
 * @param {BroadcastLoad} load
 * @param {string} path
 */
async function openSubscribers({ port, connections, perTurn, rate }, load, path) {
  const every = perTurn === undefined && rate === undefined ? connections : 0;
  /** @type {import('./broadcast-load.js').Subscriber[]} */
  const subscribers = [];
  while (subscribers.length < connections) {
    const first = subscribers.length;
    const length = Math.min(OPEN_TOGETHER, connections - first);
    const opening = Array.from({ length }, (_, i) => load.open(port, path, first + i, every));
    subscribers.push(...(await Promise.all(opening)));
  }
  load.subscribers = subscribers;
}

/**
 * Every subscriber must get every message, and not one more.
 *
 * @param {BroadcastLoad} load
 * @param {number} published
 */
async function drain(load, published) {
  const deadline = performance.now() + DRAIN_LIMIT * 1000;
  const isComplete = () => load.subscribers.every(({ messages }) => messages === published);
  while (!isComplete() && performance.now() < deadline) await sleep(10);
  await sleep(20);
  if (isComplete()) return;
  const wrong = load.subscribers.filter(({ messages }) => messages !== published);
  throw new Error(`${wrong.length} subscribers got ${wrong[0]?.messages} of ${published} messages, or so`);
}

/** @param {BroadcastOptions} options */
async function run(options) {
  const { port, connections, size, perTurn, turns = 1, rate, shards } = options;
  const hasControl = perTurn !== undefined || rate !== undefined;
  const load = new BroadcastLoad({
    size,
    publishers: hasControl ? 1 : connections,
    perTurn: perTurn ?? 0,
    onTurn: () => {
      if (!load.isDraining) control?.send(MORE);
    },
    onError: fail,
  });
  const controlPath = shards === undefined ? '/control' : await pathTo(port, '/control/', shards.publisher);
  const path = shards === undefined ? '/' : await pathTo(port, '/', shards.subscribers);
  const control = hasControl ? await ControlConnection.open(port, controlPath, fail) : null;
  await openSubscribers(options, load, path);
  await sleep(SETTLE);

  if (control === null) for (const subscriber of load.subscribers) subscriber.publish();
  else control.send(JSON.stringify(rate === undefined ? { size, perTurn } : { size, rate }));
  if (perTurn !== undefined) for (let i = 0; i < turns; i++) control?.send(MORE);

  await sleep(options.warmup * 1000);
  load.isTimed = rate !== undefined;
  const result = await measureWindow(options, () => load.received);
  load.isTimed = false;

  load.isDraining = true;
  await drain(load, control === null ? load.sent : await control.stop());
  process.stdout.write(`${JSON.stringify({ ...result, ...latencyResult(load) })}\n`, () => process.exit());
}

/** @param {BroadcastLoad} load */
function latencyResult({ latency }) {
  const latencyMost = latency.percentile(1);
  if (Number.isNaN(latencyMost)) return {};
  return { latency50: latency.percentile(0.5), latency99: latency.percentile(0.99), latencyMost };
}

run(JSON.parse(process.argv[2] ?? '{}')).catch((error) => fail(String(error)));
