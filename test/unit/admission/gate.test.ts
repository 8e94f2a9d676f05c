import { afterEach, beforeEach, expect, it } from 'vitest';
import { AddressLimit, OVER_LIMIT } from '../../../src/admission/address-limit.ts';
import { AddressTable, NO_ADDRESS } from '../../../src/admission/address-table.ts';
import { type Admitting, Gate } from '../../../src/admission/gate.ts';
import { type AddressKey, parseAddress } from '../../../src/admission/peer-address.ts';
import { REFUSING, REFUSING_PER_ADDRESS, type Refusal } from '../../../src/admission/refusing.ts';
import { ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import type { TcpHandle } from '../../../src/net/node-internals.ts';
import { AcceptedHandles, readToEnd } from '../../support/servers/accepted-handles.ts';

let sockets: AcceptedHandles;
beforeEach(async () => {
  sockets = await AcceptedHandles.start();
});
afterEach(() => {
  sockets.close();
});

/** Has so many places, for those that are not refused. */
class Places implements Admitting {
  readonly open: { client: TcpHandle; row: number; refusal: Refusal | null }[] = [];
  readonly discarded: number[] = [];
  admitted = 0;
  evictable = 0;
  isMute = false;
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  hasRoom(refusing: number): boolean {
    return this.open.length - refusing < this.#count;
  }

  makeRoom(): boolean {
    if (this.evictable === 0) return false;
    this.evictable--;
    this.open.shift()!.client.close();
    return true;
  }

  canTell(): boolean {
    return !this.isMute;
  }

  admit(client: TcpHandle, row: number, refusal: Refusal | null): void {
    this.admitted++;
    this.open.push({ client, row, refusal });
  }

  discard(row: number): void {
    this.discarded.push(row);
  }

  get statuses(): (number | null)[] {
    return this.open.map(({ refusal }) => refusal?.status ?? null);
  }

  close(): void {
    for (const { client } of this.open) client.close();
  }
}

function gateOf(places: Places, maxOfAddress = 0, isDirect = true) {
  const { counters } = ThreadMetrics.alone();
  const table = AddressTable.create(1, 100);
  const limit = maxOfAddress === 0 ? null : new AddressLimit(table, 0, maxOfAddress);
  const gate = new Gate(places, limit, counters, isDirect);
  const pass = async (from?: string): Promise<string | null> => {
    const { handle, client } = await sockets.accept(from);
    const before = places.admitted;
    gate.admit(handle, gate.enter(handle));
    return places.admitted === before ? await readToEnd(client) : null;
  };
  return { gate, table, pass, tooMany: () => counters[Counter.OVER_LIMIT]! };
}

const key = (address: string): AddressKey => parseAddress(address)!;

it('lets in as many as there is room for, tells 64 more, and cuts off the rest', async () => {
  const places = new Places(3);
  const { gate, pass, tooMany } = gateOf(places);
  for (let i = 0; i < 3 + REFUSING; i++) expect(await pass()).toBeNull();
  expect(places.statuses).toEqual([null, null, null, ...Array.from({ length: REFUSING }, () => 503)]);
  expect(await pass()).toBe('');
  expect(places.discarded).toEqual([NO_ADDRESS]);
  expect(tooMany()).toBe(REFUSING + 1);
  // One that was told is gone: the next one is told. One that was let in is gone: the next one is let in.
  const told = places.open.pop()!;
  told.client.close();
  gate.giveBack(told.refusal!);
  expect(await pass()).toBeNull();
  expect(places.statuses.at(-1)).toBe(503);
  places.open.shift()!.client.close();
  expect(await pass()).toBeNull();
  expect(places.statuses.at(-1)).toBeNull();
  places.close();
});

it('lets one in for whom room is made', async () => {
  const places = new Places(1);
  const { pass, tooMany } = gateOf(places);
  places.evictable = 2;
  for (let i = 0; i < 3; i++) expect(await pass()).toBeNull();
  expect(places.statuses).toEqual([null]);
  expect(tooMany()).toBe(0);
  expect(await pass()).toBeNull();
  expect(places.statuses).toEqual([null, 503]);
  places.close();
});

it('counts each address by itself; those too many of one are not counted, and four of them are told', async () => {
  const places = new Places(100);
  const { gate, table, pass, tooMany } = gateOf(places, 2);
  const counted = (from: string): number => table.total(table.rowOf(from));
  const statuses: (number | null)[] = [null, null];
  for (let i = 0; i < REFUSING_PER_ADDRESS; i++) statuses.push(429);
  for (const from of ['127.0.0.2', '127.0.0.3']) {
    for (const _ of statuses) expect(await pass(from)).toBeNull();
    expect(await pass(from)).toBe('');
    expect(counted(from)).toBe(2);
  }
  expect(places.statuses).toEqual([...statuses, ...statuses]);
  expect(places.discarded).toEqual([NO_ADDRESS, NO_ADDRESS]);
  expect(tooMany()).toBe(2 * (REFUSING_PER_ADDRESS + 1));
  gate.leave(places.open[0]!.row);
  expect(counted('127.0.0.2')).toBe(1);
  expect(await pass('127.0.0.2')).toBeNull();
  expect(places.statuses.at(-1)).toBeNull();
  expect(await pass('127.0.0.2')).toBe('');
  places.close();
});

it('counts one that is told 503 for its address, as it is open, and one that is cut off no more', async () => {
  const places = new Places(0);
  const { table, pass } = gateOf(places, 5);
  expect(await pass('127.0.0.2')).toBeNull();
  expect(places.open[0]).toMatchObject({
    row: table.rowOf('127.0.0.2'),
    refusal: { status: 503, row: NO_ADDRESS },
  });
  places.isMute = true;
  expect(await pass('127.0.0.2')).toBe('');
  expect(places.discarded).toEqual([table.rowOf('127.0.0.2')]);
  places.close();
});

it('counts as over a limit whom it refuses, and not whom nobody can take', async () => {
  const places = new Places(9);
  const { gate, tooMany } = gateOf(places);
  for (const refuse of ['refuse', 'turnAway'] as const) {
    const { handle } = await sockets.accept();
    gate[refuse](handle, gate.enter(handle));
  }
  expect(places.statuses).toEqual([503, 503]);
  expect(tooMany()).toBe(1);
  places.close();
});

it('counts connections of proxies when it is known whom they speak for', async () => {
  const places = new Places(9);
  const { gate, table, tooMany } = gateOf(places, 2, false);
  const { handle } = await sockets.accept();
  expect(gate.enter(handle)).toBe(NO_ADDRESS);
  handle.close();
  const client = key('192.0.2.1');
  const row = gate.enterKey(client);
  expect([gate.enterKey(client), table.total(row)]).toEqual([row, 2]);
  expect(tooMany()).toBe(0);
  expect([gate.enterKey(client), tooMany()]).toEqual([OVER_LIMIT, 1]);
  expect(gate.enterKey(undefined)).toBe(NO_ADDRESS);
  const told = Array.from({ length: REFUSING_PER_ADDRESS + 1 }, () => gate.refuseKey(client));
  expect(told.map((refusal) => refusal?.status ?? null)).toEqual([429, 429, 429, 429, null]);
  expect(gate.refuseKey(key('192.0.2.2'))).not.toBeNull();
  gate.giveBack(told[0]!);
  expect(gate.refuseKey(client)).not.toBeNull();
});
