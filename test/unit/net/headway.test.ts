import { describe, expect, test } from 'vitest';
import { MIN_HEADWAY, WriteHeadway } from '../../../src/net/headway.ts';

const waiting = (taken: number) => ({ blocked: true, taken });

describe('the headway of a peer that is written to', () => {
  test('is all that waits, or 16 KiB of it: single bytes renew nothing', () => {
    const headway = new WriteHeadway();
    expect(headway.look(waiting(1000), 5)).toBe(0);
    for (let i = 1; i <= 100; i++) expect(headway.look(waiting(1000 + i), 5 + i)).toBe(i);
    expect(headway.look(waiting(1000 + MIN_HEADWAY - 1), 106)).toBe(101);
    expect(headway.look(waiting(1000 + MIN_HEADWAY), 107)).toBe(0);
    expect(headway.since).toBe(107);
    expect(headway.look(waiting(1000 + MIN_HEADWAY), 109)).toBe(2);
    expect(headway.look({ blocked: false, taken: 1001 + MIN_HEADWAY }, 110)).toBe(0);
    expect(headway.since).toBe(0);
    expect(headway.look(waiting(1001 + MIN_HEADWAY), 200)).toBe(0);
  });

  test('is counted also while more is queued than is taken', () => {
    const headway = new WriteHeadway();
    for (let second = 1; second < 50; second++)
      expect(headway.look(waiting(second * MIN_HEADWAY), second)).toBe(0);
  });
});
