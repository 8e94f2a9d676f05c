// @ts-check
import { writeFileSync } from 'node:fs';
import { machineInfo } from '../reports/machine-info.js';
import { count, fixed, percent } from '../reports/markdown.js';
import { formatReport } from '../reports/report.js';
import { CLIENT_LIMIT, figuresOf, judge, summarizeFigures } from '../reports/verdict.js';
import { canPin } from '../servers/child-process.js';
import { measureLoad, progress } from './load-run.js';
import { MACRO_HELP, macroOptions } from './macro-options.js';
import { pairedRun } from './paired-run.js';

/**
 * A row of the table of targets: work that all candidates do, and what millrace must reach in it.
 *
 * @typedef {object} MacroRow
 * @property {string} id
 * @property {string} title
 * @property {string} subject the candidate that is millrace
 * @property {readonly string[]} peers that run beside it where they are installed
 * @property {Readonly<Record<string, unknown>>} work of the load client
 * @property {Readonly<Record<string, Readonly<Record<string, unknown>>>>} [workOf] what is different for one candidate
 * @property {import('./load-run.js').Place} [place] where server and client run
 * @property {number} [most] repetitions that are enough, for rows that take long and vary little
 * @property {number} [extra] seconds that a measurement takes beside those it is told to
 * @property {number} [warmup] seconds that it needs at least before a measurement
 * @property {readonly import('../reports/verdict.js').Target[]} targets
 *
 * A program in macro/.
 *
 * @typedef {object} MacroProgram
 * @property {string} title
 * @property {string} unit what is counted
 * @property {string} usage the start of its help
 * @property {string} client file of lib/ that is the load
 * @property {readonly MacroRow[]} rows
 * @property {(options: MacroOptions) => Map<string, ServerCommand>} servers the candidates that can run here
 * @property {typeof measureLoad} [measure] for loads that are not a server and a client
 *
 * @typedef {ReturnType<typeof macroOptions<MacroRow>>} MacroOptions
 * @typedef {import('../servers/server-process.js').ServerCommand} ServerCommand
 * @typedef {import('../reports/verdict.js').Figures} Figures
 */

/**
 * Runs a program in macro/, from its command line to its report.
 *
 * @param {MacroProgram} program
 */
export function runMacro(program) {
  main(program).catch((error) => {
    progress(`\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}

/** @param {MacroProgram} program */
async function main(program) {
  const options = macroOptions(program.rows);
  if (options.help) {
    process.stdout.write(program.usage + MACRO_HELP);
    return;
  }
  const servers = program.servers(options);
  if (options.list) {
    listRows(servers, options);
    return;
  }
  if (!canPin) progress('taskset is missing: server and client share the processors\n');
  const isMissing = (/** @type {string} */ name) =>
    options.rows.some(({ peers }) => peers.includes(name)) && !servers.has(name);
  if (isMissing('ws') || isMissing('bun')) {
    progress('peers are missing; npm ci --prefix bench/peers --ignore-scripts\n');
  }
  const { title, unit } = program;
  const { seconds, warmup, reps } = options;
  /** @type {import('../reports/report.js').Report} */
  const report = {
    title,
    unit,
    date: new Date().toISOString(),
    machine: machineInfo(),
    versions: {},
    options: { seconds, warmup, repetitions: reps, isPinned: canPin },
    rows: [],
  };
  for (const row of options.rows) {
    report.rows.push(await runRow(program, row, servers, options, report.versions));
    // After each row: a run that is broken off keeps what it has.
    save(report, options);
  }
  process.stdout.write(formatReport(report));
}

/**
 * Prints the rows for a program that runs several: see compare.js.
 *
 * @param {Map<string, ServerCommand>} servers
 * @param {MacroOptions} options
 */
function listRows(servers, options) {
  for (const row of options.rows) {
    const { id, title, most = null } = row;
    const candidates = candidatesOf(row, servers, options);
    const extra = (row.extra ?? 0) + warmupOf(row, options) - options.warmup;
    process.stdout.write(`${JSON.stringify({ id, title, candidates, most, extra })}\n`);
  }
}

/**
 * @param {MacroRow} row
 * @param {MacroOptions} options
 */
function warmupOf({ warmup = 0 }, options) {
  return Math.max(warmup, options.warmup);
}

/**
 * @param {import('../reports/report.js').Report} report
 * @param {MacroOptions} options
 */
function save(report, { json, markdown }) {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  if (markdown !== undefined) writeFileSync(markdown, formatReport(report));
}

/**
 * The servers that a row is run with, millrace last.
 *
 * @param {MacroRow} row
 * @param {Map<string, ServerCommand>} servers
 * @param {MacroOptions} options
 */
function candidatesOf({ subject, peers }, servers, { candidates }) {
  const chosen = candidates ?? peers.filter((name) => servers.has(name));
  const missing = chosen.find((name) => !servers.has(name));
  if (missing !== undefined) throw new Error(`there is no candidate ${missing}, or it is not installed`);
  const ours = [`baseline-${subject}`, subject].filter((name) => servers.has(name));
  return [...new Set([...chosen, ...ours])];
}

/**
 * @param {MacroProgram} program
 * @param {MacroRow} row
 * @param {Map<string, ServerCommand>} servers
 * @param {MacroOptions} options
 * @param {Record<string, string>} versions gets the names of the servers that took part
 * @returns {Promise<import('../reports/report.js').RowReport>}
 */
async function runRow({ client, measure = measureLoad }, row, servers, options, versions) {
  const { id, title, subject, work, workOf = {}, place, most = options.reps, targets } = row;
  const names = candidatesOf(row, servers, options);
  const repetitions = Math.min(options.reps, most);
  const results = await pairedRun(names, repetitions, async (name, repetition) => {
    progress(`${id} ${repetition + 1}/${repetitions} ${name} … `);
    const command = /** @type {ServerCommand} */ (servers.get(name));
    const ownWork = { ...work, ...workOf[name.replace('baseline-', '')] };
    const load = { row: id, command, client, work: ownWork, ...(place === undefined ? {} : { place }) };
    const { result, label } = await measure(load, { ...options, warmup: warmupOf(row, options) });
    const figures = figuresOf(result);
    versions[name] = label;
    progress(`${describe(figures)}\n`);
    return figures;
  });
  const ours = results[subject] ?? [];
  return {
    id,
    title,
    work,
    subject,
    candidates: Object.fromEntries(
      Object.entries(results).map(([name, runs]) => [name, { summary: summarizeFigures(runs), runs }]),
    ),
    verdicts: targets
      .filter(({ peer }) => ours.length > 0 && (peer === undefined || results[peer] !== undefined))
      .map((target) => judge(target, ours, results[target.peer ?? ''] ?? [])),
  };
}

/** @param {Figures} figures */
function describe({ messagesPerSecond, serverShare, clientShare, latency99, ...others }) {
  const { bytesPerConnection, startMilliseconds } = others;
  if (startMilliseconds !== undefined) return `${count(startMilliseconds)} ms`;
  if (bytesPerConnection !== undefined) return `${count(bytesPerConnection)} bytes a connection`;
  const latency = latency99 === undefined ? '' : `, p99 ${fixed(latency99, 2)} ms`;
  const limit = clientShare >= CLIENT_LIMIT ? ' (the client is the limit)' : '';
  return `${count(messagesPerSecond)}/s, server ${percent(serverShare)}, client ${percent(clientShare)}${latency}${limit}`;
}
