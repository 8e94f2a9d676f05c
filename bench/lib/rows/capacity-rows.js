// @ts-check
import { bunServer, isInstalled, nodeServer, root } from '../servers/server-process.js';

/** @typedef {import('../runs/macro-run.js').MacroRow} MacroRow */
/** @typedef {import('../servers/server-process.js').ServerCommand} ServerCommand */

const PEERS = ['ws', 'bun', 'uws'];
const ONE_SHARD = JSON.stringify({ shards: 1 });

/** @type {readonly MacroRow[]} */
export const HANDSHAKE_ROWS = [
  {
    id: 'P14',
    title: 'connect, open, close; 50 at a time; millrace with handoff to a shard',
    subject: 'sharded',
    peers: [...PEERS, 'app'],
    work: { together: 50 },
    targets: [{ peer: 'ws', metric: 'messagesPerSecond', must: 1.5, aim: 2 }],
  },
];

/** @type {readonly MacroRow[]} */
export const MEMORY_ROWS = [
  {
    id: 'P15',
    title: 'memory of the server for each idle connection, from 1,000 to 10,000',
    subject: 'sharded',
    peers: [...PEERS, 'app'],
    work: { first: 1000, last: 10_000, settle: 2 },
    most: 2,
    extra: 8,
    targets: [
      { peer: 'ws', metric: 'bytesPerConnection', must: 1 / 3 },
      { metric: 'bytesPerConnection', aim: 2048 },
    ],
  },
];

/** @type {readonly MacroRow[]} */
export const HOLD_ROWS = [
  {
    id: 'P16',
    title: '15,000 connections, a message of 20 B each second',
    subject: 'sharded',
    peers: [],
    work: { processes: 3, connections: 5000 },
    most: 2,
    extra: 6,
    targets: [
      { metric: 'lost', must: 0 },
      { metric: 'latency99', must: 50 },
    ],
  },
];

/**
 * The candidates that can run here, by name.
 *
 * @param {{ build?: string | undefined, baseline?: string | undefined }} [options] folders of other builds of
 *   millrace, each with a package.json and dist/: one to measure instead of this one, one to compare with
 * @param {boolean} isCollecting servers collect their garbage each second, so that it does not count as memory of
 *   connections
 * @returns {Map<string, ServerCommand>}
 */
export function capacityServers({ build = root, baseline } = {}, isCollecting = false) {
  /** @type {Map<string, ServerCommand>} */
  const servers = new Map();
  if (isInstalled('ws')) servers.set('ws', nodeServer('ws.js'));
  const bun = bunServer('bun.js');
  if (bun !== undefined) servers.set('bun', bun);
  if (isInstalled('uWebSockets.js')) servers.set('uws', nodeServer('uwebsockets.js'));
  for (const [prefix, folder] of [
    ['', build],
    ['baseline-', baseline],
  ]) {
    if (folder === undefined) continue;
    servers.set(`${prefix}app`, nodeServer('millrace.js', 'messageView', folder));
    servers.set(`${prefix}sharded`, nodeServer('millrace-serve.js', folder, ONE_SHARD));
  }
  return isCollecting
    ? new Map(Array.from(servers, ([name, server]) => [name, collecting(server)]))
    : servers;
}

/**
 * @param {ServerCommand} server
 * @returns {ServerCommand}
 */
function collecting(server) {
  const args = server.command === process.execPath ? ['--expose-gc', ...server.args] : server.args;
  return { ...server, args, env: { ...server.env, COLLECT_GARBAGE: '1' } };
}
