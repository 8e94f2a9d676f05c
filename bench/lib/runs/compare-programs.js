// @ts-check
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atEnd } from '../servers/child-process.js';

/**
 * A row that one of the programs can measure.
 *
 * @typedef {import('./compare-plan.js').PlannedRow & {
 *   id: string,
 *   title: string,
 *   program: string,
 * }} CompareRow `program` is the name of a file in macro/, or 'micro'
 */

const MACRO = fileURLToPath(new URL('../../macro/', import.meta.url));
const MICRO = fileURLToPath(new URL('../../micro.js', import.meta.url));
/** Seconds that a program may take to list its rows. */
const LIST_LIMIT = 30;
/** Seconds that a program may take to end its servers once it is told to end. */
const END_LIMIT = 5;
const MICRO_SUITES = ['ring', 'frame-parser'];
/** Of the output of a program that failed, what is kept. */
const TAIL = 1500;

/** Rows in the order of their numbers: P2, P8, P8-latency, P10. @param {{ id: string }} a @param {{ id: string }} b */
const byNumber = (a, b) =>
  Number.parseInt(a.id.slice(1), 10) - Number.parseInt(b.id.slice(1), 10) || (a.id < b.id ? -1 : 1);

/**
 * All rows that exist: each program of macro/ says which it has.
 *
 * @param {(text: string) => void} warn
 * @returns {Promise<CompareRow[]>}
 */
export async function allRows(warn) {
  /** @type {CompareRow[]} */
  const rows = [];
  for (const file of readdirSync(MACRO).filter((name) => name.endsWith('.js'))) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(MACRO, file), '--list'], {
      encoding: 'utf8',
      timeout: LIST_LIMIT * 1000,
    });
    if (status !== 0) {
      warn(`macro/${file} has no list of rows:\n${stderr.slice(-TAIL)}\n`);
      continue;
    }
    for (const line of stdout.split('\n').filter((text) => text !== '')) {
      const { candidates, ...row } = JSON.parse(line);
      rows.push({ ...row, candidates: candidates.length, program: file.replace('.js', '') });
    }
  }
  for (const suite of MICRO_SUITES) {
    const { title, targets = [] } = await microSuite(suite);
    const [target] = targets;
    if (target === undefined) continue;
    rows.push({
      id: target.id,
      title,
      program: 'micro',
      candidates: microCases(suite, targets).length,
      most: 3,
      extra: 0,
    });
  }
  return rows.sort(byNumber);
}

/**
 * @param {string} name
 * @returns {Promise<import('./micro-run.js').MicroSuite>}
 */
async function microSuite(name) {
  return (await import(new URL(`../../micro/${name}.js`, import.meta.url).href)).default;
}

/**
 * The cases that targets are about, as micro.js takes them.
 *
 * @param {string} suite
 * @param {readonly import('./micro-run.js').MicroTarget[]} targets
 */
function microCases(suite, targets) {
  const names = targets.flatMap(({ cases, against }) =>
    against === undefined ? cases : [...cases, against],
  );
  return Array.from(new Set(names), (name) => `${suite}: ${name}`);
}

/** The program that runs now. @type {import('node:child_process').ChildProcess | undefined} */
let current;

/**
 * Measures a row in a process of its own.
 *
 * @param {CompareRow} row
 * @param {{ seconds: number, warmup: number }} wanted
 * @param {import('./compare-plan.js').RowBudget} budget
 * @returns {Promise<any>} the report of the program
 */
export async function measureRow({ id, program }, { seconds, warmup }, { reps, quiet, retries, limit }) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-compare-'));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const json = join(folder, 'report.json');
  const common = ['--seconds', String(seconds), '--quiet', String(quiet), '--json', json];
  if (program === 'micro') {
    const suite = id === 'P9' ? 'ring' : 'frame-parser';
    const { targets = [] } = await microSuite(suite);
    const only = microCases(suite, targets).flatMap((name) => ['--only', name]);
    await run(MICRO, [...only, '--reps', String(Math.min(3, reps)), ...common], limit);
  } else {
    const own = [
      '--rows',
      id,
      '--warmup',
      String(warmup),
      '--reps',
      String(reps),
      '--retries',
      String(retries),
    ];
    await run(join(MACRO, `${program}.js`), [...own, ...common], limit);
  }
  return JSON.parse(readFileSync(json, 'utf8'));
}

/**
 * Runs a program to its end; what it says on stderr goes to ours.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {number} limit seconds
 * @returns {Promise<void>}
 */
function run(file, args, limit) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    current = child;
    let tail = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGTERM');
    }, limit * 1000);
    child.stderr.setEncoding('utf8').on('data', (text) => {
      tail = (tail + text).slice(-TAIL);
      process.stderr.write(text);
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      current = undefined;
      if (code === 0) resolve();
      else if (isLate) reject(new Error(`it was not done after ${Math.round(limit)} s`));
      else reject(new Error(lastLine(tail) || `it ended with ${signal ?? code}`));
    });
  });
}

/** @param {string} text */
const lastLine = (text) => text.trim().split('\n').at(-1) ?? '';

/**
 * Ends the program that runs now, which ends its servers and clients in turn.
 *
 * @returns {Promise<void>}
 */
export function stopCurrent() {
  return new Promise((resolve) => {
    const child = current;
    if (child === undefined) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
    setTimeout(() => {
      child.kill('SIGKILL');
      resolve();
    }, END_LIMIT * 1000).unref();
  });
}
