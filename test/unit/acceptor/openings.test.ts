import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Opening, type OpeningServer, Openings } from '../../../src/acceptor/openings.ts';
import { AddressLimit } from '../../../src/admission/address-limit.ts';
import { AddressTable } from '../../../src/admission/address-table.ts';
import { Gate } from '../../../src/admission/gate.ts';
import type { RequestHead } from '../../../src/http/request-head.ts';
import { ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { IoLoop } from '../../../src/net/io-loop.ts';
import { AcceptedHandles, readToEnd } from '../../support/servers/accepted-handles.ts';
import { until } from '../../support/tools/deadline.ts';

let sockets: AcceptedHandles;
beforeEach(async () => {
  sockets = await AcceptedHandles.start();
});
afterEach(() => {
  sockets.close();
});

interface Arrival {
  readonly opening: Opening;
  readonly path: string;
  readonly behind: string;
}

function openingsOf() {
  const { counters } = ThreadMetrics.alone();
  const arrivals: Arrival[] = [];
  const held = new Set<Opening>();
  const server: OpeningServer = {
    onRequest: (opening, head: RequestHead, bytes, rest, end) => {
      arrivals.push({ opening, path: head.path, behind: Buffer.from(bytes.subarray(rest, end)).toString() });
    },
    dropHeld: (opening) => held.delete(opening),
  };
  const table = AddressTable.create(1, 10);
  const places = {
    hasRoom: () => true,
    makeRoom: () => openings.evict(),
    canTell: () => true,
    admit: (...args: Parameters<Openings['read']>) => {
      openings.read(...args);
    },
    discard: () => {},
  };
  const gate = new Gate(places, new AddressLimit(table, 0, 2), counters);
  const limits = { maxHeadSize: 4096, maxHeaders: 100, handshakeTimeout: 10 };
  const openings: Openings = new Openings(new IoLoop(counters), limits, gate, server);
  const enter = async (text = ''): Promise<Socket> => {
    const { handle, client } = await sockets.accept();
    gate.admit(handle, gate.enter(handle));
    if (text !== '') client.write(text);
    return client;
  };
  const counted = (): number => table.total(table.rowOf('127.0.0.1'));
  return { openings, counters, arrivals, held, enter, counted };
}

const REQUEST = 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n';

it('gives a head to the server with what came behind it, however it is cut, and gives the socket away', async () => {
  const { openings, arrivals, enter, counted } = openingsOf();
  for (let cut = 1; cut < REQUEST.length; cut += 5) {
    const client = await enter(REQUEST.slice(0, cut));
    client.setNoDelay();
    client.write(`${REQUEST.slice(cut)}rest`);
    await until(() => arrivals.length === 1, 'the request');
    const { opening, path, behind } = arrivals.pop()!;
    expect(path).toBe('/a');
    expect('rest'.startsWith(behind)).toBe(true);
    expect(counted()).toBe(1);
    openings.detach(opening).close();
    expect(openings.size).toBe(0);
    // Whoever has it now counts it; here nobody does.
    openings.onClosed(opening.transport, 0);
    expect(counted()).toBe(0);
  }
});

it('counts a refused request, and its address until it is gone', async () => {
  const { openings, counters, arrivals, enter, counted } = openingsOf();
  const client = await enter(REQUEST);
  await until(() => arrivals.length === 1, 'the request');
  const text = readToEnd(client);
  openings.refuse(arrivals[0]!.opening, 'HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx');
  expect(await text).toMatch(/^HTTP\/1\.1 404 Not Found\r\nDate: .*\r\n\r\nx$/s);
  expect([counters[Counter.REFUSED], counters[Counter.REQUESTS], counted()]).toEqual([1, 1, 1]);
  client.end();
  await until(() => openings.size === 0, 'it is gone');
  expect(counted()).toBe(0);
});

it('gives the place of one that was told of too many back when it is gone, four for an address', async () => {
  const { openings, arrivals, enter, counted } = openingsOf();
  await enter();
  await enter();
  const told = [await enter(REQUEST), await enter(REQUEST), await enter(REQUEST), await enter(REQUEST)];
  await until(() => arrivals.length === 4, 'their requests');
  expect(arrivals.map(({ opening }) => opening.refusal?.status)).toEqual([429, 429, 429, 429]);
  expect([openings.size, counted()]).toEqual([6, 2]);
  expect(await readToEnd(await enter(REQUEST))).toBe('');
  told[0]!.destroy();
  await until(() => openings.size === 5, 'it is gone');
  await enter(REQUEST);
  await until(() => arrivals.length === 5, 'the request of the next');
  expect(counted()).toBe(2);
});

it('answers 503 to one that waits for a shard in vain', async () => {
  const { openings, arrivals, held, enter } = openingsOf();
  const client = await enter(REQUEST);
  await until(() => arrivals.length === 1, 'the request');
  const { opening } = arrivals[0]!;
  openings.served(opening);
  expect(openings.evict()).toBe(false);
  held.add(opening);
  const text = readToEnd(client);
  expect(openings.onTimer(opening.transport, opening.deadline - 1)).toBe(opening.deadline);
  expect(held.size).toBe(1);
  expect(openings.onTimer(opening.transport, opening.deadline)).toBe(opening.deadline);
  expect(await text).toMatch(/^HTTP\/1\.1 503 .*\r\nRetry-After: 1\r\n/s);
  expect([held.size, opening.isLingering]).toEqual([0, true]);
});

it('turns all away at the end: who has begun is answered, who has said nothing gets a FIN', async () => {
  const { openings, counters, enter } = openingsOf();
  const [silent, begun] = [await enter(), await enter('GET /')];
  await until(() => counters[Counter.BYTES_IN] === 5, 'the first bytes');
  let isLingering = false;
  let isEmpty = false;
  void openings.untilLingering().then(() => (isLingering = true));
  await Promise.resolve();
  expect(isLingering).toBe(false);
  const texts = [readToEnd(silent), readToEnd(begun)];
  openings.turnAwayAll();
  openings.turnAwayAll();
  await until(() => isLingering, 'all are to follow');
  expect(await texts[0]).toBe('');
  expect(await texts[1]).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
  expect(counters[Counter.REFUSED]).toBe(1);
  void openings.untilNone().then(() => (isEmpty = true));
  silent.end();
  await until(() => openings.size === 1, 'one is gone');
  expect(isEmpty).toBe(false);
  begun.end();
  await until(() => isEmpty, 'none is left');
});
