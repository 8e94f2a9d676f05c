/** A place on an axis that is labelled. `at` is 0 at its start and 1 at its end. */
export interface Tick {
  readonly at: number;
  readonly label: string;
}

/** Axis: where a value lies, from 0 to 1, and which places are labelled. */
export interface Axis {
  readonly ticks: readonly Tick[];
  place(value: number): number;
}

/** From `from` to `to` or a bit beyond, with a handful of round steps. */
export function linearAxis(from: number, to: number, label: (value: number) => string): Axis {
  const step = roundStep(Math.max(to - from, Number.EPSILON) / 4);
  const start = Math.floor(from / step) * step;
  const steps = Math.max(1, Math.ceil((to - start) / step - 1e-9));
  const length = steps * step;
  const place = (value: number): number => (value - start) / length;
  const ticks = Array.from({ length: steps + 1 }, (_, i) => {
    const value = start + i * step;
    return { at: i / steps, label: label(Number(value.toPrecision(12))) };
  });
  return { ticks, place };
}

/** From `from` to `to` exactly, with round steps where they lie. */
export function exactAxis(from: number, to: number, label: (value: number) => string): Axis {
  const length = Math.max(to - from, Number.EPSILON);
  const place = (value: number): number => (value - from) / length;
  const step = roundStep(length / 5);
  const ticks: Tick[] = [];
  for (let value = Math.ceil(from / step) * step; value <= to + 1e-9; value += step) {
    ticks.push({ at: place(value), label: label(Number(value.toPrecision(12))) });
  }
  return { ticks, place };
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
export function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Powers of ten from below `from` to above `to`; for values that are spread over several of them. */
export function logAxis(from: number, to: number, label: (value: number) => string): Axis {
  const first = Math.floor(Math.log10(from) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(to) - 1e-9));
  const place = (value: number): number =>
    Math.min(1, Math.max(0, (Math.log10(Math.max(value, from / 10)) - first) / (last - first)));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => ({
    at: i / (last - first),
    label: label(10 ** (first + i)),
  }));
  return { ticks, place };
}

/** Percentiles from 0 to `last`, so that each 9 takes the same room: 90, 99, 99.9. */
export function percentileAxis(last: number): Axis {
  const length = Math.max(1, distance(last));
  const place = (percentile: number): number => Math.min(1, distance(percentile) / length);
  const labelled = [0, 90, 99, 99.9, 99.99, 99.999, 99.9999, 99.99999];
  const ticks: Tick[] = [];
  for (const percentile of labelled.filter((percentile) => distance(percentile) <= length + 1e-9)) {
    const at = place(percentile);
    // Labels need room.
    if (at === 0 || at - (ticks.at(-1)?.at ?? 0) >= LEAST_GAP) ticks.push({ at, label: `${percentile}%` });
  }
  return { ticks, place };
}

/** Between two labels of percentiles. */
const LEAST_GAP = 0.19;

/** How many nines a percentile has. */
function distance(percentile: number): number {
  return -Math.log10(Math.max(1 - percentile / 100, 1e-12));
}
