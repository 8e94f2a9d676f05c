import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pacer } from '../../../src/load/pacer.ts';

describe('Pacer', () => {
  test.each([
    [1000, 1, 1],
    [1000, 250, 250],
    [400, 10, 4],
    [300, 1000, 300],
    [1, 999, 0],
    [1, 1000, 1],
  ])('at %i a second: after %i ms %i are due', (rate, ms, count) => {
    expect(new Pacer(rate, 5000).due(5000 + ms)).toBe(count);
  });

  test('what is due does not depend on how often it is asked for', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), gaps, (rate, ms) => {
        const often = new Pacer(rate, 0);
        let now = 0;
        let total = 0;
        for (const gap of ms) total += often.due((now += gap));
        expect(total).toBe(new Pacer(rate, 0).due(now));
      }),
    );
  });

  test('a clock that goes back makes nothing due, and nothing twice', () => {
    const pacer = new Pacer(1000, 100);
    expect([pacer.due(110), pacer.due(105), pacer.due(110), pacer.due(112)]).toEqual([10, 0, 0, 2]);
  });
});
