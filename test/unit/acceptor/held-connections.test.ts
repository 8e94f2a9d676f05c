import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { HeldConnections, type UnreadClient } from '../../../src/acceptor/held-connections.ts';
import type { Opening } from '../../../src/acceptor/openings.ts';
import { timeStamp } from '../../../src/metrics/monotonic-time.ts';
import type { TcpHandle } from '../../../src/net/node-internals.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** What is held is only kept, and a connection with a request stops to be read. */
function openingOf() {
  const calls: string[] = [];
  const opening = { transport: { pause: () => calls.push('pause') } } as unknown as Opening;
  return { opening, calls };
}

const clientOf = (): TcpHandle => ({}) as TcpHandle;

const unreadOf = (client: TcpHandle, row = 0): UnreadClient => ({
  client,
  row,
  acceptedAt: timeStamp(),
  endpoint: -1,
});

it('gives back what it holds once, clients that were not read first, each kind oldest first', () => {
  const held = new HeldConnections();
  const [one, two] = [openingOf(), openingOf()];
  const [first, second] = [clientOf(), clientOf()];
  const late: number[] = [];
  held.hold(one.opening, 'request 1');
  held.holdUnread(unreadOf(first, 3), 10, () => late.push(1));
  held.hold(two.opening, 'request 2');
  held.holdUnread(unreadOf(second, 4), 10, () => late.push(2));
  expect([one.calls, two.calls]).toEqual([['pause'], ['pause']]);
  const given: unknown[] = [];
  const release = (): void => {
    held.release(
      (opening, request) => given.push(opening, request),
      ({ client, row }) => given.push(client, row),
    );
  };
  release();
  const expected = [first, 3, second, 4, one.opening, 'request 1', two.opening, 'request 2'];
  expect(given).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(given[i]).toBe(value);
  release();
  expect(given).toHaveLength(expected.length);
  vi.advanceTimersByTime(60_000);
  expect(late).toEqual([]);
});

it('tells when a client has waited too long, and holds it no more', () => {
  const held = new HeldConnections();
  let late = 0;
  held.holdUnread(unreadOf(clientOf()), 2, () => late++);
  vi.advanceTimersByTime(1999);
  expect(late).toBe(0);
  vi.advanceTimersByTime(1);
  expect(late).toBe(1);
  let given = 0;
  held.release(
    () => given++,
    () => given++,
  );
  expect(given).toBe(0);
});

it('drops a connection once, and gives what it had sent', () => {
  const held = new HeldConnections();
  const { opening } = openingOf();
  expect(held.drop(opening)).toBe('');
  held.hold(opening, 'request');
  expect([held.drop(opening), held.drop(opening)]).toEqual(['request', '']);
});

it('has room for 1024 of both kinds', () => {
  const held = new HeldConnections();
  const { opening } = openingOf();
  for (let i = 0; i < 1023; i++) held.holdUnread(unreadOf(clientOf()), 1, () => {});
  expect(held.hasRoom).toBe(true);
  held.hold(opening, '');
  expect(held.hasRoom).toBe(false);
  held.drop(opening);
  expect(held.hasRoom).toBe(true);
  held.holdUnread(unreadOf(clientOf()), 1, () => {});
  expect(held.hasRoom).toBe(false);
  vi.advanceTimersByTime(1000);
  expect(held.hasRoom).toBe(true);
});

it('has room for 16 MiB of requests', () => {
  const held = new HeldConnections();
  const [one, two] = [openingOf(), openingOf()];
  held.hold(one.opening, 'x'.repeat(16 * 1024 * 1024 - 1));
  expect(held.hasRoom).toBe(true);
  held.hold(two.opening, 'x');
  expect(held.hasRoom).toBe(false);
  held.drop(two.opening);
  expect(held.hasRoom).toBe(true);
});
