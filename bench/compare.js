#!/usr/bin/env node
// @ts-check
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatComparison, includeComparison } from './lib/reports/compare-report.js';
import { machineInfo } from './lib/reports/machine-info.js';
import { budgetOf } from './lib/runs/compare-plan.js';
import { allRows, measureRow, stopCurrent } from './lib/runs/compare-programs.js';
import { requireFreshBuild } from './lib/runs/fresh-build.js';
import { atLeast } from './lib/runs/macro-options.js';
import { root } from './lib/servers/server-process.js';

const HELP = `All rows of the targets in one run: millrace, ws, Bun and, where it is installed, uWebSockets.js.

  npm run bench:compare -- [options]

  --rows P1,P2       rows to run (default: all that exist)
  --minutes 14       what it may take: where time is short there are fewer repetitions, where there is time left it
                     waits for other programs to end and repeats measurements that they disturbed
  --seconds 1.2      length of a measurement
  --warmup 2         seconds before it, in which V8 and Bun compile
  --reps 4           repetitions
  --out FOLDER       where the figures go (default: bench/results)
  --docs FILE        the page that gets the tables (default: docs/benchmarks.md; '' for none)
  --help

The tables go to stdout, progress to stderr. The exit code is 1 when a row could not be measured; a target that is
missed does not change it. bench/README.md says how to read the tables.
`;

/** @typedef {import('./lib/reports/compare-report.js').Outcome} Outcome */

/** @param {string} text */
const progress = (text) => process.stderr.write(text);

async function main() {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      minutes: { type: 'string', default: '14' },
      seconds: { type: 'string', default: '1.2' },
      warmup: { type: 'string', default: '2' },
      reps: { type: 'string', default: '4' },
      out: { type: 'string', default: join(root, 'bench/results') },
      docs: { type: 'string', default: join(root, 'docs/benchmarks.md') },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  requireFreshBuild();
  const wanted = {
    seconds: atLeast(0.1, 'seconds', values.seconds),
    warmup: atLeast(0, 'warmup', values.warmup),
    reps: atLeast(1, 'reps', values.reps),
  };
  const deadline = performance.now() / 1000 + atLeast(0, 'minutes', values.minutes) * 60;
  const rows = choose(await allRows(progress), values.rows?.split(','));
  mkdirSync(values.out, { recursive: true });
  await compare(rows, wanted, deadline, values);
}

/**
 * @param {readonly import('./lib/runs/compare-programs.js').CompareRow[]} rows
 * @param {readonly string[] | undefined} ids
 */
function choose(rows, ids) {
  const unknown = ids?.find((id) => !rows.some((row) => row.id === id));
  if (unknown !== undefined)
    throw new Error(`there is no row ${unknown}; there are ${rows.map(({ id }) => id).join(', ')}`);
  return rows.filter(({ id }) => ids?.includes(id) ?? true);
}

/**
 * @param {readonly import('./lib/runs/compare-programs.js').CompareRow[]} rows
 * @param {{ seconds: number, warmup: number, reps: number }} wanted
 * @param {number} deadline in seconds of performance.now()
 * @param {{ out: string, docs: string }} where
 */
async function compare(rows, wanted, deadline, { out, docs }) {
  const start = performance.now();
  const about = { date: new Date().toISOString(), machine: machineInfo(), minutes: 0 };
  /** @type {Outcome[]} */
  const outcomes = [];
  for (const [i, row] of rows.entries()) {
    const budget = budgetOf(rows.slice(i), wanted, deadline - performance.now() / 1000);
    progress(`\n${row.id}: ${row.title} (${i + 1} of ${rows.length})\n`);
    outcomes.push(await outcomeOf(row, wanted, budget));
    about.minutes = (performance.now() - start) / 60_000;
    // After each row: a run that is broken off keeps what it has.
    save(outcomes, about, out);
  }
  const comparison = formatComparison(outcomes, about);
  if (docs !== '') writeFileSync(docs, includeComparison(readFileSync(docs, 'utf8'), comparison));
  process.stdout.write(comparison);
  if (outcomes.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

/**
 * @param {import('./lib/runs/compare-programs.js').CompareRow} row
 * @param {{ seconds: number, warmup: number }} wanted
 * @param {import('./lib/runs/compare-plan.js').RowBudget} budget
 * @returns {Promise<Outcome>}
 */
async function outcomeOf(row, wanted, budget) {
  try {
    return { row, report: await measureRow(row, wanted, budget) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    progress(`${row.id} could not be measured: ${message}\n`);
    return { row, error: message };
  }
}

/**
 * One JSON file for each program, with all its rows, and the tables.
 *
 * @param {readonly Outcome[]} outcomes
 * @param {Parameters<typeof formatComparison>[1]} about
 * @param {string} out
 */
function save(outcomes, about, out) {
  /** @type {Map<string, any>} */
  const programs = new Map();
  for (const { row, report } of outcomes) {
    if (report === undefined) continue;
    const before = programs.get(row.program);
    programs.set(row.program, before === undefined ? report : merged(before, report));
  }
  for (const [name, report] of programs) {
    writeFileSync(join(out, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  }
  writeFileSync(join(out, 'compare.md'), formatComparison(outcomes, about));
}

/** @param {any} before @param {any} report */
function merged(before, report) {
  if (before.suites !== undefined) return { ...before, suites: [...before.suites, ...report.suites] };
  return {
    ...before,
    versions: { ...before.versions, ...report.versions },
    rows: [...before.rows, ...report.rows],
  };
}

for (const [signal, number] of /** @type {const} */ ([
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
])) {
  process.on(signal, () => {
    void stopCurrent().then(() => process.exit(128 + number));
  });
}

main().catch((error) => {
  progress(`\n${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
