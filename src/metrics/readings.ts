import type { ThreadMetrics } from './control-block.ts';
import { Counter, constantName, Level, type NamesOf } from './counter.ts';
import type { HistogramReading, HistogramStats } from './histogram.ts';
import type { Metric, Role, Unit } from './metric.ts';
import { monotonicTime } from './monotonic-time.ts';
import { THREAD_METRICS } from './table.ts';

type Table = typeof THREAD_METRICS;
export type MetricName = keyof Table;

type NamesFor<Thread extends Role> = {
  [Name in MetricName]: Thread extends Table[Name]['threads'][number] ? Name : never;
}[MetricName];

type StatOf<Row> = Row extends { readonly store: 'histogram' } ? HistogramStats : number;

/** The metrics that threads of a role have, as `stats()` shows them. */
export type StatsOf<Thread extends Role> = {
  readonly [Name in keyof Pick<Table, NamesFor<Thread>>]: StatOf<Table[Name]>;
};

/** What of a thread's metrics does not lie in its float64s. */
export type Elsewhere = Readonly<Record<NamesOf<Table, 'shared' | 'elsewhere'>, number>>;

/** A value of a metric, and whose it is. */
export interface MetricValue {
  /** `thread` is 'main', 'acceptor' or 'shard', which has its number in `shard`; of a ring, the numbers `from` and `to`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | HistogramReading;
}

/** A metric with its values, for exporters. */
export interface MetricReading {
  /** `messagesIn`; of a ring's, `ringWritten`. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit: Unit;
  readonly help: string;
  readonly values: readonly MetricValue[];
}

/** A row of the table, with the way to its value in a thread. */
interface ReadRow {
  readonly name: MetricName;
  readonly row: Metric<Role>;
  readonly read: (thread: ReadThread) => number | HistogramReading;
}

const ROWS: readonly ReadRow[] = (Object.entries(THREAD_METRICS) as [MetricName, Metric<Role>][]).map(
  ([name, row]) => ({ name, row, read: readerOf(name, row) }),
);

/** What reads a metric of a thread. Its place is looked up once, not for each thread and reading. */
function readerOf(name: MetricName, { store, of }: Metric): ReadRow['read'] {
  const places = { ...Counter, ...Level } as Readonly<Record<string, number>>;
  const place = places[constantName(name)]!;
  switch (store) {
    case 'counter':
    case 'level':
      return ({ metrics }) => metrics.counters[place]!;
    case 'clock':
      return ({ metrics }) => {
        const time = metrics.counters[place]!;
        return time === 0 ? 0 : Math.max(0, monotonicTime() - time);
      };
    case 'difference': {
      const [more, less] = of!.map((counter) => places[constantName(counter)]!);
      return ({ metrics }) => metrics.counters[more!]! - metrics.counters[less!]!;
    }
    case 'histogram':
      return ({ metrics }) => metrics.histograms[name as NamesOf<Table, 'histogram'>].read();
    case 'shared':
    case 'elsewhere':
      break;
  }
  return ({ elsewhere }) => elsewhere[name as keyof Elsewhere];
}

/** A thread whose metrics are read. */
export interface ReadThread {
  readonly role: Role;
  readonly labels: Readonly<Record<string, string>>;
  readonly metrics: ThreadMetrics;
  readonly elsewhere: Elsewhere;
}

function hasMetric({ role }: ReadThread, { threads }: Metric<Role>): boolean {
  return threads.includes(role);
}

/** All metrics of all these threads, in the order of the table. */
export function readThreads(threads: readonly ReadThread[]): MetricReading[] {
  return ROWS.map(({ name, row, read }) => {
    const values = threads
      .filter((thread) => hasMetric(thread, row))
      .map((thread) => ({ labels: thread.labels, value: read(thread) }));
    return { name, kind: row.kind, unit: row.unit, help: row.help, values };
  });
}

/** What `stats()` shows of one thread, or of several together. */
export function statsOf<Thread extends Role>(threads: readonly ReadThread[]): StatsOf<Thread> {
  const stats: Record<string, number | HistogramStats> = {};
  for (const { name, row, read } of ROWS) {
    const values = threads.filter((thread) => hasMetric(thread, row)).map(read);
    if (values.length === 0) continue;
    if (row.kind === 'histogram') {
      stats[name] = (values as HistogramReading[]).reduce((all, one) => all.plus(one)).stats();
    } else {
      const numbers = values as number[];
      stats[name] = row.total === 'max' ? Math.max(...numbers) : numbers.reduce((sum, one) => sum + one);
    }
  }
  return stats as unknown as StatsOf<Thread>;
}

/** For threads of which nothing lies elsewhere. */
export const NOTHING_ELSEWHERE: Elsewhere = {
  uncountedTopics: 0,
  state: 0,
  live: 0,
  waiting: 0,
  taken: 0,
  stalled: 0,
};
