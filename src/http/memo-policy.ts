/** Misses before something else is remembered: what comes every other time keeps its place. */
const FIRST_MISSES = 2;
/** So many misses later nothing seems to come back, and only one in `SELDOM` is remembered. */
const TRIES = 4;
const SELDOM = 16;

/** The number of misses that a memo starts with: the first is remembered. */
export const NOTHING_KEPT = FIRST_MISSES;

/**
 * Whether a memo of one entry is to take in what it did not have. Remembering costs a copy, which must not be paid for
 * each of many that never come back.
 *
 * @param misses since the last time that it had what was asked for
 */
export function isWorthKeeping(misses: number): boolean {
  return misses >= FIRST_MISSES && (misses < FIRST_MISSES + TRIES || misses % SELDOM === 0);
}
