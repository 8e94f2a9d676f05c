#!/usr/bin/env node
// @ts-check
import { readdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { machineInfo } from './lib/reports/machine-info.js';
import { formatMicroReport, suiteReport } from './lib/reports/micro-report.js';
import { requireFreshBuild } from './lib/runs/fresh-build.js';
import { atLeast } from './lib/runs/macro-options.js';
import { measureSuite } from './lib/runs/micro-run.js';
import { buildRevision } from './lib/runs/revision.js';
import { root } from './lib/servers/server-process.js';

const HELP = `Micro-benchmarks: parts of the engine alone, in memory, each case in processes of its own.

  npm run bench:micro -- [options]

  --list             the names of the suites and their cases
  --only NAMES       suites: --only mask,utf8; or one case: --only "mask: 20 B"; may be given again
  --against REV      build that revision of the repository too, in a temporary worktree, run both in turns
                     (A B, B A, …), and print what changed; the exit code is 1 when a case became slower
  --threshold 5      percent from which on a change counts, unless the noise is larger
  --seconds 0.5      length of a measurement
  --reps 5           processes for each case; with --against 6 pairs
  --quiet 0          seconds to wait, before each measurement, for other programs to leave the processors alone
  --build FOLDER     another build of millrace (it has dist/) instead of this one
  --json FILE        keep the figures; '-' prints them instead of the tables
  --help

Tables go to stdout, progress to stderr. A figure is the median of the processes; of each process the best of five
parts counts, because other programs can only slow a part down.
`;

/** @typedef {import('./lib/runs/micro-run.js').MicroSuite} MicroSuite */

/** @returns {Promise<MicroSuite[]>} */
async function allSuites() {
  const folder = new URL('micro/', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.js'));
  return Promise.all(files.map(async (file) => (await import(new URL(file, folder).href)).default));
}

/**
 * @param {readonly MicroSuite[]} suites
 * @param {readonly string[] | undefined} only
 * @returns {MicroSuite[]}
 */
function choose(suites, only) {
  if (only === undefined) return [...suites];
  const words = only.flatMap((text) => (text.includes(': ') ? [text] : text.split(',')));
  /** @param {string} name @param {string} word */
  const isMeant = (name, word) => name === word || name.toLowerCase().includes(word.toLowerCase());
  for (const word of words) {
    const isKnown = suites.some(({ name, cases }) => cases.some((one) => matches(name, one.name, word)));
    if (!isKnown) throw new Error(`there is no suite or case '${word}'; --list has the names`);
  }
  /** @param {string} suite @param {string} name @param {string} word */
  function matches(suite, name, word) {
    const [first = '', rest] = word.split(': ');
    if (rest !== undefined) return suite === first && isMeant(name, rest);
    return suite === word || (!suites.some((one) => one.name === word) && isMeant(name, word));
  }
  return suites
    .map((suite) => {
      const cases = suite.cases.filter(({ name }) => words.some((word) => matches(suite.name, name, word)));
      return { ...suite, cases };
    })
    .filter(({ cases }) => cases.length > 0);
}

async function main() {
  const { values } = parseArgs({
    options: {
      list: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      against: { type: 'string' },
      threshold: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '0.5' },
      reps: { type: 'string' },
      quiet: { type: 'string', default: '0' },
      build: { type: 'string', default: root },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const suites = choose(await allSuites(), values.only);
  if (values.list) {
    for (const { name, cases } of suites) {
      process.stdout.write(cases.map((micro) => `${name}: ${micro.name}\n`).join(''));
    }
    return;
  }
  if (values.build === root) requireFreshBuild();
  const options = {
    seconds: atLeast(0.01, 'seconds', values.seconds),
    repetitions: atLeast(1, 'reps', values.reps ?? (values.against === undefined ? '5' : '6')),
    quiet: atLeast(0, 'quiet', values.quiet),
    threshold: atLeast(0, 'threshold', values.threshold) / 100,
  };
  await run(suites, options, values);
}

/**
 * @param {readonly MicroSuite[]} suites
 * @param {import('./lib/runs/micro-run.js').MicroOptions & { threshold: number }} options
 * @param {{ against?: string | undefined, build: string, json?: string | undefined }} values
 */
async function run(suites, options, { against, build, json }) {
  const { seconds, repetitions, threshold } = options;
  /** @type {import('./lib/reports/micro-report.js').MicroReport} */
  const report = {
    date: new Date().toISOString(),
    machine: machineInfo(),
    options: { seconds, repetitions },
    suites: [],
  };
  const builds = [build];
  if (against !== undefined) {
    process.stderr.write(`building ${against}\n`);
    const { folder, commit } = buildRevision(against);
    builds.push(folder);
    report.against = { name: against, commit };
    report.options.threshold = threshold;
  }
  for (const suite of suites) {
    const results = await measureSuite(suite, builds, options, (text) => process.stderr.write(text));
    report.suites.push(suiteReport(suite, results, threshold));
  }
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (json !== undefined && json !== '-') writeFileSync(json, text);
  process.stdout.write(json === '-' ? text : formatMicroReport(report));
  const slower = report.suites
    .flatMap(({ rows }) => rows)
    .filter(({ change }) => change?.verdict === 'slower');
  if (slower.length > 0) process.exitCode = 1;
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
