import { BUCKETS } from './histogram.ts';
import type { Metric, Storage } from './metric.ts';
import { THREAD_METRICS } from './table.ts';

/** `messagesIn` → `MESSAGES_IN`. */
export type ConstantName<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? '' : '_'}${Uppercase<First>}${ConstantName<Rest>}`
  : '';

/** The names of the rows of a table that are stored so. */
export type NamesOf<Table, Store extends Storage> = {
  [Name in keyof Table]: Table[Name] extends { readonly store: Store } ? Name : never;
}[keyof Table] &
  string;

export type Slots<Table, Store extends Storage, Slot extends number> = {
  readonly [Name in NamesOf<Table, Store> as ConstantName<Name>]: Slot;
};

/** Index of a counter among the float64s of its thread. */
export type Counter = number & { readonly counter: unique symbol };
/** The same of a level or a clock. */
export type Level = number & { readonly level: unique symbol };

/** Places of the rows stored so, `size` each, from `first` on, by the name of their constant. */
export function placeRows<
  Table extends Readonly<Record<string, Metric>>,
  Store extends Storage,
  Slot extends number,
>(table: Table, stores: readonly Store[], first = 0, size = 1): Slots<Table, Store, Slot> {
  const places: Record<string, number> = {};
  let place = first;
  for (const [name, { store }] of Object.entries(table)) {
    if (!(stores as readonly Storage[]).includes(store)) continue;
    places[constantName(name)] = place;
    place += size;
  }
  return places as Slots<Table, Store, Slot>;
}

export function constantName(name: string): string {
  return name.replace(/[A-Z]/g, '_$&').toUpperCase();
}

/** One behind the last of the places. */
function placesEnd(places: object, first = 0, size = 1): number {
  return first + Object.keys(places).length * size;
}

/**
 * The counters of a thread, as indices into its float64s in the control block. A counter has one writer at a time; readers
 * in other threads see it at most a moment late. Code that runs for each message takes the constants it needs into its own
 * module (`const { MESSAGES_IN } = Counter`), because V8 loads what is imported at each use.
 */
export const Counter = placeRows<typeof THREAD_METRICS, 'counter', Counter>(THREAD_METRICS, ['counter']);

const COUNTERS_END = placesEnd(Counter);

/** Gauges with one writer, and times of events, behind the counters. */
export const Level = placeRows<typeof THREAD_METRICS, 'level' | 'clock', Level>(
  THREAD_METRICS,
  ['level', 'clock'],
  COUNTERS_END,
);

const LEVELS_END = placesEnd(Level, COUNTERS_END);

/** Float64s of a histogram: the sum of what was observed, and the buckets. */
export const HISTOGRAM_SLOTS = BUCKETS + 1;

/** Where the histograms begin. */
export const HistogramStart = placeRows<typeof THREAD_METRICS, 'histogram', number>(
  THREAD_METRICS,
  ['histogram'],
  LEVELS_END,
  HISTOGRAM_SLOTS,
);

/** Float64s of a thread. */
export const THREAD_SLOTS = placesEnd(HistogramStart, LEVELS_END, HISTOGRAM_SLOTS);
