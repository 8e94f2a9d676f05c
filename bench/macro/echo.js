#!/usr/bin/env node
// @ts-check
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { canPin, readJsonLine, spawnPinned, stopChild } from '../lib/child-process.js';
import { CLIENT_LIMIT, formatEchoReport, STRANGER_LIMIT } from '../lib/echo-report.js';
import { ECHO_ROWS } from '../lib/echo-rows.js';
import { echoServers, startServer } from '../lib/echo-servers.js';
import { machineInfo } from '../lib/machine-info.js';
import { count, percent } from '../lib/markdown.js';
import { pairedRun } from '../lib/paired-run.js';
import { waitUntilQuiet } from '../lib/quiet.js';
import { figuresOf, judge, summarizeFigures } from '../lib/verdict.js';

/** @typedef {import('../lib/echo-rows.js').EchoRow} EchoRow */
/** @typedef {import('../lib/verdict.js').Figures} Figures */

const HELP = `Echo benchmark: millrace, ws and Bun in turns, one server thread each.

  node bench/macro/echo.js [options]

  --rows P1,P2          rows to run (default: all of ${ECHO_ROWS.map(({ id }) => id).join(', ')})
  --candidates ws,bun   servers to run beside millrace; of ws, ws-js (without bufferutil), bun, uws, message,
                        messageView (default: ws,bun, and uws where it is installed)
  --build FOLDER        another build of millrace (package.json and dist/) to measure instead of this one
  --baseline FOLDER     another build of millrace to run beside it
  --seconds 3           length of a measurement
  --warmup 1            seconds before it
  --reps 4              repetitions
  --quiet 30            seconds to wait, before each measurement, for other programs to leave the processors alone
  --retries 2           how often a measurement that they disturbed all the same is repeated
  --json FILE           keep the figures
  --markdown FILE       keep the tables
  --help

The tables go to stdout, progress to stderr. bench/README.md says how to read them.
`;

const DEFAULT_PEERS = ['ws', 'bun', 'uws'];
const SERVER_CPU = 0;
const CLIENT_CPU = 1;
const clientFile = fileURLToPath(new URL('../lib/echo-client.js', import.meta.url));

/** @param {string} text */
const progress = (text) => process.stderr.write(text);

