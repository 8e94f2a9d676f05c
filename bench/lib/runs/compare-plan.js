// @ts-check

/**
 * A row that is to be measured.
 *
 * @typedef {object} PlannedRow
 * @property {number} candidates
 * @property {number | null} most repetitions that are enough; null: any number is welcome
 * @property {number} extra seconds that a measurement takes beside those it is told to
 *
 * @typedef {object} RowBudget
 * @property {number} reps
 * @property {number} quiet seconds to wait for other programs before each measurement
 * @property {number} retries
 * @property {number} limit seconds after which the row is given up
 */

/** Seconds of a measurement for starting and ending the two processes and for looking whether they are alone. */
const OVERHEAD = 1.5;
const MOST_QUIET = 10;
/** Repetitions without which a row is no comparison: A B, B A. */
const FEWEST = 2;

/**
 * Seconds that a row takes when nothing is in its way.
 *
 * @param {PlannedRow} row
 * @param {{ reps: number, seconds: number, warmup: number }} wanted
 */
export function plannedSeconds({ candidates, most, extra }, { reps, seconds, warmup }) {
  return candidates * Math.min(reps, most ?? reps) * (seconds + warmup + OVERHEAD + extra);
}

/**
 * What the next row may take, so that all that are left are done in time. Time that is left over goes into waiting for
 * other programs to end, and into second tries; where time is short there are fewer repetitions.
 *
 * @param {readonly PlannedRow[]} rows that are left, the next one first
 * @param {{ reps: number, seconds: number, warmup: number }} wanted
 * @param {number} secondsLeft
 * @returns {RowBudget}
 */
export function budgetOf(rows, wanted, secondsLeft) {
  const [next] = rows;
  if (next === undefined) throw new RangeError('no row is left');
  const planned = rows.reduce((total, row) => total + plannedSeconds(row, wanted), 0);
  const share = Math.max(0, secondsLeft) / planned;
  const reps = share >= 1 ? wanted.reps : Math.max(FEWEST, Math.floor(wanted.reps * share));
  const own = plannedSeconds(next, { ...wanted, reps });
  const spare = Math.max(0, secondsLeft - planned);
  const runs = rows.reduce(
    (total, { candidates, most }) => total + candidates * Math.min(reps, most ?? reps),
    0,
  );
  const quiet = Math.min(MOST_QUIET, Math.round((spare / runs) * 10) / 10);
  const retries = spare > 2 * own ? 1 : 0;
  return { reps, quiet, retries, limit: (1 + retries) * 2 * own + spare + 60 };
}
