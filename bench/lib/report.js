// @ts-check
import { STRANGER_LIMIT } from './load-run.js';
import { count, fixed, markdownTable, percent, significant } from './markdown.js';

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

/** From here on the client may be what limits the figure. */
export const CLIENT_LIMIT = 0.95;

/** @param {Report} report */
export function formatReport({ title, unit, date, machine, versions, options, rows }) {
  const { cpu, cpus, memoryGiB, os, virtual, congestionControl, node } = machine;
  const parts = [
    `# ${title}, ${date.slice(0, 10)}`,
    `${cpus} × ${cpu}, ${memoryGiB} GiB, ${os}, hypervisor ${virtual}, TCP ${congestionControl}, Node ${node}  `,
    `${[...new Set(Object.values(versions))].join(', ')}  `,
    `${options.repetitions} repetitions of ${options.seconds} s in turns, after ${options.warmup} s of warm-up; medians; ` +
      `server ${options.isPinned ? 'on processor 0, client on processor 1' : 'and client not pinned'}.`,
    ...rows.map((row) => formatRow(row, unit)),
  ];
  if (rows.some(({ verdicts }) => verdicts.length > 0)) parts.push('## Targets', formatTargets(rows, unit));
  return `${parts.join('\n\n').replaceAll('  \n\n', '  \n')}\n`;
}

/** @param {string} unit */
const plural = (unit) => (unit.endsWith('y') ? `${unit.slice(0, -1)}ies` : `${unit}s`);

/**
 * @param {RowReport} row
 * @param {string} unit
 */
export function formatRow({ id, title, candidates }, unit) {
  const rows = Object.entries(candidates);
  const hasLatency = rows.some(([, { summary }]) => summary.latency99 !== undefined);
  const head = ['', `${plural(unit)}/s`, 'spread', 'server CPU', `µs CPU/${unit}`, 'client CPU', 'others'];
  if (hasLatency) head.push('p50 ms', 'p99 ms', 'most ms');
  head.push('');
  const lines = rows.map(([name, { summary }]) => [
    name,
    count(summary.messagesPerSecond.median),
    percent(summary.messagesPerSecond.spread),
    percent(summary.serverShare.median),
    significant(summary.serverMicroseconds.median),
    percent(summary.clientShare.median),
    percent(summary.strangerShare.max),
    ...(hasLatency ? latencies(summary) : []),
    remarksOn(summary).join(', '),
  ]);
  return `## ${id}: ${title}\n\n${markdownTable(head, lines)}`;
}

/** @param {Summaries} summary */
function latencies({ latency50, latency99, latencyMost }) {
  return [latency50, latency99, latencyMost].map((summary) => fixed(summary?.median ?? Number.NaN, 2));
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
      fixed(verdict.figure.median, 2),
      fixed(verdict.figure.min, 2),
      fixed(verdict.figure.max, 2),
      bound(verdict, verdict.must),
      bound(verdict, verdict.aim),
      outcome(verdict),
      verdict.cpuRatio === null ? '' : fixed(verdict.cpuRatio.median, 2),
    ]),
  );
  return markdownTable(head, lines);
}

/**
 * @param {Verdict} verdict
 * @param {string} unit
 */
function metricName({ peer, metric }, unit) {
  if (metric === 'latency99') return 'p99 of latency, ms';
  const isByCpu = metric === 'messagesPerServerSecond';
  return `to ${peer}, ${plural(unit)}${isByCpu ? ' per server CPU s' : '/s'}`;
}

/**
 * @param {Verdict} verdict
 * @param {number | undefined} limit
 */
function bound({ metric }, limit) {
  if (limit === undefined) return '';
  return `${metric === 'latency99' ? 'under ' : ''}${fixed(limit, 2)}`;
}

/** @param {Verdict} verdict */
function outcome({ isMet, isAimReached, isDisturbed }) {
  const remark = isDisturbed ? ' (disturbed)' : '';
  if (isAimReached === true) return `aim reached${remark}`;
  if (isMet === null) return `aim not reached${remark}`;
  return `${isMet ? 'met' : 'MISSED'}${remark}`;
}
