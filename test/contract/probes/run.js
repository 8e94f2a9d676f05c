// @ts-check
/**
 * Runs probes against one package and prints what came back, a line of JSON for each:
 *
 *     node run.js PACKAGE [ID …]
 *
 * A line with the id alone precedes each, so that the reader knows which one ended the process.
 */
import { PROBES } from './table.js';
import { Tools } from './tools.js';

const [name = '', ...ids] = process.argv.slice(2);
const uWS = (await import(name)).default;

/** What takes longer hangs: a connection that nobody ends, an answer that never comes. */
const TIMEOUT = 30_000;

/** @param {object} line */
const print = (line) => process.stdout.write(`\n${JSON.stringify(line)}\n`);

for (const [id, probe] of Object.entries(PROBES)) {
  if (ids.length > 0 && !ids.includes(id)) continue;
  print({ id });
  const tools = new Tools(uWS);
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const tooLong = new Promise((resolve) => {
    timer = setTimeout(resolve, TIMEOUT, 'hangs');
  });
  let result;
  try {
    result = await Promise.race([probe(tools), tooLong]);
  } catch (error) {
    result = { failed: String(error) };
  }
  clearTimeout(timer);
  tools.end();
  print({ id, result });
}
process.exit();
