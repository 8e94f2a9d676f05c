import { describe, expect, test } from 'vitest';
import { budgetOf, plannedSeconds } from '../../../../bench/lib/runs/compare-plan.js';

const wanted = { reps: 4, seconds: 1, warmup: 0.5 };
const row = { candidates: 3, most: null, extra: 0 };
const long = { candidates: 2, most: 2, extra: 6 };

describe('the time of a comparison', () => {
  test('is that of all measurements, with the repetitions that are enough', () => {
    expect(plannedSeconds(row, wanted)).toBe(3 * 4 * 3);
    expect(plannedSeconds(long, wanted)).toBe(2 * 2 * 9);
  });

  test('goes into the repetitions wanted where there is enough', () => {
    expect(budgetOf([row, long], wanted, 80)).toMatchObject({ reps: 4, retries: 0 });
  });

  test('that is left over goes into waiting for other programs, and into second tries', () => {
    const { quiet, retries } = budgetOf([row, long], wanted, 72 + 160);
    expect(quiet).toBe(10);
    expect(retries).toBe(1);
  });

  test('that is short leaves fewer repetitions, but never less than a comparison needs', () => {
    expect(budgetOf([row, row], wanted, 54)).toMatchObject({ reps: 3, quiet: 0, retries: 0 });
    expect(budgetOf([row], wanted, -5)).toMatchObject({ reps: 2, quiet: 0, retries: 0 });
  });

  test('is kept when every measurement waits as long as it may', () => {
    for (const seconds of [80, 100, 140]) {
      const { quiet, reps } = budgetOf([row, long], wanted, seconds);
      const worst =
        plannedSeconds(row, { ...wanted, reps }) + plannedSeconds(long, wanted) + quiet * (12 + 4);
      expect(worst).toBeLessThanOrEqual(seconds + 1);
    }
  });
});
