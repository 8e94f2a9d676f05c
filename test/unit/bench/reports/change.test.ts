import { describe, expect, test } from 'vitest';
import { changeOf } from '../../../../bench/lib/reports/change.js';

describe('the change between two revisions', () => {
  test('is none when it is smaller than the threshold', () => {
    expect(changeOf([100, 100, 100], [97, 97, 97], 0.05).verdict).toBe('same');
    expect(changeOf([100, 100, 100], [103, 103, 103], 0.05).verdict).toBe('same');
  });

  test('is told in both directions beyond the threshold', () => {
    expect(changeOf([100, 101, 99], [90, 91, 89], 0.05).verdict).toBe('slower');
    expect(changeOf([100, 101, 99], [110, 111, 109], 0.05).verdict).toBe('faster');
  });

  test('is none when the pairs differ from each other as much', () => {
    const change = changeOf([100, 100, 100, 100, 100], [80, 90, 93, 104, 120], 0.05);
    expect(change.ratio.median).toBeCloseTo(0.93);
    expect(change.noise).toBeCloseTo(0.22);
    expect(change.verdict).toBe('same');
  });

  test('is not hidden by one disturbed pair', () => {
    expect(changeOf([100, 100, 100, 100, 30], [80, 81, 80, 79, 80], 0.05).verdict).toBe('slower');
  });

  test('is made of pairs: a drift that hits both alike is none', () => {
    expect(changeOf([100, 80, 60, 40], [100, 80, 60, 40], 0.05)).toMatchObject({ noise: 0, verdict: 'same' });
  });
});
