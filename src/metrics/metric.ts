/** A thread by what it does: those of a server, and an App that is none of `serve()`'s. */
export type Role = 'main' | 'acceptor' | 'shard' | 'app';

/** What a number counts: things, bytes, milliseconds, or a state by its number. */
export type Unit = 'count' | 'bytes' | 'ms' | 'state';

/**
 * Where a value lies, and who may write it:
 *
 * - `counter`, `level`, `histogram`: in float64s of its thread, with plain stores of one writer at a time;
 * - `clock`: likewise the time of an event, by `monotonicTime`; its value is what has passed since;
 * - `shared`: in an int32 that several threads write, by Atomics;
 * - `difference`: nowhere, it is one counter less another;
 * - `elsewhere`: in other memory, which the reader of the metrics knows.
 */
export type Storage = 'counter' | 'level' | 'clock' | 'histogram' | 'shared' | 'difference' | 'elsewhere';

/** A row of the table of metrics. */
export interface Metric<Thread extends string = string, Store extends Storage = Storage> {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit: Unit;
  readonly store: Store;
  /** Which threads have it: each has one of its own. */
  readonly threads: readonly Thread[];
  /** Which threads write it. */
  readonly writers: readonly string[];
  readonly help: string;
  /** What several threads have together. */
  readonly total: 'sum' | 'max';
  /** Of a difference: the counters it is made of. */
  readonly of: readonly [string, string] | null;
  /** Of a histogram: the smallest step, in the unit. */
  readonly resolution: number;
}

interface Options {
  /** Who writes it, when it is not the thread that has it. */
  readonly writers?: readonly string[];
  readonly total?: 'sum' | 'max';
}

function metric<Thread extends string, Store extends Storage>(
  kind: Metric['kind'],
  store: Store,
  unit: Unit,
  threads: readonly Thread[],
  help: string,
  { writers = threads, total = 'sum' }: Options,
): Metric<Thread, Store> {
  return { kind, unit, store, threads, writers, help, total, of: null, resolution: 1 };
}

/** Only ever added to. It goes on when its thread is started anew. */
export function counter<Thread extends string>(
  unit: Unit,
  threads: readonly Thread[],
  help: string,
  options: Options = {},
): Metric<Thread, 'counter'> {
  return metric('counter', 'counter', unit, threads, help, options);
}

/** Set by one thread; 0 while that thread is gone. */
export function level<Thread extends string>(
  unit: Unit,
  threads: readonly Thread[],
  help: string,
  options: Options = {},
): Metric<Thread, 'level'> {
  return metric('gauge', 'level', unit, threads, help, options);
}

/** Ms since something happened last; 0 while the thread is gone. */
export function clock<Thread extends string>(
  threads: readonly Thread[],
  help: string,
): Metric<Thread, 'clock'> {
  return metric('gauge', 'clock', 'ms', threads, help, { total: 'max' });
}

/** Written by several threads; 0 while the thread that has it is gone. */
export function shared<Thread extends string>(
  unit: Unit,
  threads: readonly Thread[],
  help: string,
  options: Options = {},
): Metric<Thread, 'shared'> {
  return metric('gauge', 'shared', unit, threads, help, options);
}

/** A counter less another, which is set to the same when the thread is gone. */
export function difference<Thread extends string>(
  of: readonly [string, string],
  threads: readonly Thread[],
  help: string,
): Metric<Thread, 'difference'> {
  return { ...metric('gauge', 'difference', 'count', threads, help, {}), of };
}

/** A gauge that the reader of the metrics brings along. */
export function elsewhere<Thread extends string>(
  unit: Unit,
  threads: readonly Thread[],
  help: string,
): Metric<Thread, 'elsewhere'> {
  return metric('gauge', 'elsewhere', unit, threads, help, {});
}

/** Observations in fixed buckets, see `Histogram`. It goes on when its thread is started anew. */
export function histogram<Thread extends string>(
  unit: Unit,
  resolution: number,
  threads: readonly Thread[],
  help: string,
): Metric<Thread, 'histogram'> {
  return { ...metric('histogram', 'histogram', unit, threads, help, {}), resolution };
}
