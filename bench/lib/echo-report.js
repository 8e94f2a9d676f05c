// @ts-check
import { count, fixed, markdownTable, percent } from './markdown.js';

/**
 * What a run of the echo benchmark found, as it is kept in a JSON file.
 *
 * @typedef {object} EchoReport
 * @property {string} date
 * @property {ReturnType<typeof import('./machine-info.js').machineInfo>} machine
 * @property {Record<string, string>} versions of the servers that took part
 * @property {{ seconds: number, warmup: number, repetitions: number, isPinned: boolean }} options
 * @property {EchoRowReport[]} rows
 *
 * @typedef {object} EchoRowReport
 * @property {string} id
 * @property {string} title
 * @property {number} size
 * @property {number} inFlight
 * @property {number} connections
 * @property {string} subject the candidate that is millrace
 * @property {Record<string, CandidateReport>} candidates
 * @property {import('./verdict.js').Verdict[]} verdicts
 *
 * @typedef {object} CandidateReport
 * @property {Record<keyof Figures, import('./stats.js').Summary>} summary
 * @property {Figures[]} runs by repetition
 *
 * @typedef {import('./verdict.js').Figures} Figures
 */

/** From here on the client may be what limits the figure. */
export const CLIENT_LIMIT = 0.95;

/** From here on other programs have disturbed a run. */
export const STRANGER_LIMIT = 0.05;

const METRICS = { messagesPerSecond: 'messages/s', messagesPerServerSecond: 'messages per server CPU s' };

/** @param {EchoReport} report */
export function formatEchoReport(report) {
  const { date, machine, versions, options, rows } = report;
  const { cpu, cpus, memoryGiB, os, virtual, congestionControl, node } = machine;
  const parts = [
    `# Echo, ${date.slice(0, 10)}`,
    `${cpus} × ${cpu}, ${memoryGiB} GiB, ${os}, hypervisor ${virtual}, TCP ${congestionControl}, Node ${node}  `,
    `${[...new Set(Object.values(versions))].join(', ')}  `,
    `${options.repetitions} repetitions of ${options.seconds} s in turns, after ${options.warmup} s of warm-up; medians; ` +
      `server ${options.isPinned ? 'on processor 0, client on processor 1' : 'and client not pinned'}.`,
    ...rows.map(formatEchoRow),
  ];
  if (rows.some(({ verdicts }) => verdicts.length > 0)) parts.push('## Targets', formatTargets(rows));
  return `${parts.join('\n\n').replaceAll('  \n\n', '  \n')}\n`;
}

/** @param {EchoRowReport} row */
export function formatEchoRow(row) {
  const head = ['', 'messages/s', 'spread', 'server CPU', 'µs CPU/message', 'client CPU', 'others', ''];
  const lines = Object.entries(row.candidates).map(([name, { summary }]) => [
    name,
    count(summary.messagesPerSecond.median),
    percent(summary.messagesPerSecond.spread),
    percent(summary.serverShare.median),
    fixed(summary.serverMicroseconds.median, 2),
    percent(summary.clientShare.median),
    percent(summary.strangerShare.max),
    remarksOn(summary).join(', '),
  ]);
  const title = `## ${row.id}: ${row.title}, ${row.connections} connections`;
  return `${title}\n\n${markdownTable(head, lines)}`;
}

/** @param {Record<keyof Figures, import('./stats.js').Summary>} summary */
function remarksOn(summary) {
  const remarks = [];
  if (summary.clientShare.median >= CLIENT_LIMIT) remarks.push('client-bound');
  if (summary.strangerShare.max >= STRANGER_LIMIT) remarks.push('disturbed');
  return remarks;
}

/** @param {readonly EchoRowReport[]} rows */
function formatTargets(rows) {
  const head = ['', 'ratio', 'least', 'most', 'must', 'aim', '', 'by server CPU'];
  const lines = rows.flatMap((row) =>
    row.verdicts.map(({ peer, metric, ratio, cpuRatio, must, aim, isMet, isAimReached }) => [
      `${row.id} to ${peer}, ${METRICS[metric]}`,
      fixed(ratio.median, 2),
      fixed(ratio.min, 2),
      fixed(ratio.max, 2),
      must === undefined ? '' : fixed(must, 2),
      aim === undefined ? '' : fixed(aim, 2),
      isAimReached === true ? 'aim reached' : isMet === null ? 'aim not reached' : isMet ? 'met' : 'MISSED',
      fixed(cpuRatio.median, 2),
    ]),
  );
  return markdownTable(head, lines);
}