function parseOptions() {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      candidates: { type: 'string' },
      build: { type: 'string' },
      baseline: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      warmup: { type: 'string', default: '1' },
      reps: { type: 'string', default: '4' },
      quiet: { type: 'string', default: '30' },
      retries: { type: 'string', default: '2' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const ids = values.rows?.split(',');
  const unknown = ids?.find((id) => !ECHO_ROWS.some((row) => row.id === id));
  if (unknown !== undefined) throw new Error(`there is no row ${unknown}`);
  return {
    ...values,
    rows: ECHO_ROWS.filter(({ id }) => ids?.includes(id) ?? true),
    candidates: values.candidates?.split(',').filter((name) => name !== ''),
    seconds: atLeast(0.1, 'seconds', values.seconds),
    warmup: atLeast(0, 'warmup', values.warmup),
    reps: atLeast(1, 'reps', values.reps),
    quiet: atLeast(0, 'quiet', values.quiet),
    retries: atLeast(0, 'retries', values.retries),
  };
}

/**
 * @param {number} least
 * @param {string} name
 * @param {string} text
 */
function atLeast(least, name, text) {
  const value = Number(text);
  if (!(value >= least)) throw new Error(`--${name} must be a number from ${least} on; got ${text}`);
  return value;
}

/** @typedef {ReturnType<typeof parseOptions>} Options */

/**
 * Starts a fresh server, loads it, ends it.
 *
 * @param {EchoRow} row
 * @param {import('../lib/echo-servers.js').ServerCommand} command
 * @param {Options} options
 */
async function measureOnce(row, command, { warmup, seconds, quiet }) {
  await waitUntilQuiet([SERVER_CPU, CLIENT_CPU], quiet);
  const server = await startServer(command, SERVER_CPU);
  const { connections, size, inFlight } = row;
  const { name, version, port, pid } = server;
  /** @type {import('../lib/echo-client.js').EchoOptions} */
  const work = {
    port,
    serverPid: pid,
    serverCpu: SERVER_CPU,
    clientCpu: CLIENT_CPU,
    connections,
    size,
    inFlight,
    warmup,
    seconds,
  };
  const client = spawnPinned(process.execPath, [clientFile, JSON.stringify(work)], { cpu: CLIENT_CPU });
  try {
    const line = await readJsonLine(client, 'the client', warmup + seconds + 30);
    const result = /** @type {import('../lib/echo-client.js').EchoResult & { error?: string }} */ (line);
    if (result.error !== undefined) throw new Error(`${row.id}, ${name}: ${result.error}`);
    if (result.messages === 0) throw new Error(`${row.id}, ${name}: no message came back`);
    return { figures: figuresOf(result), label: `${name} ${version}` };
  } finally {
    await stopChild(client);
    await server.stop();
  }
}

/**
 * Repeats a run that other programs disturbed, and keeps the one that was disturbed least.
 *
 * @param {EchoRow} row
 * @param {import('../lib/echo-servers.js').ServerCommand} command
 * @param {Options} options
 */
async function measure(row, command, options) {
  let best = await measureOnce(row, command, options);
  for (let i = 0; i < options.retries && best.figures.strangerShare >= STRANGER_LIMIT; i++) {
    progress(`(others ${percent(best.figures.strangerShare)}, again) `);
    const next = await measureOnce(row, command, options);
    if (next.figures.strangerShare < best.figures.strangerShare) best = next;
  }
  return best;
}

/**
 * The servers that a row is run with, millrace last.
 *
 * @param {EchoRow} row
 * @param {ReturnType<typeof echoServers>} servers
 * @param {Options} options
 */
function candidatesOf(row, servers, { candidates }) {
  const peers = candidates ?? DEFAULT_PEERS.filter((name) => servers.has(name));
  const missing = peers.find((name) => !servers.has(name));
  if (missing !== undefined) throw new Error(`there is no candidate ${missing}, or it is not installed`);
  const ours = [`baseline-${row.handler}`, row.handler].filter((name) => servers.has(name));
  return [...new Set([...peers, ...ours])];
}

/**
 * @param {EchoRow} row
 * @param {ReturnType<typeof echoServers>} servers
 * @param {Options} options
 * @param {Record<string, string>} versions gets the names of the servers that took part
 * @returns {Promise<import('../lib/echo-report.js').EchoRowReport>}
 */
async function runRow(row, servers, options, versions) {
  const results = await pairedRun(
    candidatesOf(row, servers, options),
    options.reps,
    async (name, repetition) => {
      progress(`${row.id} ${repetition + 1}/${options.reps} ${name} … `);
      const command = /** @type {import('../lib/echo-servers.js').ServerCommand} */ (servers.get(name));
      const { figures, label } = await measure(row, command, options);
      versions[name] = label;
      progress(`${describe(figures)}\n`);
      return figures;
    },
  );
  const ours = results[row.handler] ?? [];
  const { id, title, size, inFlight, connections } = row;
  return {
    id,
    title,
    size,
    inFlight,
    connections,
    subject: row.handler,
    candidates: Object.fromEntries(
      Object.entries(results).map(([name, runs]) => [name, { summary: summarizeFigures(runs), runs }]),
    ),
    verdicts: row.targets
      .filter(({ peer }) => results[peer] !== undefined)
      .map((target) => judge(target, ours, results[target.peer] ?? [])),
  };
}

/** @param {Figures} figures */
function describe({ messagesPerSecond, serverShare, clientShare }) {
  const limit = clientShare >= CLIENT_LIMIT ? ' (the client is the limit)' : '';
  return `${count(messagesPerSecond)}/s, server ${percent(serverShare)}, client ${percent(clientShare)}${limit}`;
}

async function main() {
  const options = parseOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  if (!canPin) progress('taskset is missing: server and client share the processors\n');
  const servers = echoServers(options);
  if (!servers.has('ws') || !servers.has('bun')) {
    progress('peers are missing; npm ci --prefix bench/peers --ignore-scripts\n');
  }
  const { seconds, warmup, reps } = options;
  /** @type {import('../lib/echo-report.js').EchoReport} */
  const report = {
    date: new Date().toISOString(),
    machine: machineInfo(),
    versions: {},
    options: { seconds, warmup, repetitions: reps, isPinned: canPin },
    rows: [],
  };
  for (const row of options.rows) report.rows.push(await runRow(row, servers, options, report.versions));
  const text = formatEchoReport(report);
  process.stdout.write(text);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.markdown !== undefined) writeFileSync(options.markdown, text);
}

main().catch((error) => {
  progress(`\n${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
