import { serve } from 'millrace';
import { expect, test } from 'vitest';
import { TopicClient } from '../../support/clients/topic-client.ts';
import { HOST } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

/** Deliveries in all; TOPICS_DELIVERIES makes it more, or less, and has the time printed. */
const DELIVERIES = Number(process.env['TOPICS_DELIVERIES'] ?? 1_000_000);
const SHARDS = 4;
const CLIENTS = 400;
/** Messages of each of the four publishers. */
const COUNT = Math.ceil(DELIVERIES / CLIENTS / SHARDS);

test('400 clients on 4 shards, publishers on each: everything arrives, in order', {
  timeout: 300_000,
}, async () => {
  const server = await serve({
    app: new URL('../../integration/fixtures/topics-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: SHARDS,
    balance: 'round-robin',
  });
  const clients = await TopicClient.connectAll(CLIENTS, server.port);
  await Promise.all(clients.map((client) => client.subscribe('t')));
  expect(server.numSubscribers('t')).toBe(CLIENTS);
  let wrong = 0;
  for (const client of clients) {
    const next = Array.from({ length: SHARDS }, () => 0);
    client.onMessage = (payload) => {
      // `${shard} ${number}`, and blanks.
      const publisher = payload[0]! - 0x30;
      if (Number(payload.toString('latin1', 2)) !== next[publisher]) wrong++;
      next[publisher]!++;
    };
  }
  const start = performance.now();
  await Promise.all(
    Array.from({ length: SHARDS }, (_, shard) => {
      const publisher = clients.find((client) => client.shard === shard)!;
      return publisher.ask({ ask: 'publishMany', topic: 't', name: shard, count: COUNT, every: 4, size: 30 });
    }),
  );
  await until(() => clients.every(({ count }) => count >= SHARDS * COUNT), 'all have come', 280_000);
  const seconds = (performance.now() - start) / 1000;
  const deliveries = clients.reduce((sum, { count }) => sum + count, 0);
  expect(deliveries).toBe(CLIENTS * SHARDS * COUNT);
  expect(wrong).toBe(0);
  const { rings, total } = server.stats();
  expect(total.delivered).toBe(deliveries);
  for (const ring of rings) expect(ring).toMatchObject({ dropped: 0, lost: 0, resets: 0 });
  if (process.env['TOPICS_DELIVERIES'] !== undefined) {
    console.log(`${deliveries} deliveries in ${seconds.toFixed(2)} s`);
  }
  for (const client of clients) client.destroy();
  await server.close({ drain: 0 });
});
