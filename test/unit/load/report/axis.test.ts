import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  exactAxis,
  linearAxis,
  logAxis,
  percentileAxis,
  roundStep,
} from '../../../../src/load/report/axis.ts';
import { sampled } from '../../../../src/load/report/charts.ts';

const size = fc.double({ min: 1e-3, max: 1e9, noNaN: true });
const label = String;

describe('axes', () => {
  it('hold all values, and have their ticks in order from 0 to 1', () => {
    fc.assert(
      fc.property(size, size, (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b) * 1.01];
        for (const axis of [
          linearAxis(from, to, label),
          exactAxis(from, to, label),
          logAxis(from, to, label),
        ]) {
          for (const value of [from, (from + to) / 2, to]) {
            expect(axis.place(value)).toBeGreaterThanOrEqual(-1e-6);
            expect(axis.place(value)).toBeLessThanOrEqual(1 + 1e-6);
          }
          expect(axis.place(to)).toBeGreaterThan(axis.place(from));
          const places = axis.ticks.map(({ at }) => at);
          expect(places).toEqual([...places].sort((x, y) => x - y));
          for (const at of places) expect(at).toBeGreaterThanOrEqual(-1e-6);
          for (const at of places) expect(at).toBeLessThanOrEqual(1 + 1e-6);
          expect(places.length).toBeLessThanOrEqual(14);
        }
      }),
    );
  });

  it('have round labels', () => {
    expect(linearAxis(0, 93, label).ticks.map((tick) => tick.label)).toEqual(['0', '50', '100']);
    expect(linearAxis(0, 0.3, label).ticks.map((tick) => tick.label)).toEqual(['0', '0.1', '0.2', '0.3']);
    expect(exactAxis(0, 10, label).ticks.map((tick) => tick.label)).toEqual(['0', '2', '4', '6', '8', '10']);
    const decades = ['0.01', '0.1', '1', '10', '100', '1000'];
    expect(logAxis(0.05, 180, label).ticks.map((tick) => tick.label)).toEqual(decades);
    expect([roundStep(3), roundStep(0.2), roundStep(700)]).toEqual([5, 0.2, 1000]);
  });

  it('of percentiles give each 9 the same room', () => {
    const axis = percentileAxis(99.9);
    expect(axis.ticks.map((tick) => tick.label)).toEqual(['0%', '90%', '99%', '99.9%']);
    for (const [i, { at }] of axis.ticks.entries()) expect(at).toBeCloseTo(i / 3, 6);
    expect(axis.place(100)).toBe(1);
  });
});

describe('sampled', () => {
  it('keeps the first and the last, and at most 200', () => {
    for (const length of [1, 2, 200, 201, 5000]) {
      const points = sampled(Array.from({ length }, (_, i) => i * 10));
      expect(points).toHaveLength(Math.min(length, 200));
      expect(points[0]).toEqual([1, 0]);
      expect(points.at(-1)).toEqual([length, (length - 1) * 10]);
    }
    expect(sampled([])).toEqual([]);
  });
});
