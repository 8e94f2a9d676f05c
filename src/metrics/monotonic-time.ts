/**
 * A clock that all threads of the process share: `performance.now()` begins with its thread, the clock behind both when the
 * machine was started.
 */
const OFFSET = offset();

/** Ms, monotonic, the same in all threads of the process to a few microseconds. */
export function monotonicTime(): number {
  return performance.now() + OFFSET;
}

/** A moment of `monotonicTime` in 32 bits: microseconds, which begin anew after 71 minutes. */
export type TimeStamp = number;

/** Is no moment. */
export const NO_STAMP: TimeStamp = 0;

export function timeStamp(): TimeStamp {
  return (monotonicTime() * 1000) | 0;
}

/** Ms since a moment of the last 35 minutes. */
export function sinceStamp(stamp: TimeStamp): number {
  return ((timeStamp() - stamp) | 0) / 1000;
}

function offset(): number {
  let best = Number.POSITIVE_INFINITY;
  let found = 0;
  // The two clocks are read one after the other; of some tries that counts in which the least time lay between.
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const after = performance.now();
    if (after - before >= best) continue;
    best = after - before;
    found = seconds * 1000 + nanoseconds / 1e6 - (before + after) / 2;
  }
  return found;
}
