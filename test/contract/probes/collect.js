// @ts-check
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const RUN = fileURLToPath(new URL('run.js', import.meta.url));

/**
 * The results of all probes against a package. Where the process ends at one, that is its result, and the next process
 * goes on behind it.
 *
 * @param {string} name @param {readonly string[]} ids @param {string} node the command that runs it
 * @returns {Promise<Record<string, unknown>>}
 */
export async function collect(name, ids, node = process.execPath) {
  /** @type {Record<string, unknown>} */
  const results = {};
  for (let left = [...ids]; left.length > 0; left = left.filter((id) => !(id in results))) {
    const { started, errors } = await runOnce(name, left, node, results);
    if (started === undefined) throw new Error(`The probes of ${name} do not run: ${errors}`);
    if (!(started in results)) results[started] = 'ends the process';
  }
  return results;
}

/** @param {string} name @param {readonly string[]} ids @param {string} node @param {Record<string, unknown>} results */
async function runOnce(name, ids, node, results) {
  const child = spawn(node, [RUN, name, ...ids], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (data) => {
    errors = `${errors}${data}`.slice(-2000);
  });
  /** @type {string | undefined} */
  let started;
  createInterface(child.stdout).on('line', (line) => {
    // The package under test prints, too.
    if (!line.startsWith('{"id":')) return;
    const { id, result } = JSON.parse(line);
    started = id;
    if (result !== undefined) results[id] = result;
  });
  await new Promise((resolve) => child.once('close', resolve));
  return { started, errors };
}
