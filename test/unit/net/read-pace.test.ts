import { describe, expect, it } from 'vitest';
import { ReadPace } from '../../../src/net/read-pace.ts';

/** A pace, and the time that its clock shows. */
function paced(): { pace: ReadPace; clock: { time: number; looks: number } } {
  const clock = { time: 1000, looks: 0 };
  const pace = new ReadPace(() => {
    clock.looks++;
    return clock.time;
  });
  return { pace, clock };
}

/** Has messages handled that take `cost` ms each, until the pace says stop or there are `most`. */
function handle({ pace, clock }: ReturnType<typeof paced>, size: number, cost: number, most: number): number {
  pace.begin(size);
  let handled = 0;
  for (let left = pace.stride; handled < most; ) {
    clock.time += cost;
    handled++;
    if (--left > 0) continue;
    left = pace.lookAtRequests();
    if (left === 0) break;
  }
  return handled;
}

describe('ReadPace', () => {
  it('never looks at the clock for the 16 messages that a client has in flight', () => {
    const bench = paced();
    for (let read = 0; read < 1000; read++) expect(handle(bench, 16 * 26, 0.005, 16)).toBe(16);
    expect(bench.clock.looks).toBe(0);
  });

  it('looks at the clock once for dozens of messages, when they are fast', () => {
    const bench = paced();
    const total = 100_000;
    let handled = 0;
    while (handled < total) {
      handled += handle(bench, 256 * 1024, 0.0005, 37_000);
      bench.pace.endTurn(1);
    }
    expect(bench.clock.looks).toBeLessThan(handled / 50);
  });

  it('stops a socket after 2 ms, however many messages that are', () => {
    for (const cost of [0.0005, 0.01, 0.1, 1]) {
      const bench = paced();
      // Learns what they take.
      for (let turn = 0; turn < 50; turn++) handle(bench, 256 * 1024, cost, 37_000);
      const before = bench.clock.time;
      handle(bench, 256 * 1024, cost, 37_000);
      expect(bench.clock.time - before).toBeGreaterThanOrEqual(2);
      expect(bench.clock.time - before).toBeLessThan(2.3 + cost);
    }
  });

  it('shares 5 ms of a turn among those that wait, and gives each half of one at least', () => {
    const bench = paced();
    for (const [waiting, share] of [
      [0, 2],
      [1, 2],
      [5, 1],
      [16, 0.5],
      [1000, 0.5],
    ] as const) {
      bench.pace.endTurn(waiting);
      const before = bench.clock.time;
      handle(bench, 256 * 1024, 0.001, 1_000_000);
      const spent = bench.clock.time - before;
      expect(spent).toBeGreaterThanOrEqual(share - 0.001);
      expect(spent).toBeLessThan(share + 0.1);
    }
  });

  it('is soon back at long strides when messages are fast again, but not at once', () => {
    const bench = paced();
    handle(bench, 256 * 1024, 1, 1000);
    expect(bench.pace.stride).toBe(1);
    expect(handle(bench, 256 * 1024, 1, 1000)).toBeLessThan(4);
    for (let turn = 0; turn < 5; turn++) handle(bench, 256 * 1024, 0.0005, 1000);
    expect(bench.pace.stride).toBeGreaterThan(32);
  });

  it('stops nobody while nothing more can be held', () => {
    const bench = paced();
    bench.pace.mayStop = false;
    expect(handle(bench, 256 * 1024, 1, 1000)).toBe(1000);
  });

  it('takes the records of one TLS socket in one turn for one read, however small they are', () => {
    const { pace, clock } = paced();
    const socket = {};
    const read = (): number => {
      for (let records = 1; ; records++) {
        pace.begin(1);
        clock.time += 0.1;
        if (pace.noteRecord(socket, 1)) return records;
        if (records === 1000) return records;
      }
    };
    expect(read()).toBeLessThan(40);
    expect(pace.isWatching).toBe(true);
    // A new turn, a new share.
    pace.endTurn(1);
    expect(pace.isWatching).toBe(false);
    const records = read();
    expect(records).toBeGreaterThan(15);
    expect(records).toBeLessThan(40);
  });

  it('leaves TLS sockets that take turns alone', () => {
    const { pace, clock } = paced();
    const sockets = [{}, {}];
    for (let round = 0; round < 100; round++) {
      for (const socket of sockets) {
        pace.begin(100);
        clock.time += 1;
        expect(pace.noteRecord(socket, 100)).toBe(false);
      }
    }
  });
});
