// @ts-check
import { readJsonLine, spawnPinned, stopChild } from './child-process.js';
import { pairedRun } from './paired-run.js';
import { waitUntilQuiet } from './quiet.js';
import { summarize } from './stats.js';

/**
 * A piece of code that is measured alone. `prepare` makes what it needs and returns the function that is timed;
 * that function returns the units (frames, bytes) it has got through.
 *
 * @typedef {object} MicroCase
 * @property {string} name
 * @property {() => (() => number) | Promise<() => number>} prepare
 */

const SLICES = 5;

/**
 * Measures one case in this process, once it is warm, and prints the units a second of the best of some slices:
 * whatever else runs on the machine can only slow a slice down.
 *
 * @param {MicroCase} micro
 * @param {number} seconds
 */
export async function measureMicro({ prepare }, seconds) {
  const work = await prepare();
  runFor(work, seconds / 2);
  let best = 0;
  for (let i = 0; i < SLICES; i++) best = Math.max(best, runFor(work, seconds / SLICES));
  process.stdout.write(`${JSON.stringify({ unitsPerSecond: best })}\n`);
}

/**
 * @param {() => number} work
 * @param {number} seconds
 * @returns {number} units a second
 */
function runFor(work, seconds) {
  const start = performance.now();
  let units = 0;
  let elapsed = 0;
  do {
    units += work();
    elapsed = performance.now() - start;
  } while (elapsed < seconds * 1000);
  return (units * 1000) / elapsed;
}

/**
 * Runs every case in a process of its own, in turns, so that what one case teaches the compiler does not change
 * another.
 *
 * @param {string} file a program that measures the case given by `--case NAME`
 * @param {readonly string[]} names
 * @param {{ repetitions: number, args: readonly string[], cpu: number | string, quiet?: number }} options `cpu`: see
 *   spawnPinned; `quiet`: seconds to wait for other programs to leave processors 0 and 1 alone
 */
export async function runMicros(file, names, { repetitions, args, cpu, quiet = 0 }) {
  const results = await pairedRun(names, repetitions, async (name, repetition) => {
    process.stderr.write(`${repetition + 1}/${repetitions} ${name}\n`);
    await waitUntilQuiet([0, 1], quiet);
    const child = spawnPinned(process.execPath, [file, '--case', name, ...args], { cpu });
    try {
      const line = /** @type {{ unitsPerSecond: number }} */ (await readJsonLine(child, name, 60));
      return line.unitsPerSecond;
    } finally {
      await stopChild(child);
    }
  });
  return new Map(Object.entries(results).map(([name, runs]) => [name, summarize(runs)]));
}
