// @ts-check
import { STRANGER_LIMIT } from '../runs/load-run.js';
import { isLowerBetter, METRICS } from './metrics.js';
import { summarize } from './stats.js';

/** @typedef {import('../clients/load-window.js').WindowResult} WindowResult */
/** @typedef {import('./stats.js').Summary} Summary */

/**
 * What must be reached in a row: a ratio to a peer, or a value of its own.
 *
 * @typedef {object} Target
 * @property {string} [peer] the candidate that a ratio is made with
 * @property {import('./metrics.js').Metric} metric
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
 * @property {number} [serverMemory] bytes (RSS)
 * @property {number} [latency50] in ms, of the middle message
 * @property {number} [latency99] in ms
 * @property {number} [latencyMost] in ms
 * @property {number} [lost] messages and connections that did not come back
 * @property {number} [bytesPerConnection] of memory of the server
 * @property {number} [startMilliseconds] until the first message came back
 *
 * The median, least and most of each.
 * @typedef {{ [name in keyof Figures]: Summary }} Summaries
 */

/**
 * What clients may say beside a WindowResult; each is a figure by the same name.
 *
 * @typedef {Partial<Pick<Figures, typeof EXTRAS[number]>>} ExtraResult
 */
const EXTRAS = /** @type {const} */ ([
  'serverMemory',
  'latency50',
  'latency99',
  'latencyMost',
  'lost',
  'bytesPerConnection',
  'startMilliseconds',
]);

/**
 * @param {WindowResult & ExtraResult} result
 * @returns {Figures}
 */
export function figuresOf(result) {
  const { messages, seconds, serverSeconds, clientSeconds, strangerShare } = result;
  const extras = EXTRAS.filter((name) => result[name] !== undefined).map((name) => [name, result[name]]);
  return {
    messagesPerSecond: messages / seconds,
    messagesPerServerSecond: messages / serverSeconds,
    serverMicroseconds: (serverSeconds * 1e6) / messages,
    serverShare: serverSeconds / seconds,
    clientShare: clientSeconds / seconds,
    strangerShare,
    ...Object.fromEntries(extras),
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

/** From here on the client may be what limits the figure, unless the server has none of its processor left either. */
export const CLIENT_LIMIT = 0.95;
const SERVER_LIMIT = 0.97;

/**
 * How a target was kept. A ratio is the median of the ratios of runs that were neighbours. `cpuRatio` is that of
 * the messages for each second of processor time of the server: it says how much faster the server is even where
 * the client was the limit.
 *
 * Repetitions that other programs disturbed are left out; where that leaves fewer than two, all are taken. `doubt` says why
 * the figure proves nothing: that, or a client that was the limit; '' when it does prove something.
 *
 * @typedef {Target & {
 *   figure: Summary,
 *   cpuRatio: Summary | null,
 *   isMet: boolean | null,
 *   isAimReached: boolean | null,
 *   doubt: string,
 * }} Verdict
 */

/** Of one pair alone nobody knows whether the order made the difference. */
const FEWEST_PAIRS = 2;

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
  const isUndisturbed = calm.length >= Math.min(FEWEST_PAIRS, pairs.length);
  const taken = isUndisturbed ? calm : pairs;
  /** @param {keyof Figures} name */
  const ratioOf = (name) =>
    summarize(taken.map(([run, other]) => (run[name] ?? Number.NaN) / (other?.[name] ?? Number.NaN)));
  const figure =
    peer === undefined ? summarize(taken.map(([run]) => run[metric] ?? Number.NaN)) : ratioOf(metric);
  // Not one message may be lost in any repetition.
  const value = metric === 'lost' ? figure.max : figure.median;
  /** @param {number} limit */
  const isKept = (limit) => (isLowerBetter(metric) ? value <= limit : value >= limit);
  const isMet = must === undefined ? null : isKept(must);
  const isAimReached = aim === undefined ? null : isKept(aim);
  const isGood = isMet ?? isAimReached ?? false;
  return {
    ...target,
    figure,
    cpuRatio: peer === undefined || !METRICS[metric].isByTime ? null : ratioOf('messagesPerServerSecond'),
    isMet,
    isAimReached,
    doubt: Number.isNaN(value) ? 'no figure' : doubtOf(target, taken, isUndisturbed, isGood),
  };
}

/**
 * @param {Target} target
 * @param {readonly (readonly [Figures, Figures | undefined])[]} pairs
 * @param {boolean} isUndisturbed
 * @param {boolean} isGood
 */
function doubtOf({ peer, metric }, pairs, isUndisturbed, isGood) {
  // Memory does not depend on who else uses the processors.
  if (!METRICS[metric].isByTime) return '';
  // A value of its own that is good in spite of it is good.
  if (!isUndisturbed && !(peer === undefined && isGood)) return 'the machine was disturbed';
  if (metric === 'messagesPerServerSecond') return '';
  /** @param {0 | 1} side @param {'clientShare' | 'serverShare'} name */
  const medianOf = (side, name) => summarize(pairs.map((pair) => pair[side]?.[name] ?? 0)).median;
  /** @param {0 | 1} side */
  const isClientBound = (side) =>
    medianOf(side, 'clientShare') >= CLIENT_LIMIT && medianOf(side, 'serverShare') < SERVER_LIMIT;
  // Ours could be better than the figure says, or theirs.
  const isDoubtful = isGood ? peer !== undefined && isClientBound(1) : isClientBound(0);
  return isDoubtful ? 'the client was the limit' : '';
}

/**
 * One word for a verdict: 'met' and 'missed' are of what must be reached, where there is such a thing.
 *
 * @param {Pick<Verdict, 'isMet' | 'isAimReached' | 'doubt'>} verdict
 */
export function outcomeOf({ isMet, isAimReached, doubt }) {
  if (doubt !== '') return `not judged: ${doubt}`;
  if (isAimReached === true) return 'met, aim reached';
  if (isMet === null) return 'aim not reached';
  return isMet ? 'met' : 'MISSED';
}
