// @ts-check
import { STRANGER_LIMIT } from '../runs/load-run.js';
import { count, fixed, markdownTable, percent, significant } from './markdown.js';
import { bound, metricName, plural } from './metrics.js';
import { shown } from './report.js';
import { CLIENT_LIMIT, outcomeOf } from './verdict.js';

/** @typedef {import('./report.js').Report} Report */
/** @typedef {import('./micro-report.js').MicroReport} MicroReport */

/**
 * What came of a row.
 *
 * @typedef {{ row: import('../runs/compare-programs.js').CompareRow, report?: Report | MicroReport, error?: string }} Outcome
 */

/** Micro-benchmarks whose processes differ by more than this were disturbed. */
const MICRO_SPREAD = 0.25;
const MIB = 2 ** 20;

/**
 * @param {Report | MicroReport} report
 * @returns {report is MicroReport}
 */
const isMicro = (report) => 'suites' in report;

/**
 * The whole comparison as Markdown: where it was made, the targets, and the figures of all servers.
 *
 * @param {readonly Outcome[]} outcomes
 * @param {{ date: string, minutes: number, machine: ReturnType<typeof import('./machine-info.js').machineInfo> }} about
 */
export function formatComparison(outcomes, { date, minutes, machine }) {
  const { cpu, cpus, memoryGiB, os, virtual, congestionControl, node } = machine;
  const versions = outcomes.flatMap(({ report }) =>
    report === undefined || isMicro(report) ? [] : Object.values(report.versions),
  );
  return [
    `${date.slice(0, 10)}; ${cpus} × ${cpu}, ${memoryGiB} GiB, ${os}, hypervisor ${virtual}, TCP ${congestionControl}, ` +
      `Node ${node}; ${packagesOf(versions).join(', ')}. All of it in one run of ${Math.round(minutes)} minutes.`,
    markdownTable(
      ['', 'work', 'target', 'figure', 'least to most', 'must', 'aim', 'outcome', 'by server CPU'],
      outcomes.flatMap(targetLines),
      3,
    ),
    markdownTable(
      ['', 'server', 'result', 'spread', 'server CPU', 'µs CPU each', 'server MiB', 'client CPU', 'remarks'],
      outcomes.flatMap(figureLines),
      2,
    ),
    '',
  ].join('\n\n');
}

/**
 * Each package once: 'millrace 0.1.0', not each way it was used.
 *
 * @param {readonly string[]} labels
 */
function packagesOf(labels) {
  return [...new Set(labels.map((label) => label.replace(/^(\w[\w.]*),? .*?(\S+)$/, '$1 $2')))].sort();
}

/**
 * @param {Outcome} outcome
 * @returns {string[][]}
 */
function targetLines({ row, report, error }) {
  const { id, title } = row;
  if (report === undefined) return [[id, title, '', '', '', '', '', `not judged: ${error}`, '']];
  if (isMicro(report)) {
    return report.suites.flatMap(({ rows, verdicts }) =>
      verdicts.map((verdict) => {
        const spread = Math.max(...rows.map(({ speed }) => speed.spread));
        return [id, title, verdict.title, ...microCells(verdict, spread)];
      }),
    );
  }
  return report.rows.flatMap(({ verdicts }) =>
    verdicts.map((verdict) => [
      id,
      title,
      metricName(verdict, report.unit),
      shown(verdict.figure.median),
      `${shown(verdict.figure.min)} to ${shown(verdict.figure.max)}`,
      bound(verdict.metric, verdict.must),
      bound(verdict.metric, verdict.aim),
      outcomeOf(verdict),
      verdict.cpuRatio === null ? '' : fixed(verdict.cpuRatio.median, 2),
    ]),
  );
}

/**
 * @param {import('./micro-report.js').MicroVerdict} verdict
 * @param {number} spread
 */
function microCells({ figure, must, aim }, spread) {
  const isMet = must === undefined ? null : figure >= must;
  const isAimReached = aim === undefined ? null : figure >= aim;
  const isGood = isMet ?? isAimReached ?? false;
  const doubt = !isGood && spread > MICRO_SPREAD ? 'the machine was disturbed' : '';
  const outcome = outcomeOf({ isMet, isAimReached, doubt });
  return [
    shown(figure),
    '',
    must === undefined ? '' : shown(must),
    aim === undefined ? '' : shown(aim),
    outcome,
    '',
  ];
}

/**
 * @param {Outcome} outcome
 * @returns {string[][]}
 */
function figureLines({ row: { id }, report }) {
  if (report === undefined || isMicro(report)) return [];
  return report.rows.flatMap(({ candidates }) =>
    Object.entries(candidates).map(([name, { summary }]) => {
      const { startMilliseconds, bytesPerConnection, messagesPerSecond, latency99 } = summary;
      const isByTheSecond = startMilliseconds === undefined && bytesPerConnection === undefined;
      const result =
        startMilliseconds !== undefined
          ? `${count(startMilliseconds.median)} ms`
          : bytesPerConnection !== undefined
            ? `${count(bytesPerConnection.median)} bytes a connection`
            : `${count(messagesPerSecond.median)} ${plural(report.unit)}/s`;
      const latency = latency99 === undefined ? '' : `, p99 ${fixed(latency99.median, 2)} ms`;
      return [
        id,
        name,
        result + latency,
        percent((startMilliseconds ?? bytesPerConnection ?? messagesPerSecond).spread),
        isByTheSecond ? percent(summary.serverShare.median) : '',
        isByTheSecond ? significant(summary.serverMicroseconds.median) : '',
        summary.serverMemory === undefined ? '' : count(summary.serverMemory.median / MIB),
        isByTheSecond ? percent(summary.clientShare.median) : '',
        remarksOn(summary).join(', '),
      ];
    }),
  );
}

/** @param {import('./verdict.js').Summaries} summary */
function remarksOn({ clientShare, strangerShare }) {
  const remarks = [];
  if (clientShare.median >= CLIENT_LIMIT) remarks.push('client-bound');
  if (strangerShare.median >= STRANGER_LIMIT) remarks.push(`others ${percent(strangerShare.median)}`);
  return remarks;
}

const START = '<!-- bench:compare -->';
const END = '<!-- /bench:compare -->';

/**
 * A page with the comparison put between its marks.
 *
 * @param {string} page
 * @param {string} comparison
 */
export function includeComparison(page, comparison) {
  const start = page.indexOf(START);
  const end = page.indexOf(END);
  if (start < 0 || end < start) throw new Error(`the page has no ${START} … ${END}`);
  return `${page.slice(0, start + START.length)}\n\n${comparison.trim()}\n\n${page.slice(end)}`;
}
