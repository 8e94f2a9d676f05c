// @ts-check
import { STRANGER_LIMIT } from './load-run.js';
import { summarize } from './stats.js';

/** @typedef {import('./load-window.js').WindowResult} WindowResult */
/** @typedef {import('./stats.js').Summary} Summary */

/**
 * What must be reached in a row: a ratio to a peer, or milliseconds that a latency must stay under.
 *
 * @typedef {object} Target
 * @property {string} [peer] the candidate that a ratio is made with
 * @property {'messagesPerSecond' | 'messagesPerServerSecond' | 'latency99'} metric
 * @property {number} [must] what must be reached
 * @property {number} [aim] what is hoped for
 */

/**
 * One figure of a run in the terms of the report.
 *
 * @typedef {object} Figures
 * @property {number} messagesPerSecond
 * @property {number} messagesPerServerSecond messages for each second of processor time of the server
 * @property {number} serverMicroseconds processor time of the server for a message
 * @property {number} serverShare of one processor, 0 to 1 and above
 * @property {number} clientShare of one processor, 0 to 1
 * @property {number} strangerShare
 * @property {number} [latency50] in ms, of the middle message
 * @property {number} [latency99] in ms
 * @property {number} [latencyMost] in ms
 *
 * The median, least and most of each.
 * @typedef {{ [name in keyof Figures]: Summary }} Summaries
 */

/**
 * What a client that measures latency says too.
 *
 * @typedef {{ latency50: number, latency99: number, latencyMost: number }} LatencyResult in ms
 */

/**
 * @param {WindowResult & Partial<LatencyResult>} result
 * @returns {Figures}
 */
export function figuresOf(result) {
  const { messages, seconds, serverSeconds, clientSeconds, strangerShare } = result;
  const { latency50, latency99, latencyMost } = result;
  return {
    messagesPerSecond: messages / seconds,
    messagesPerServerSecond: messages / serverSeconds,
    serverMicroseconds: (serverSeconds * 1e6) / messages,
    serverShare: serverSeconds / seconds,
    clientShare: clientSeconds / seconds,
    strangerShare,
    ...(latency50 === undefined ? {} : { latency50 }),
    ...(latency99 === undefined ? {} : { latency99 }),
    ...(latencyMost === undefined ? {} : { latencyMost }),
  };
}

/**
 * @param {readonly Figures[]} runs
 * @returns {Summaries}
 */
export function summarizeFigures(runs) {
  const names = /** @type {(keyof Figures)[]} */ (Object.keys(runs[0] ?? {}));
  const entries = names.map((name) => [name, summarize(runs.map((run) => run[name] ?? Number.NaN))]);
  return /** @type {Summaries} */ (Object.fromEntries(entries));
}

/**
 * How a target was kept. A ratio is the median of the ratios of runs that were neighbours. `cpuRatio` is that of
 * the messages for each second of processor time of the server: it says how much faster the server is even where
 * the client was the limit.
 *
 * Repetitions that other programs disturbed are left out; where that leaves none, all are taken and the verdict is
 * worth little (`isDisturbed`).
 *
 * @typedef {Target & {
 *   figure: Summary,
 *   cpuRatio: Summary | null,
 *   isMet: boolean | null,
 *   isAimReached: boolean | null,
 *   isDisturbed: boolean,
 * }} Verdict
 */

/** @param {Figures | undefined} run */
const isCalm = (run) => run === undefined || run.strangerShare < STRANGER_LIMIT;

/**
 * @param {Target} target
 * @param {readonly Figures[]} ours
 * @param {readonly Figures[]} theirs of the same repetitions
 * @returns {Verdict}
 */
export function judge(target, ours, theirs) {
  const { peer, metric, must, aim } = target;
  const pairs = ours.map((run, i) => /** @type {const} */ ([run, theirs[i]]));
  const calm = pairs.filter((pair) => pair.every(isCalm));
  const taken = calm.length > 0 ? calm : pairs;
  /** @param {keyof Figures} name */
  const ratioOf = (name) =>
    summarize(taken.map(([run, other]) => (run[name] ?? Number.NaN) / (other?.[name] ?? Number.NaN)));
  const figure =
    peer === undefined ? summarize(taken.map(([run]) => run[metric] ?? Number.NaN)) : ratioOf(metric);
  /** @param {number} limit */
  const isKept = (limit) => (metric === 'latency99' ? figure.median < limit : figure.median >= limit);
  return {
    ...target,
    figure,
    cpuRatio: peer === undefined ? null : ratioOf('messagesPerServerSecond'),
    isMet: must === undefined ? null : isKept(must),
    isAimReached: aim === undefined ? null : isKept(aim),
    isDisturbed: calm.length === 0,
  };
}
