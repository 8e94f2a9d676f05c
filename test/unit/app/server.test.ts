import { describe, expect, it } from 'vitest';
import { drainTerms } from '../../../src/app/server.ts';

describe('drainTerms', () => {
  it('fills in the defaults, and keeps grace within half of drain', () => {
    expect(drainTerms('close', {})).toEqual({ code: 1001, deadline: 10_000, grace: 1000 });
    expect(drainTerms('close', { drain: 500 })).toEqual({ code: 1001, deadline: 500, grace: 250 });
    expect(drainTerms('close', { drain: 0 })).toEqual({ code: 1001, deadline: 0, grace: 0 });
  });

  it.each([null, 'SIGTERM', 5])('takes %j for "not given"', (given) => {
    expect(drainTerms('close', given as never)).toEqual(drainTerms('close', {}));
  });

  it('takes numbers as text, and null for what is not given', () => {
    expect(drainTerms('close', { drain: '500', grace: null } as never)).toMatchObject({ deadline: 500 });
  });

  it.each([
    [{ drian: 5 }, "close: 'drian' is no option; did you mean 'drain'?"],
    [{ drain: -1 }, "close: 'drain' must be a number from 0 to 3,600,000 (milliseconds); got -1"],
    [{ grace: 'x' }, "'grace' must be a number from 0 to 3,600,000 (milliseconds); got 'x' (a string)"],
  ])('refuses %j', (given, message) => {
    expect(() => drainTerms('close', given as never)).toThrow(message);
  });
});
