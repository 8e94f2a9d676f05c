// @ts-check
import { median, summarize } from './stats.js';

/**
 * How the speed of a case differs between two revisions.
 *
 * @typedef {object} Change
 * @property {import('./stats.js').Summary} ratio of the speeds measured one after the other, new to old
 * @property {number} noise how far the ratios lie from their median, as a share
 * @property {'faster' | 'slower' | 'same'} verdict
 */

/**
 * A change is one only when it is larger than the threshold and larger than the noise: twice the median distance of
 * the ratios from their median, which no single disturbed pair can move.
 *
 * @param {readonly number[]} before speeds of the old revision, by repetition
 * @param {readonly number[]} after speeds of the new one
 * @param {number} threshold share from which on a change matters
 * @returns {Change}
 */
export function changeOf(before, after, threshold) {
  const ratios = after.map((speed, i) => speed / (before[i] ?? Number.NaN));
  const ratio = summarize(ratios);
  const noise = 2 * median(ratios.map((one) => Math.abs(one - ratio.median)));
  const limit = Math.max(threshold, noise);
  const change = ratio.median - 1;
  const verdict = change < -limit ? 'slower' : change > limit ? 'faster' : 'same';
  return { ratio, noise, verdict };
}
