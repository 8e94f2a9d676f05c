// @ts-check
import { fileURLToPath } from 'node:url';
import { percent } from '../reports/markdown.js';
import { readJsonLine, spawnPinned, stopChild } from '../servers/child-process.js';
import { startServer } from '../servers/server-process.js';
import { waitUntilQuiet } from './quiet.js';

/**
 * @typedef {import('../clients/load-window.js').WindowOptions} WindowOptions
 * @typedef {import('../clients/load-window.js').WindowResult} WindowResult
 *
 * A measurement: which server, which load client, and what the client is to do.
 *
 * @typedef {object} Load
 * @property {string} row
 * @property {import('../servers/server-process.js').ServerCommand} command
 * @property {string} client file of bench/lib/
 * @property {Readonly<Record<string, unknown>>} work
 * @property {Place} [place] where the two run; the server on processor 0 and the client on 1 if not given
 *
 * @typedef {{ readonly server: readonly number[], readonly client: readonly number[] }} Place processors
 *
 * @typedef {object} LoadOptions
 * @property {number} warmup seconds
 * @property {number} seconds
 * @property {number} quiet seconds to wait for other programs
 * @property {number} retries
 */

/** @type {Place} */
export const APART = { server: [0], client: [1] };
/** For servers that are to use all there is. @type {Place} */
export const TOGETHER = { server: [0, 1], client: [0, 1] };

/** From here on other programs have disturbed a run. */
export const STRANGER_LIMIT = 0.05;

/** How long a client may take beside its measurement, in seconds. */
const TIMEOUT = 60;

/** @param {string} text */
export const progress = (text) => process.stderr.write(text);

/**
 * Starts a fresh server and a fresh client, measures, and ends both. A run that other programs disturbed is
 * repeated, and the one that was disturbed least is kept.
 *
 * @template {WindowResult} [T=WindowResult]
 * @param {Load} load
 * @param {LoadOptions} options
 * @returns {Promise<{ result: T, label: string }>}
 */
export async function measureLoad(load, options) {
  /** @type {{ result: T, label: string }} */
  let best = await measureOnce(load, options);
  for (let i = 0; i < options.retries && best.result.strangerShare >= STRANGER_LIMIT; i++) {
    progress(`(others ${percent(best.result.strangerShare)}, again) `);
    /** @type {{ result: T, label: string }} */
    const next = await measureOnce(load, options);
    if (next.result.strangerShare < best.result.strangerShare) best = next;
  }
  return best;
}

/**
 * @template {WindowResult} T
 * @param {Load} load
 * @param {LoadOptions} options
 * @returns {Promise<{ result: T, label: string }>}
 */
async function measureOnce({ row, command, client, work, place = APART }, { warmup, seconds, quiet }) {
  await waitUntilQuiet([...place.server, ...place.client], quiet);
  const server = await startServer(command, place.server.join());
  const { name, version, port, pid } = server;
  /** @type {WindowOptions & { port: number, warmup: number }} */
  const window = {
    port,
    serverPid: pid,
    serverCpus: place.server,
    clientCpus: place.client,
    warmup,
    seconds,
  };
  const file = fileURLToPath(new URL(`../clients/${client}`, import.meta.url));
  const child = spawnPinned(process.execPath, [file, JSON.stringify({ ...work, ...window })], {
    cpu: place.client.join(),
  });
  try {
    const line = await readJsonLine(child, 'the client', warmup + seconds + TIMEOUT);
    const result = /** @type {T & { error?: string }} */ (line);
    if (result.error !== undefined) throw new Error(`${row}, ${name}: ${result.error}`);
    if (result.messages === 0) throw new Error(`${row}, ${name}: no message arrived`);
    return { result, label: `${name} ${version}` };
  } finally {
    await stopChild(child);
    await server.stop();
  }
}
