// @ts-check
import { summarize } from './stats.js';

/** @typedef {import('./load-window.js').WindowResult} WindowResult */
/** @typedef {import('./echo-rows.js').Target} Target */
/** @typedef {import('./stats.js').Summary} Summary */

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
 */

/**
 * @param {WindowResult} result
 * @returns {Figures}
 */
export function figuresOf(result) {
  const { messages, seconds, serverSeconds, clientSeconds, strangerShare } = result;
  return {
    messagesPerSecond: messages / seconds,
    messagesPerServerSecond: messages / serverSeconds,
    serverMicroseconds: (serverSeconds * 1e6) / messages,
    serverShare: serverSeconds / seconds,
    clientShare: clientSeconds / seconds,
    strangerShare,
  };
}

/**
 * The median, least and most of each figure.
 *
 * @param {readonly Figures[]} runs
 * @returns {Record<keyof Figures, Summary>}
 */
export function summarizeFigures(runs) {
  const names = /** @type {(keyof Figures)[]} */ (Object.keys(runs[0] ?? {}));
  const entries = names.map((name) => [name, summarize(runs.map((run) => run[name]))]);
  return /** @type {Record<keyof Figures, Summary>} */ (Object.fromEntries(entries));
}

/**
 * How a target was kept. A ratio is the median of the ratios of runs that were neighbours. `cpuRatio` is that of
 * the messages for each second of processor time of the server: it says how much faster the server is even where
 * the client was the limit.
 *
 * @typedef {Target & {
 *   ratio: Summary,
 *   cpuRatio: Summary,
 *   isMet: boolean | null,
 *   isAimReached: boolean | null,
 * }} Verdict
 */

/**
 * @param {Target} target
 * @param {readonly Figures[]} ours
 * @param {readonly Figures[]} theirs of the same repetitions
 * @returns {Verdict}
 */
export function judge(target, ours, theirs) {
  const { metric, must, aim } = target;
  /** @param {keyof Figures} name */
  const ratioOf = (name) => summarize(ours.map((run, i) => run[name] / (theirs[i]?.[name] ?? Number.NaN)));
  const ratio = ratioOf(metric);
  return {
    ...target,
    ratio,
    cpuRatio: ratioOf('messagesPerServerSecond'),
    isMet: must === undefined ? null : ratio.median >= must,
    isAimReached: aim === undefined ? null : ratio.median >= aim,
  };
}
