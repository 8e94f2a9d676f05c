// @ts-check
import { changeOf } from './change.js';
import { fixed, markdownTable, percent, significant } from './markdown.js';
import { summarize } from './stats.js';

/**
 * What a run of micro.js found, as it is kept in a JSON file.
 *
 * @typedef {object} MicroReport
 * @property {string} date
 * @property {ReturnType<typeof import('./machine-info.js').machineInfo>} machine
 * @property {{ seconds: number, repetitions: number, threshold?: number }} options
 * @property {{ name: string, commit: string }} [against] the other revision
 * @property {SuiteReport[]} suites
 *
 * @typedef {object} SuiteReport
 * @property {string} name
 * @property {string} title
 * @property {MicroRow[]} rows
 * @property {MicroVerdict[]} verdicts
 *
 * @typedef {object} MicroRow
 * @property {string} name
 * @property {string} unit
 * @property {import('./stats.js').Summary} speed units a second
 * @property {number[]} samples by repetition
 * @property {import('./stats.js').Summary} [before] of the other revision
 * @property {import('./change.js').Change} [change]
 * @property {string} [error] why the other revision has no figure
 *
 * @typedef {import('../runs/micro-run.js').MicroTarget & { figure: number }} MicroVerdict
 */

/**
 * @param {import('../runs/micro-run.js').MicroSuite} suite
 * @param {Map<string, import('../runs/micro-run.js').MicroSamples>} results of this build, and of another one before it
 * @param {number} threshold
 * @returns {SuiteReport}
 */
export function suiteReport({ name, title, targets = [] }, results, threshold) {
  const rows = Array.from(results.values(), ({ micro, samples: [ours = [], theirs], errors }) => {
    const row = { name: micro.name, unit: micro.unit, speed: summarize(ours), samples: ours };
    if (theirs === undefined) return row;
    if (errors[1] !== undefined) return { ...row, error: errors[1] };
    return { ...row, before: summarize(theirs), change: changeOf(theirs, ours, threshold) };
  });
  /** @param {string} wanted */
  const speedOf = (wanted) => rows.find((row) => row.name === wanted)?.speed.median ?? Number.NaN;
  const verdicts = targets
    .filter(({ cases }) => cases.every((wanted) => results.has(wanted)))
    .map((target) => {
      const slowest = Math.min(...target.cases.map(speedOf));
      const scale = target.against === undefined ? (target.scale ?? 1) : speedOf(target.against);
      return { ...target, figure: slowest / scale };
    });
  return { name, title, rows, verdicts };
}

/** @param {MicroReport} report */
export function formatMicroReport({ date, machine, options, against, suites }) {
  const { cpu, cpus, os, node } = machine;
  const parts = [
    `# Micro-benchmarks, ${date.slice(0, 10)}`,
    `${cpus} × ${cpu}, ${os}, Node ${node}; ${options.repetitions} processes of ${options.seconds} s for each case.`,
  ];
  if (against !== undefined) {
    const limit = percent(options.threshold ?? 0);
    parts.push(
      `Compared with ${against.name} (${against.commit.slice(0, 10)}), in turns. A change counts when it is larger ` +
        `than ${limit} and larger than the noise.`,
    );
  }
  for (const suite of suites) parts.push(`## ${suite.name}: ${suite.title}`, formatRows(suite.rows));
  const verdicts = suites.flatMap((suite) => suite.verdicts);
  if (verdicts.length > 0) parts.push('## Targets', formatVerdicts(verdicts));
  return `${parts.join('\n\n')}\n`;
}

/** @param {readonly MicroRow[]} rows */
function formatRows(rows) {
  const isCompared = rows.some(({ change, error }) => change !== undefined || error !== undefined);
  if (!isCompared) {
    const lines = rows.map(({ name, unit, speed }) => [
      name,
      rate(speed.median, unit),
      percent(speed.spread),
    ]);
    return markdownTable(['', 'speed', 'spread'], lines);
  }
  const lines = rows.map(({ name, unit, speed, before, change }) => [
    name,
    before === undefined ? 'cannot run' : rate(before.median, unit),
    rate(speed.median, unit),
    ...(change === undefined
      ? ['', '', '', '']
      : [
          signed(change.ratio.median - 1),
          `${signed(change.ratio.min - 1)} to ${signed(change.ratio.max - 1)}`,
          percent(change.noise),
          change.verdict === 'slower' ? 'SLOWER' : change.verdict === 'same' ? '' : change.verdict,
        ]),
  ]);
  return markdownTable(['', 'before', 'now', 'change', 'spread', 'noise', ''], lines);
}

/** @param {readonly MicroVerdict[]} verdicts */
function formatVerdicts(verdicts) {
  const lines = verdicts.map(({ id, title, figure, must, aim }) => [
    `${id}: ${title}`,
    fixed(figure, 2),
    must === undefined ? '' : String(must),
    aim === undefined ? '' : String(aim),
    microOutcome({ figure, must, aim }),
  ]);
  return markdownTable(['', 'figure', 'must', 'aim', ''], lines);
}

/** @param {{ figure: number, must?: number | undefined, aim?: number | undefined }} verdict */
function microOutcome({ figure, must, aim }) {
  if (aim !== undefined && figure >= aim) return 'aim reached';
  if (must === undefined) return 'aim not reached';
  return figure >= must ? 'met' : 'MISSED';
}

/**
 * @param {number} perSecond
 * @param {string} unit
 */
function rate(perSecond, unit) {
  if (unit === 'B') return `${significant(perSecond / 1e9)} GB/s`;
  return `${significant(perSecond / 1e6)} million ${unit}/s`;
}

/** @param {number} share */
function signed(share) {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)} %`;
}
