import { expect, test } from 'vitest';
import type { RawClient } from '../../support/clients/raw-client.ts';
import { text } from '../../support/protocol/frame-bytes.ts';
import { Route } from '../../support/protocol/route.ts';
import { arrayBuffersInUse } from '../../support/tools/array-buffers.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

test('an idle connection holds no buffer after it got and sent messages', async () => {
  using route = new Route({
    maxPayloadLength: 1_000_000,
    message: (ws, message, isBinary) => void ws.send(message, isBinary),
  });
  const clients: RawClient[] = [];
  for (let i = 0; i < 500; i++) clients.push((await route.pair()).client);
  const before = await arrayBuffersInUse();
  for (const client of clients) {
    client.send(text('small'));
    client.send(
      { opcode: 1, payload: Buffer.from('in two '), fin: false },
      { opcode: 0, payload: Buffer.from('pieces') },
    );
  }
  for (const client of clients) {
    expect([await client.text(), await client.text()]).toEqual(['small', 'in two pieces']);
  }
  const after = await arrayBuffersInUse();
  // A pinned receive buffer or slab would be 64 KiB each, 32 MB in all.
  expect(after - before).toBeLessThan(500 * 4096);
  for (const client of clients) client.destroy();
});

test('a declared length costs nothing before the bytes come', async () => {
  using route = new Route({ maxPayloadLength: 64 * 1024 * 1024 });
  const clients: RawClient[] = [];
  for (let i = 0; i < 100; i++) clients.push((await route.pair()).client);
  const before = await arrayBuffersInUse();
  for (const client of clients)
    client.write(Uint8Array.of(0x82, 0xff, 0, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4, 0x55));
  await sleep(50);
  expect((await arrayBuffersInUse()) - before).toBeLessThan(100 * 4096);
  for (const client of clients) client.destroy();
});

test('what waited for connections that are gone is free again', async () => {
  using route = new Route({ maxBackpressure: 0 });
  const { client: first } = await route.pair();
  const before = await arrayBuffersInUse();
  for (let round = 0; round < 5; round++) {
    const pairs = await route.pairs(4);
    for (const { ws, client } of pairs) {
      client.pause();
      for (let i = 0; i < 200; i++) ws.send('x'.repeat(100_000));
      expect(ws.getBufferedAmount()).toBeGreaterThan(1_000_000);
    }
    for (const { client } of pairs) client.reset();
    await sleep(20);
  }
  // The pools keep some for the next.
  expect((await arrayBuffersInUse()) - before).toBeLessThan(32 * 1024 * 1024);
  first.destroy();
});

test('a connection that a large message was written to holds no memory of it', async () => {
  using route = new Route({ maxBackpressure: 0 });
  const count = 60;
  const size = 1_000_000;
  const pairs = await route.pairs(count);
  const message = 'x'.repeat(size);
  const before = await arrayBuffersInUse();
  for (const { ws, client } of pairs) {
    client.pause();
    while (ws.getBufferedAmount() < size) ws.send(message);
  }
  expect((await arrayBuffersInUse()) - before).toBeGreaterThan(count * size);
  for (const { client } of pairs) client.socket.removeAllListeners('data').on('data', () => {});
  for (const { client } of pairs) client.resume();
  for (const { ws } of pairs) await until(() => ws.getBufferedAmount() === 0, 'all is written');
  // The pool keeps 16 MiB for the next.
  expect((await arrayBuffersInUse()) - before).toBeLessThan(24 * 1024 * 1024);
  for (const { client } of pairs) client.destroy();
});
