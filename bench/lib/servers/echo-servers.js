// @ts-check
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atEnd } from './child-process.js';
import { bunServer, isInstalled, nodeServer, root } from './server-process.js';

/** @typedef {import('./server-process.js').ServerCommand} ServerCommand */

/**
 * The same servers with permessage-deflate.
 *
 * @param {{ build?: string | undefined, baseline?: string | undefined }} [options] see {@link echoServers}
 * @returns {Map<string, ServerCommand>}
 */
export function deflateServers(options) {
  const servers = [...echoServers(options)].filter(([, { env }]) => env === undefined);
  return new Map(servers.map(([name, server]) => [name, { ...server, env: { DEFLATE: '1' } }]));
}

/**
 * Adds the same servers over TLS, as `tls-…`.
 *
 * @param {Map<string, ServerCommand>} servers
 */
function addTlsServers(servers) {
  const env = tlsEnvironment();
  if (env === undefined) return;
  for (const name of ['ws', 'bun', 'uws', 'messageView', 'baseline-messageView']) {
    const server = servers.get(name);
    const secureName = name.startsWith('baseline-') ? 'baseline-tls-messageView' : `tls-${name}`;
    if (server !== undefined) servers.set(secureName, { ...server, env });
  }
}

/** A certificate for all servers of this run, gone with it; undefined where the program openssl is missing. */
function tlsEnvironment() {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const what =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost';
  const made = spawnSync('openssl', [...what.split(' '), '-keyout', key, '-out', cert]);
  return made.status === 0 ? { TLS_KEY_FILE: key, TLS_CERT_FILE: cert } : undefined;
}

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
  addTlsServers(servers);
  return servers;
}
