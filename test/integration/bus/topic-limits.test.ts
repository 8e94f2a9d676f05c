import { App, serve } from 'millrace';
import { afterEach, describe, expect, it } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { HOST, type Running, startApp } from '../../support/servers/server.ts';

let running: Running | null = null;
const clients: Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await running?.stop();
  running = null;
});

/** Runs commands that clients send as JSON, and answers with their result. */
async function commanded(
  options: { maxTopics?: number; maxTopicLength?: number },
  behavior: { maxSubscriptions?: number },
  count: number,
): Promise<((command: string, ...args: unknown[]) => Promise<unknown>)[]> {
  running = startApp((app) => {
    app.ws('/*', {
      ...behavior,
      maxPayloadLength: 1024 * 1024,
      message: (ws, message) => {
        const [command, topic] = JSON.parse(Buffer.from(message).toString()) as [string, string];
        const results: Record<string, () => unknown> = {
          'subscribe many': () =>
            Array.from({ length: Number(topic) }, (_, i) => ws.subscribe(`many ${i}`)).filter(Boolean).length,
          subscribe: () => ws.subscribe(topic),
          unsubscribe: () => ws.unsubscribe(topic),
          topics: () => ws.getTopics(),
          publish: () => app.publish(topic, 'x'),
          count: () => app.numSubscribers(topic),
        };
        ws.send(JSON.stringify([results[command]!()]));
      },
    });
  }, options);
  const { port } = running;
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = await Client.connect(`ws://${HOST}:${port}/`);
      clients.push(client);
      return async (...command: unknown[]): Promise<unknown> =>
        (JSON.parse(String(await client.ask(JSON.stringify(command)))) as [unknown])[0];
    }),
  );
}

describe('topics have limits', () => {
  it('maxSubscriptions: of one connection', async () => {
    const [one, other] = await commanded({}, { maxSubscriptions: 3 }, 2);
    for (const topic of ['a', 'b', 'c']) expect(await one!('subscribe', topic)).toBe(true);
    expect(await one!('subscribe', 'd')).toBe(false);
    expect(await one!('subscribe', 'a')).toBe(true);
    expect(await one!('topics')).toEqual(['a', 'b', 'c']);
    expect(await one!('count', 'd')).toBe(0);
    expect(await other!('subscribe', 'd')).toBe(true);
    expect(await one!('unsubscribe', 'a')).toBe(true);
    expect(await one!('subscribe', 'd')).toBe(true);
  });

  it('maxTopics: of one App, for all connections together', async () => {
    const [one, other] = await commanded({ maxTopics: 2 }, {}, 2);
    expect(await one!('subscribe', 'a')).toBe(true);
    expect(await other!('subscribe', 'b')).toBe(true);
    expect(await one!('subscribe', 'c')).toBe(false);
    expect(await one!('subscribe', 'b')).toBe(true);
    expect(await one!('count', 'b')).toBe(2);
    expect(await one!('unsubscribe', 'a')).toBe(true);
    expect(await other!('subscribe', 'c')).toBe(true);
  });

  it('maxTopicLength: bytes of a name', async () => {
    const [one] = await commanded({ maxTopicLength: 8 }, {}, 1);
    expect(await one!('subscribe', 'x'.repeat(8))).toBe(true);
    expect(await one!('subscribe', 'x'.repeat(9))).toBe(false);
    expect(await one!('subscribe', 'äöü!!')).toBe(true);
    expect(await one!('subscribe', 'äöüäö')).toBe(false);
    expect(await one!('publish', 'x'.repeat(9))).toBe(false);
  });

  it('are generous: 1,048,576 topics, names of 4 KiB, 16,384 subscriptions', async () => {
    const [one] = await commanded({}, {}, 1);
    expect(await one!('subscribe', 'x'.repeat(4096))).toBe(true);
    expect(await one!('subscribe', 'x'.repeat(4097))).toBe(false);
    expect(await one!('subscribe many', '16384')).toBe(16_384 - 1);
  });

  it('that are no numbers are refused in words', () => {
    expect(() => App({ maxTopics: 0 })).toThrow(/'maxTopics' must be an integer from 1/);
    expect(() => App({ maxTopicLength: 100_000 })).toThrow(
      /'maxTopicLength' must be an integer from 1 to 65535/,
    );
    expect(() => App().ws('/*', { maxSubscriptions: -1 })).toThrow(/'maxSubscriptions'/);
  });

  it('of a server reach every shard, and are counted', async () => {
    const app = new URL('../fixtures/topic-limits-app.js', import.meta.url);
    await using server = await serve({
      app,
      port: 0,
      host: HOST,
      shards: 2,
      maxTopics: 3,
      maxTopicLength: 10,
    });
    const connected = await Promise.all(
      [0, 1].map(async () => Client.connect(`ws://${HOST}:${server.port}/`)),
    );
    clients.push(...connected);
    for (const client of connected) {
      const results: string[] = [];
      for (const topic of ['a', 'b', 'c', 'd', 'x'.repeat(11)]) results.push(String(await client.ask(topic)));
      expect(results).toEqual(['true', 'true', 'true', 'false', 'false']);
    }
    expect(server.stats().total.subscriptionsRefused).toBe(4);
    expect(server.stats().total.uncountedTopics).toBe(0);
    expect(server.publish('x'.repeat(100_000), 'nobody can have it')).toBe(false);
    expect(server.stats().rings).toEqual([]);
  });

  it('a name must fit the ring', async () => {
    const app = new URL('../fixtures/topic-limits-app.js', import.meta.url);
    await expect(
      serve({ app, port: 0, host: HOST, shards: 1, ringSize: 4096, maxTopicLength: 1024 }),
    ).rejects.toThrow(/'maxTopicLength' can be at most 984 with a 'ringSize' of 4096; got 1024/);
    await using server = await serve({ app, port: 0, host: HOST, shards: 2, ringSize: 4096 });
    const client = await Client.connect(`ws://${HOST}:${server.port}/`);
    clients.push(client);
    expect([await client.ask('x'.repeat(984)), await client.ask('x'.repeat(985))]).toEqual(['true', 'false']);
  });
});
