import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { type Running, startModule } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

let running: Running;
beforeAll(async () => {
  running = await startModule('two shards', 'main-app.js');
});
afterAll(() => running.stop());

test('200 clients are spread over both shards, and all are served', async () => {
  const clients = await Promise.all(Array.from({ length: 200 }, () => Client.connect(running.ws('/shard'))));
  const shards = await Promise.all(clients.map((client) => client.next()));
  const first = shards.filter((shard) => shard === '0').length;
  expect(shards.filter((shard) => shard === '1')).toHaveLength(200 - first);
  expect(first).toBeGreaterThan(50);
  expect(first).toBeLessThan(150);
  expect(running.server!.stats().total.webSockets).toBe(200);
  await Promise.all(clients.map((client) => client.close()));
  await until(() => running.server!.stats().total.sockets === 0, 'all sockets are closed');
  expect(running.server!.stats().total).toMatchObject({ webSockets: 0, opened: 200, closed: 200 });
});

test('200 clients echo at the same time without getting anything of each other', async () => {
  const clients = await Promise.all(Array.from({ length: 200 }, () => Client.connect(running.ws('/echo'))));
  await Promise.all(
    clients.map(async (client, i) => {
      for (let round = 0; round < 5; round++) {
        expect(await client.ask(`client ${i} round ${round}`)).toBe(`client ${i} round ${round}`);
        const bytes = pattern(100 + i * 10, i);
        expect(Buffer.compare((await client.ask(bytes)) as Uint8Array, bytes)).toBe(0);
      }
    }),
  );
  for (const shard of running.server!.stats().shards) expect(shard.messagesIn).toBeGreaterThan(500);
  await Promise.all(clients.map((client) => client.close()));
});

test('counters of the server know what went through', async () => {
  const before = running.server!.stats().total;
  const client = await Client.connect(running.ws('/echo'));
  await client.ask('counted');
  await client.close();
  await until(() => running.server!.stats().total.closed === before.closed + 1, 'the close is counted');
  const after = running.server!.stats().total;
  expect(after.messagesIn - before.messagesIn).toBe(1);
  expect(after.messagesOut - before.messagesOut).toBe(1);
  expect(after.opened - before.opened).toBe(1);
  expect(after.adopted - before.adopted).toBe(1);
});
