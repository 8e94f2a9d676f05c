import type { Profiler } from 'node:inspector';

/** What a profile says at a glance. */
export interface ProfileSummary {
  /** Seconds that were recorded. */
  readonly seconds: number;
  readonly samples: number;
  /** Shares of the samples, 0 to 1. */
  readonly idle: number;
  readonly garbage: number;
  /** The functions that were at the top of the stack most often, with their share of the samples that are not idle. */
  readonly hottest: readonly HotFunction[];
}

export interface HotFunction {
  readonly name: string;
  /** Where it is, or '' for what is not JavaScript. */
  readonly place: string;
  readonly share: number;
}

const HOTTEST = 12;

/** Sums up a profile whose frames have readable names already. */
export function summarize({ nodes, startTime, endTime }: Profiler.Profile): ProfileSummary {
  const own = new Map<string, { name: string; place: string; hits: number }>();
  let samples = 0;
  let idle = 0;
  let garbage = 0;
  for (const { callFrame, hitCount = 0 } of nodes) {
    const { functionName: name, url, lineNumber } = callFrame;
    samples += hitCount;
    if (name === '(idle)') idle += hitCount;
    if (name === 'garbage collector.') garbage += hitCount;
    if (name === '(idle)' || name === '(root)' || hitCount === 0) continue;
    const place = url === '' ? '' : `${url}:${lineNumber}`;
    const known = own.get(`${name} ${place}`);
    if (known === undefined) own.set(`${name} ${place}`, { name, place, hits: hitCount });
    else known.hits += hitCount;
  }
  const busy = Math.max(1, samples - idle);
  const hottest = [...own.values()]
    .sort((a, b) => b.hits - a.hits)
    .slice(0, HOTTEST)
    .map(({ name, place, hits }) => ({ name, place, share: hits / busy }));
  const total = Math.max(1, samples);
  return {
    seconds: (endTime - startTime) / 1e6,
    samples,
    idle: idle / total,
    garbage: garbage / total,
    hottest,
  };
}
