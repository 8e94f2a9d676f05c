/** From the clock of this thread, which starts with it, to the one that all threads of the process share, in µs. */
const OFFSET = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;

/** @param now ms of this thread's `performance.now()`. Returns whole µs. */
export function sharedMicroseconds(now: number): number {
  return Math.floor(now * 1000 + OFFSET);
}
