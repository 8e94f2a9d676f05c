import type { BenchResult } from '../result.ts';
import { exactAxis, linearAxis, logAxis, percentileAxis } from './axis.ts';
import type { Chart, Point } from './chart.ts';
import { bytes, capitalized, count, countedBy, milliseconds, short, shortMilliseconds } from './format.ts';

/** Points of a line that is drawn for each connection, at most: a screen shows no more. */
const MOST_POINTS = 200;

/** The charts that a result has something for. */
export function chartsOf(result: BenchResult): Chart[] {
  const hasMessages = result.latency.totalCount > 0;
  return [
    ...(hasMessages ? [throughput(result), latencyOverTime(result), percentiles(result)] : []),
    ...(hasMessages && result.scenario !== 'connect' ? connections(result) : []),
    ...(result.scenario === 'idle' && result.history.length > 0 ? [open(result)] : []),
    ...(result.history.some(({ serverMemory }) => serverMemory !== undefined) ? [memory(result)] : []),
  ];
}

function throughput({ history, scenario, messages }: BenchResult): Chart {
  const noun = countedBy(scenario);
  const points = history.map(({ time, messages }): Point => [time, messages]);
  return {
    id: 'throughput',
    title: `${capitalized(noun)} a second`,
    about: `From ${count(messages.min)} to ${count(messages.max)}, ${count(messages.average)} on average.`,
    x: timeAxis(history),
    y: linearAxis(0, highest(points), short),
    series: [{ name: noun, points }],
    isFilled: true,
    describeX: seconds,
    describeY: count,
  };
}

function latencyOverTime({ history, latency }: BenchResult): Chart {
  const seen = history.filter(({ messages }) => messages > 0);
  const of = (name: 'p50' | 'p99' | 'max'): Point[] =>
    seen.map(({ time, latency }): Point => [time, latency[name]]);
  return {
    id: 'latency',
    title: 'Latency over time',
    about: `Half took at most ${milliseconds(latency.p50)}, 99 % at most ${milliseconds(latency.p99)}.`,
    x: timeAxis(history),
    y: latencyAxis([...of('p50'), ...of('max')]),
    series: [
      { name: '50 %', points: of('p50') },
      { name: '99 %', points: of('p99') },
      { name: 'longest', points: of('max') },
    ],
    isFilled: false,
    describeX: seconds,
    describeY: milliseconds,
  };
}

function percentiles({ curve, latency }: BenchResult): Chart {
  const last = curve.at(-1)?.[0] ?? 0;
  const points = curve.map(([percentile, ms]): Point => [percentile, ms]);
  return {
    id: 'percentiles',
    title: 'Latency by percentile',
    about: `99.9 % took at most ${milliseconds(latency.p99_9)}, the longest ${milliseconds(latency.max)}.`,
    x: percentileAxis(last),
    y: latencyAxis(points),
    series: [{ name: 'latency', points }],
    isFilled: true,
    describeX: (percentile) => `${Number(percentile.toPrecision(7))} %`,
    describeY: milliseconds,
  };
}

/** What the connections got, one beside the other: a fair server makes both lines flat. */
function connections({ perConnection }: BenchResult): Chart[] {
  const active = perConnection.filter(({ messages }) => messages > 0);
  const messages = sorted(perConnection.map(({ messages }) => messages));
  const latency = sorted(active.map(({ latency }) => latency));
  const [fewest, most] = endsOf(messages);
  const [shortest, longest] = endsOf(latency);
  const common = { isFilled: true, describeX: (n: number) => `No. ${count(n)}` };
  return [
    {
      ...common,
      id: 'connection-messages',
      title: 'Messages of each connection',
      about: `Sorted: from ${count(fewest)} to ${count(most)}.`,
      x: numberAxis(perConnection.length),
      y: linearAxis(0, Math.max(1, most), short),
      series: [{ name: 'messages', points: messages }],
      describeY: count,
    },
    {
      ...common,
      id: 'connection-latency',
      title: 'Mean latency of each connection',
      about: `Sorted: from ${milliseconds(shortest)} to ${milliseconds(longest)}.`,
      x: numberAxis(active.length),
      y: linearAxis(0, Math.max(0.001, longest), shortMilliseconds),
      series: [{ name: 'mean', points: latency }],
      describeY: milliseconds,
    },
  ];
}

function sorted(values: number[]): Point[] {
  return sampled(values.sort((a, b) => a - b));
}

/** Connections are numbered. */
function numberAxis(size: number): Chart['x'] {
  return exactAxis(1, Math.max(2, size), count);
}

function endsOf(points: readonly Point[]): [first: number, last: number] {
  return [points[0]?.[1] ?? 0, points.at(-1)?.[1] ?? 0];
}

function open({ history, held }: BenchResult): Chart {
  const points = history.map(({ time, open }): Point => [time, open]);
  return {
    id: 'open',
    title: 'Connections open',
    about: `${count(held.open)} at the end.`,
    x: timeAxis(history),
    y: linearAxis(0, highest(points), short),
    series: [{ name: 'connections', points }],
    isFilled: true,
    describeX: seconds,
    describeY: count,
  };
}

function memory({ history, server }: BenchResult): Chart {
  const points = history.map(({ time, serverMemory = 0 }): Point => [time, serverMemory]);
  return {
    id: 'memory',
    title: "The server's memory",
    about: server === undefined ? '' : `${bytes(server.perConnection)} for each connection.`,
    x: timeAxis(history),
    y: linearAxis(0, highest(points), bytes),
    series: [{ name: 'resident', points }],
    isFilled: true,
    describeX: seconds,
    describeY: bytes,
  };
}

function timeAxis(history: BenchResult['history']): Chart['x'] {
  return exactAxis(0, Math.max(1, history.at(-1)?.time ?? 1), (time) => `${time} s`);
}

/** Latencies of a run often differ by powers of ten. */
function latencyAxis(points: readonly Point[]): Chart['y'] {
  const values = points.map(([, ms]) => ms).filter((ms) => ms > 0);
  const low = Math.max(0.001, lowestOf(values));
  return logAxis(low, Math.max(low, highest(points)), shortMilliseconds);
}

function highest(points: readonly Point[]): number {
  return points.reduce((most, [, y]) => Math.max(most, y), 1e-3);
}

function lowestOf(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
}

function seconds(time: number): string {
  return `${time} s`;
}

/** Numbered values, thinned out evenly; the first and the last stay. */
export function sampled(values: readonly number[]): Point[] {
  const size = Math.min(values.length, MOST_POINTS);
  return Array.from({ length: size }, (_, i) => {
    const at = size === 1 ? 0 : Math.round((i * (values.length - 1)) / (size - 1));
    return [at + 1, values[at]!];
  });
}
