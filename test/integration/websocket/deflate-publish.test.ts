import { afterEach, describe, expect, it } from 'vitest';
import type { PerMessageDeflateOptions } from 'ws';
import { Client } from '../../support/clients/clients.ts';
import { payloadOf } from '../../support/protocol/deflate-payloads.ts';
import { MODES, type Running, startModule } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

const running: Running[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

async function start(mode: (typeof MODES)[number]): Promise<Running> {
  const server = await startModule(mode, 'deflate-app.js');
  running.push(server);
  return server;
}

/** A client that is subscribed, and the shard it is on. */
async function subscriber(
  server: Running,
  route: string,
  offer: PerMessageDeflateOptions | false = {},
): Promise<{ client: Client; shard: string }> {
  const perMessageDeflate = offer === false ? false : { threshold: 0, ...offer };
  const client = await Client.connect(server.ws(`/${route}`), { perMessageDeflate });
  return { client, shard: (await client.next()) as string };
}

const KINDS: readonly (readonly [string, PerMessageDeflateOptions | false])[] = [
  ['plain', {}],
  ['shared', {}],
  ['shared', false],
  ['shared', { serverMaxWindowBits: 9 }],
  ['shared', { serverMaxWindowBits: 8 }],
  ['full', {}],
  ['full', { serverMaxWindowBits: 12 }],
  ['full', { serverNoContextTakeover: true }],
  ['small', {}],
  ['small', { serverMaxWindowBits: 8, clientNoContextTakeover: true }],
];

const MESSAGES = [
  ['long JSON', 300],
  ['prose', 3000],
  ['small JSON', 20],
  ['prose', 20_000],
  ['many scripts', 400],
  ['long JSON', 70_000],
  ['prose', 64],
] as const;

describe.each(MODES)('Compressed publishes, %s', (mode) => {
  it('reach every kind of subscriber as they were sent, in order, among its own messages', async () => {
    const server = await start(mode);
    const subscribers = await Promise.all(
      [...KINDS, ...KINDS].map(([route, offer]) => subscriber(server, route, offer)),
    );
    if (mode === 'two shards') expect(new Set(subscribers.map(({ shard }) => shard)).size).toBe(2);
    const publisher = subscribers[1]!.client;
    const sent: string[] = [];
    for (let round = 0; round < 4; round++) {
      for (const [i, [kind, size]] of MESSAGES.entries()) {
        const publish = payloadOf(kind, size, round * 10 + i) as string;
        sent.push(publish);
        publisher.send(JSON.stringify({ publish, compress: (round + i) % 3 !== 0 }));
        // Between them, through the subscriber's own context.
        for (const { client } of subscribers.filter((_, j) => (j + i + round) % 4 === 0)) {
          client.send(JSON.stringify({ echo: `echo ${publish}`, compress: true }));
        }
      }
    }
    for (const { client } of subscribers) {
      const published: string[] = [];
      while (published.length < sent.length) {
        const message = (await client.next()) as string;
        if (!message.startsWith('echo ')) published.push(message);
      }
      expect(published.every((message, i) => message === sent[i])).toBe(true);
    }
  });
});

describe('A compressed publish', () => {
  const message = payloadOf('prose', 2000, 1) as string;

  it('is compressed once, for all subscribers of all shards', async () => {
    const server = await start('two shards');
    const subscribers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        subscriber(server, ['shared', 'full', 'plain', 'small'][(i >> 1) % 4]!),
      ),
    );
    const before = server.server!.stats().total;
    subscribers[0]!.client.send(JSON.stringify({ publish: message, compress: true }));
    for (const { client } of subscribers) expect(await client.next()).toBe(message);
    await until(() => server.server!.stats().total.deflated > before.deflated, 'it is counted');
    const { total } = server.server!.stats();
    // Once for all, and on each shard once more for the window of 512 bytes, which it is longer than.
    expect(total.deflated - before.deflated).toBe(3);
    expect(total.deflateBytesIn - before.deflateBytesIn).toBe(3 * message.length);
    expect(total.deflateBytesOut - before.deflateBytesOut).toBeLessThan((3 * message.length) / 2);
    expect(total.deflateTime).toBeGreaterThan(before.deflateTime);
    expect(total.delivered - before.delivered).toBe(40);
    // Each client's command came compressed, too.
    expect(total.inflateBytesOut).toBeGreaterThan(message.length);
    expect(total.inflateTime).toBeGreaterThan(0);
  });

  it('from the main thread comes compressed to the shards', async () => {
    const server = await start('two shards');
    const subscribers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => subscriber(server, ['shared', 'full'][i % 2]!)),
    );
    const before = server.server!.stats().total;
    expect(server.server!.publish('room', message, false, true)).toBe(true);
    for (const { client } of subscribers) expect(await client.next()).toBe(message);
    const { total } = server.server!.stats();
    expect(total.deflated - before.deflated).toBe(0);
    expect(total.bytesOut - before.bytesOut).toBeLessThan((8 * message.length) / 2);
  });

  it('is compressed at most once where nobody takes it so', async () => {
    const server = await start('two shards');
    const subscribers = await Promise.all(Array.from({ length: 8 }, () => subscriber(server, 'plain')));
    subscribers[0]!.client.send(JSON.stringify({ publish: message, compress: true }));
    for (const { client } of subscribers) expect(await client.next()).toBe(message);
    expect(server.server!.stats().total.deflated).toBeLessThanOrEqual(1);
  });
});
