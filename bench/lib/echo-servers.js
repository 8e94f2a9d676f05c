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
export function echoServers({ build = root, baseline } = {}) {
  /** @type {Map<string, ServerCommand>} */
  const servers = new Map();
  if (isInstalled('ws')) {
    servers.set('ws', nodeServer('ws.js'));
    servers.set('ws-js', { ...nodeServer('ws.js'), env: { WS_NO_BUFFER_UTIL: '1' } });
  }
  const bun = bunServer('bun.js');
  if (bun !== undefined) servers.set('bun', bun);
  if (isInstalled('uWebSockets.js')) servers.set('uws', nodeServer('uwebsockets.js'));
  for (const handler of ['messageView', 'message']) {
    servers.set(handler, nodeServer('millrace.js', handler, build));
    if (baseline === undefined) continue;
    servers.set(`baseline-${handler}`, nodeServer('millrace.js', handler, baseline));
  }
  return servers;
}
