// @ts-check
import { bunServer, isInstalled, nodeServer, root } from './server-process.js';

/** @typedef {import('./macro-run.js').MacroRow} MacroRow */
/** @typedef {import('./server-process.js').ServerCommand} ServerCommand */

/** @type {readonly MacroRow[]} */
export const HTTP_ROWS = [
  {
    id: 'P13',
    title: 'GET / with a body of 13 B, 100 connections, 1 in flight; the client is autocannon',
    subject: 'millrace',
    peers: ['node', 'bun', 'uws'],
    work: { connections: 100, body: 'Hello, World!' },
    targets: [
      { peer: 'node', metric: 'messagesPerServerSecond', must: 2 },
      { peer: 'bun', metric: 'messagesPerServerSecond', aim: 1 },
    ],
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
