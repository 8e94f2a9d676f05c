// @ts-check
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readJsonLine, spawnPinned, stopChild } from '../servers/child-process.js';
import { pairedRun } from './paired-run.js';
import { waitUntilQuiet } from './quiet.js';

/**
 * Loads a module of a build of millrace: `load('protocol/mask.js')`.
 *
 * @typedef {(file: string) => Promise<any>} Load
 *
 * A piece of code that is measured alone. `prepare` makes what it needs and returns the function that is timed;
 * that function returns the units it has got through, counted from what the code did.
 *
 * @typedef {object} MicroCase
 * @property {string} name
 * @property {string} unit what is counted: 'B', 'frames', 'messages'
 * @property {(load: Load, folder: string) => (() => number) | Promise<() => number>} prepare `folder` is where
 *   `load` looks, as a URL
 *
 * A file of micro/.
 *
 * @typedef {object} MicroSuite
 * @property {string} name of the file
 * @property {string} title
 * @property {string} [cpu] the processors it runs on, '0' if not given
 * @property {readonly MicroCase[]} cases
 * @property {readonly MicroTarget[]} [targets]
 *
 * A row of the table of targets: units a second of the slowest of some cases, or a ratio of two.
 *
 * @typedef {object} MicroTarget
 * @property {string} id 'P10'
 * @property {string} title
 * @property {readonly string[]} cases
 * @property {string} [against] the case that a ratio is made with
 * @property {number} [scale] what the figure is shown in
 * @property {number} [must]
 * @property {number} [aim]
 *
 * Where a case is measured: in which process, of which build.
 *
 * @typedef {object} MicroPlace
 * @property {string} suite
 * @property {string} name
 * @property {string} build folder that has dist/
 *
 * @typedef {object} MicroOptions
 * @property {number} seconds length of a measurement
 * @property {number} repetitions
 * @property {number} quiet seconds to wait for other programs to leave the processors alone
 */

/** Parts of a measurement. The best one counts: whatever else runs on the machine can only slow a part down. */
const SLICES = 5;

/**
 * Measures one case in this process, once it is warm.
 *
 * @param {MicroCase} micro
 * @param {string} build
 * @param {number} seconds
 * @returns {Promise<number>} units a second
 */
export async function measureMicro({ prepare }, build, seconds) {
  const folder = new URL('dist/src/', pathToFileURL(`${build}/`)).href;
  const work = await prepare((file) => import(folder + file), folder);
  runFor(work, seconds / 2);
  let best = 0;
  for (let i = 0; i < SLICES; i++) best = Math.max(best, runFor(work, seconds / SLICES));
  return best;
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

const CHILD = fileURLToPath(new URL('micro-child.js', import.meta.url));

/**
 * Runs every case in a process of its own, so that what one case teaches the compiler does not change another.
 *
 * @param {MicroPlace} place
 * @param {string} cpu
 * @param {MicroOptions} options
 * @returns {Promise<number>} units a second
 */
async function measureInProcess(place, cpu, { seconds, quiet }) {
  await waitUntilQuiet([0, 1], quiet);
  const child = spawnPinned(process.execPath, [CHILD, JSON.stringify({ ...place, seconds })], { cpu });
  try {
    const line = await readJsonLine(child, `${place.suite}: ${place.name}`, 30 + 3 * seconds);
    return /** @type {{ unitsPerSecond: number }} */ (line).unitsPerSecond;
  } finally {
    await stopChild(child);
  }
}

/**
 * Measures the cases of a suite with several builds, each case with all builds in turns.
 *
 * @param {MicroSuite} suite
 * @param {readonly string[]} builds
 * @param {MicroOptions} options
 * @param {(text: string) => void} progress
 * @returns {Promise<Map<string, MicroSamples>>} by name of the case
 *
 * @typedef {object} MicroSamples
 * @property {MicroCase} micro
 * @property {number[][]} samples units a second by build and repetition
 * @property {(string | undefined)[]} errors by build
 */
export async function measureSuite(suite, builds, options, progress) {
  /** @type {Map<string, MicroSamples>} */
  const results = new Map();
  for (const micro of suite.cases) {
    /** @type {(string | undefined)[]} */
    const errors = builds.map(() => undefined);
    const runs = await pairedRun(Object.keys(builds), options.repetitions, async (index, repetition) => {
      const number = Number(index);
      if (errors[number] !== undefined) return Number.NaN;
      const which = builds.length > 1 ? ` ${'AB'[number]}` : '';
      progress(`${suite.name}: ${micro.name}, ${repetition + 1}/${options.repetitions}${which}\n`);
      const place = { suite: suite.name, name: micro.name, build: builds[number] ?? '' };
      try {
        return await measureInProcess(place, suite.cpu ?? '0', options);
      } catch (error) {
        errors[number] = error instanceof Error ? error.message : String(error);
        return Number.NaN;
      }
    });
    const samples = builds.map((_, i) => runs[i] ?? []);
    // Of this build a failure is a fault; another one may lack what is measured.
    if (errors[0] !== undefined) throw new Error(errors[0]);
    results.set(micro.name, { micro, samples, errors });
  }
  return results;
}
