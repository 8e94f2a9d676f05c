/**
 * A clock that all threads of the process share: `performance.now()` begins with its thread, the clock behind both when the
 * machine was started.
 */
const OFFSET = offset();

/** Ms, monotonic, the same in all threads of the process to a few microseconds. */
export function monotonicTime(): number {
  return performance.now() + OFFSET;
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
