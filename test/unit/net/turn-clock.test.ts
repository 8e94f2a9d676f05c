import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { TurnClock } from '../../../src/net/turn-clock.ts';

/** What the clock shows in each of the next turns. */
async function readings(clock: TurnClock, turns: number): Promise<number[]> {
  const shown: number[] = [];
  for (let i = 0; i < turns; i++) {
    await turn();
    shown.push(clock.now);
  }
  return shown;
}

it('counts two turns from when it was asked, and then rests', async () => {
  const clock = new TurnClock();
  expect(await readings(clock, 2)).toEqual([0, 0]);
  clock.tick();
  expect(clock.now).toBe(0);
  expect(await readings(clock, 5)).toEqual([1, 2, 2, 2, 2]);
  clock.tick();
  expect(await readings(clock, 3)).toEqual([3, 4, 4]);
});

it('counts a turn once, however often it is asked, and goes on when it is asked meanwhile', async () => {
  const clock = new TurnClock();
  clock.tick();
  clock.tick();
  expect(await readings(clock, 1)).toEqual([1]);
  clock.tick();
  clock.tick();
  expect(await readings(clock, 4)).toEqual([2, 3, 3, 3]);
});
