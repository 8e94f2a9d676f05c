// @ts-check
import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atEnd } from './child-process.js';
import { isInstalled, nodeServer, root } from './server-process.js';

/** @typedef {import('./server-process.js').ServerCommand} ServerCommand */

const RABBITMQ = '/usr/lib/rabbitmq/bin/rabbitmq-server';

/**
 * The brokers that can run here, by name.
 *
 * @param {{ build?: string | undefined, baseline?: string | undefined }} [options] folders of other builds of
 *   millrace, each with a package.json and dist/: one to measure instead of this one, one to compare with
 * @returns {Map<string, ServerCommand>}
 */
export function stompServers({ build = root, baseline } = {}) {
  /** @type {Map<string, ServerCommand>} */
  const servers = new Map();
  if (existsSync(RABBITMQ)) {
    const folder = join(tmpdir(), `millrace-bench-rabbitmq-${process.pid}`);
    atEnd(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    servers.set('rabbitmq', { ...nodeServer('stomp-rabbitmq.js', folder), isGroup: true });
  }
  if (isInstalled('stomp-broker-js')) servers.set('stomp-broker-js', nodeServer('stomp-broker-js.js'));
  for (const [prefix, folder] of [
    ['', build],
    ['baseline-', baseline],
  ]) {
    if (folder === undefined || !existsSync(join(folder, 'dist/src/stomp/index.js'))) continue;
    servers.set(`${prefix}millrace`, nodeServer('stomp-millrace.js', folder));
  }
  return servers;
}
