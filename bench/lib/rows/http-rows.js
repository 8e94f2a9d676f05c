// @ts-check
import { bunServer, isInstalled, nodeServer, root } from '../servers/server-process.js';

/** @typedef {import('../runs/macro-run.js').MacroRow} MacroRow */
/** @typedef {import('../servers/server-process.js').ServerCommand} ServerCommand */

const BODY = 'Hello, World!';
const PEERS = ['node', 'bun', 'uws'];
/** @type {MacroRow['targets']} */
const TARGETS = [
  { peer: 'node', metric: 'messagesPerServerSecond', must: 2 },
  { peer: 'bun', metric: 'messagesPerServerSecond', aim: 1 },
];

/** @type {readonly MacroRow[]} */
export const HTTP_ROWS = [
  {
    id: 'P13',
    title: `GET / with a body of ${BODY.length} B; autocannon -c 100 -p 10`,
    subject: 'millrace',
    peers: PEERS,
    // As autocannon is mostly run. One at a time, it is busy long before a server faster than node:http is.
    work: { connections: 100, inFlight: 10, body: BODY },
    targets: TARGETS,
  },
  {
    id: 'P13-single',
    title: 'the same, 1 in flight',
    subject: 'millrace',
    peers: PEERS,
    work: { connections: 100, inFlight: 1, body: BODY },
    targets: TARGETS,
  },
];

/**
 * The candidates that can run here, by name.
 *
 * @param {{ build?: string | undefined, baseline?: string | undefined }} [options] folders of other builds of
 *   millrace, each with a package.json and dist/: one to measure instead of this one, one to compare with
 * @returns {Map<string, ServerCommand>}
 */
export function httpServers({ build = root, baseline } = {}) {
  /** @type {Map<string, ServerCommand>} */
  const servers = new Map([['node', nodeServer('http-node.js')]]);
  const bun = bunServer('http-bun.js');
  if (bun !== undefined) servers.set('bun', bun);
  if (isInstalled('uWebSockets.js')) servers.set('uws', nodeServer('http-uwebsockets.js'));
  servers.set('millrace', nodeServer('http-millrace.js', build));
  if (baseline !== undefined) servers.set('baseline-millrace', nodeServer('http-millrace.js', baseline));
  return servers;
}
