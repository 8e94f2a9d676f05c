// @ts-check
import { bunServer, isInstalled, nodeServer, root } from './server-process.js';

/** @typedef {import('./server-process.js').ServerCommand} ServerCommand */

/**
 * The candidates that can run here, by name.
 *
 * @param {{ build?: string | undefined, baseline?: string | undefined }} [options] folders of other builds of
 *   millrace, each with a package.json and dist/: one to measure instead of this one, one to compare with
 * @returns {Map<string, ServerCommand>}
 */
export function broadcastServers({ build = root, baseline } = {}) {
  /** @type {Map<string, ServerCommand>} */
  const servers = new Map();
  if (isInstalled('ws')) {
    servers.set('ws', nodeServer('broadcast-ws.js', 'loop'));
    servers.set('ws-by-hand', nodeServer('broadcast-ws.js', 'turn'));
  }
  const bun = bunServer('broadcast-bun.js');
  if (bun !== undefined) servers.set('bun', bun);
  if (isInstalled('uWebSockets.js')) servers.set('uws', nodeServer('broadcast-uwebsockets.js'));
  for (const [prefix, folder] of [
    ['', build],
    ['baseline-', baseline],
  ]) {
    if (folder === undefined) continue;
    servers.set(`${prefix}millrace`, nodeServer('broadcast-millrace.js', folder));
    // The same server: the load client chooses where the subscribers are.
    servers.set(`${prefix}same-shard`, nodeServer('broadcast-shards.js', folder));
    servers.set(`${prefix}cross-shard`, nodeServer('broadcast-shards.js', folder));
  }
  return servers;
}
