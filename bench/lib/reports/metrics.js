// @ts-check

/**
 * What targets are about. `title` has the plural of what a program counts for `#`; a metric that is not by time does
 * not suffer when other programs run.
 */
export const METRICS = {
  messagesPerSecond: { title: '#/s', isLowerBetter: false, isByTime: true },
  messagesPerServerSecond: { title: '# per server CPU s', isLowerBetter: false, isByTime: true },
  latency99: { title: 'p99 of latency, ms', isLowerBetter: true, isByTime: true },
  lost: { title: '# lost', isLowerBetter: true, isByTime: false },
  bytesPerConnection: { title: 'bytes a connection', isLowerBetter: true, isByTime: false },
  startMilliseconds: { title: 'ms', isLowerBetter: true, isByTime: true },
};

/** @typedef {keyof typeof METRICS} Metric */

/** @param {Metric} metric */
export const isLowerBetter = (metric) => METRICS[metric].isLowerBetter;

/** @param {string} unit */
export const plural = (unit) => (unit.endsWith('y') ? `${unit.slice(0, -1)}ies` : `${unit}s`);

/**
 * What a figure of a target is, in words: 'to ws, messages/s'.
 *
 * @param {{ peer?: string, metric: Metric }} target
 * @param {string} unit
 */
export function metricName({ peer, metric }, unit) {
  const title = METRICS[metric].title.replace('#', plural(unit));
  return peer === undefined ? title : `to ${peer}, ${title}`;
}

/**
 * A limit as it is shown: 'under 2' where less is better.
 *
 * @param {Metric} metric
 * @param {number | undefined} limit
 */
export function bound(metric, limit) {
  if (limit === undefined) return '';
  const text = Number.isInteger(limit) ? limit.toLocaleString('en-US') : limit.toFixed(2);
  if (limit === 0) return text;
  return `${isLowerBetter(metric) ? 'under ' : ''}${text}`;
}
