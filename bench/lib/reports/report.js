// @ts-check
import { STRANGER_LIMIT } from '../runs/load-run.js';
import { count, fixed, markdownTable, percent, significant } from './markdown.js';
import { bound, metricName, plural } from './metrics.js';
import { CLIENT_LIMIT, outcomeOf } from './verdict.js';

/**
 * What a run of a program in macro/ found, as it is kept in a JSON file.
 *
 * @typedef {object} Report
 * @property {string} title
 * @property {string} unit what is counted: 'message', 'delivery'
 * @property {string} date
 * @property {ReturnType<typeof import('./machine-info.js').machineInfo>} machine
 * @property {Record<string, string>} versions of the servers that took part
 * @property {{ seconds: number, warmup: number, repetitions: number, isPinned: boolean }} options
 * @property {RowReport[]} rows
 *
 * @typedef {object} RowReport
 * @property {string} id
 * @property {string} title
 * @property {Readonly<Record<string, unknown>>} work of the load client
 * @property {string} subject the candidate that is millrace
 * @property {Record<string, CandidateReport>} candidates
 * @property {Verdict[]} verdicts
 *
 * @typedef {object} CandidateReport
 * @property {Summaries} summary
 * @property {Figures[]} runs by repetition
 *
 * @typedef {import('./verdict.js').Figures} Figures
 * @typedef {import('./verdict.js').Summaries} Summaries
 * @typedef {import('./verdict.js').Verdict} Verdict
 */

/** @param {Report} report */
export function formatReport({ title, unit, date, machine, versions, options, rows }) {
  const { cpu, cpus, memoryGiB, os, virtual, congestionControl, node } = machine;
  const parts = [
    `# ${title}, ${date.slice(0, 10)}`,
    `${cpus} × ${cpu}, ${memoryGiB} GiB, ${os}, hypervisor ${virtual}, TCP ${congestionControl}, Node ${node}  `,
    `${[...new Set(Object.values(versions))].join(', ')}  `,
    `${options.repetitions} repetitions of ${options.seconds} s in turns, after ${options.warmup} s of warm-up; medians; ` +
      (options.isPinned
        ? 'server on processor 0 and client on processor 1, where a row does not say otherwise.'
        : 'server and client not pinned.'),
    ...rows.map((row) => formatRow(row, unit)),
  ];
  if (rows.some(({ verdicts }) => verdicts.length > 0)) parts.push('## Targets', formatTargets(rows, unit));
  return `${parts.join('\n\n').replaceAll('  \n\n', '  \n')}\n`;
}

/**
 * A column of a row's table: its title, and what it says of a candidate, undefined where it has no such figure.
 *
 * @typedef {object} Column
 * @property {string} title with the plural of what is counted for `#`, and the singular for `@`
 * @property {(summary: Summaries) => string | undefined} cell
 */

/**
 * @param {import('./stats.js').Summary | undefined} summary
 * @param {(median: number) => string} format
 */
const medianOf = (summary, format) => (summary === undefined ? undefined : format(summary.median));
const MIB = 2 ** 20;

/** @type {readonly Column[]} */
const COLUMNS = [
  { title: 'ms', cell: ({ startMilliseconds }) => medianOf(startMilliseconds, count) },
  { title: 'bytes a connection', cell: ({ bytesPerConnection }) => medianOf(bytesPerConnection, count) },
  { title: '#/s', cell: ({ messagesPerSecond }) => medianOf(messagesPerSecond, count) },
  {
    title: 'spread',
    cell: ({ startMilliseconds, bytesPerConnection, messagesPerSecond }) =>
      percent((startMilliseconds ?? bytesPerConnection ?? messagesPerSecond).spread),
  },
  { title: 'server CPU', cell: ({ serverShare }) => medianOf(serverShare, percent) },
  {
    title: 'µs CPU/@',
    cell: ({ serverMicroseconds }) => medianOf(serverMicroseconds, significant),
  },
  { title: 'server MiB', cell: ({ serverMemory }) => medianOf(serverMemory, (bytes) => count(bytes / MIB)) },
  { title: 'client CPU', cell: ({ clientShare }) => medianOf(clientShare, percent) },
  { title: 'others', cell: ({ strangerShare }) => percent(strangerShare.max) },
  { title: 'p50 ms', cell: ({ latency50 }) => medianOf(latency50, (ms) => fixed(ms, 2)) },
  { title: 'p99 ms', cell: ({ latency99 }) => medianOf(latency99, (ms) => fixed(ms, 2)) },
  { title: 'most ms', cell: ({ latencyMost }) => medianOf(latencyMost, (ms) => fixed(ms, 2)) },
  { title: 'lost', cell: ({ lost }) => (lost === undefined ? undefined : count(lost.max)) },
];
/** What rows do not measure that have another figure. */
const BY_THE_SECOND = new Set(['#/s', 'µs CPU/@', 'server CPU', 'client CPU']);

/**
 * @param {RowReport} row
 * @param {string} unit
 */
export function formatRow({ id, title, candidates }, unit) {
  const rows = Object.entries(candidates);
  const isByTheSecond = rows.every(
    ([, { summary }]) => summary.startMilliseconds === undefined && summary.bytesPerConnection === undefined,
  );
  const columns = COLUMNS.filter(
    (column) =>
      (isByTheSecond || !BY_THE_SECOND.has(column.title)) &&
      rows.some(([, { summary }]) => column.cell(summary) !== undefined),
  );
  const head = columns.map((column) => column.title.replace('#', plural(unit)).replace('@', unit));
  const lines = rows.map(([name, { summary }]) => [
    name,
    ...columns.map((column) => column.cell(summary) ?? ''),
    remarksOn(summary).join(', '),
  ]);
  return `## ${id}: ${title}\n\n${markdownTable(['', ...head, ''], lines)}`;
}

/** @param {Summaries} summary */
function remarksOn(summary) {
  const remarks = [];
  if (summary.clientShare.median >= CLIENT_LIMIT) remarks.push('client-bound');
  if (summary.strangerShare.max >= STRANGER_LIMIT) remarks.push('disturbed');
  return remarks;
}

/**
 * @param {readonly RowReport[]} rows
 * @param {string} unit
 */
function formatTargets(rows, unit) {
  const head = ['', 'figure', 'least', 'most', 'must', 'aim', '', 'by server CPU'];
  const lines = rows.flatMap(({ id, verdicts }) =>
    verdicts.map((verdict) => [
      `${id} ${metricName(verdict, unit)}`,
      shown(verdict.figure.median),
      shown(verdict.figure.min),
      shown(verdict.figure.max),
      bound(verdict.metric, verdict.must),
      bound(verdict.metric, verdict.aim),
      outcomeOf(verdict),
      verdict.cpuRatio === null ? '' : fixed(verdict.cpuRatio.median, 2),
    ]),
  );
  return markdownTable(head, lines);
}

/** @param {number} figure */
export function shown(figure) {
  return figure >= 100 ? count(figure) : fixed(figure, 2);
}
