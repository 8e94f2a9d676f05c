import { once } from 'node:events';
import { Client, type IMessage, type StompConfig, Versions } from '@stomp/stompjs';
import { type Server, serve } from 'millrace';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import webstomp from 'webstomp-client';
import { WebSocket } from 'ws';
import { HOST } from '../../support/servers/server.ts';
import { until, within } from '../../support/tools/deadline.ts';

let server: Server;
const clients: Client[] = [];

beforeEach(async () => {
  server = await serve({
    app: new URL('../fixtures/stomp-spring-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: 2,
    balance: 'round-robin',
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.deactivate({ force: true });
  await server.close({ drain: 0 });
});

type Config = Pick<StompConfig, keyof StompConfig>;

/** A client of stompjs that is connected, and what it was told. */
async function connect(
  version: string,
  login = 'ann',
  config: Config = {},
): Promise<{ client: Client; errors: string[]; connects: () => number }> {
  const stompVersions = new Versions([version]);
  const errors: string[] = [];
  let connects = 0;
  const client = new Client({
    stompVersions,
    webSocketFactory: () =>
      new WebSocket(`ws://${HOST}:${server.port}/stomp`, stompVersions.protocolVersions()),
    connectHeaders: { login, passcode: 'guest', host: 'h' },
    reconnectDelay: 0,
    onStompError: ({ headers }) => errors.push(headers['message'] ?? ''),
    ...config,
    onConnect: (frame) => {
      connects++;
      config.onConnect?.(frame);
    },
  });
  clients.push(client);
  client.activate();
  await until(() => connects > 0 || errors.length > 0, 'the client is connected, or refused');
  return { client, errors, connects: () => connects };
}

/** Resolves when the server has done all that was sent before. */
async function confirmed(client: Client, act: (headers: { receipt: string }) => void): Promise<void> {
  const receipt = `r${Math.random()}`;
  const done = new Promise<void>((resolve) => {
    client.watchForReceipt(receipt, () => {
      resolve();
    });
  });
  act({ receipt });
  await within(done, 'the RECEIPT');
}

async function subscribed(client: Client, destination: string, ack = 'auto'): Promise<IMessage[]> {
  const messages: IMessage[] = [];
  await confirmed(client, (headers) => {
    client.subscribe(destination, (message) => messages.push(message), { ...headers, ack });
  });
  return messages;
}

const bodies = (messages: readonly IMessage[]): string[] => messages.map(({ body }) => body);

describe.each(['1.0', '1.1', '1.2'])('stompjs in STOMP %s', (version) => {
  it('uses the application, topics and its own queue as with Spring, across shards', async () => {
    const [ann, bob] = [await connect(version, 'ann'), await connect(version, 'bob')];
    const seen = [await subscribed(ann.client, '/topic/**'), await subscribed(bob.client, '/topic/orders')];
    const own = [
      await subscribed(ann.client, '/user/queue/confirmations'),
      await subscribed(bob.client, '/user/queue/confirmations'),
    ];
    await confirmed(ann.client, (headers) => {
      ann.client.publish({ destination: '/app/orders', body: '{"id":7}', headers });
    });
    for (const messages of seen) await until(() => messages.length === 1, 'the order');
    await until(() => own[0]!.length === 1, 'the confirmation');
    expect(seen.map(bodies)).toEqual([['{"id":7,"by":"ann"}'], ['{"id":7,"by":"ann"}']]);
    expect(seen[1]![0]!.headers['content-type']).toBe('application/json');
    expect(own[0]![0]!.body).toMatch(/^order 7 on shard [01]$/);
    expect(own[1]).toEqual([]);
    ann.client.subscribe('/topic/admin', () => {});
    await until(() => ann.errors.length > 0, 'the ERROR');
    expect(ann.errors).toEqual(['subscribing there is not allowed']);
  });

  it('shares a queue, acknowledges, rejects, and gets again what another left', async () => {
    const [sender, first] = [await connect(version), await connect(version)];
    const messages = await subscribed(first.client, '/queue/work', 'client');
    for (const body of ['a', 'b', 'c', 'd']) {
      await confirmed(sender.client, (headers) => {
        sender.client.publish({ destination: '/queue/work', body, headers });
      });
    }
    await until(() => messages.length === 4, 'all');
    // All up to the second.
    await confirmed(first.client, (headers) => {
      messages[1]!.ack(headers);
    });
    const second = await connect(version, 'bob');
    await first.client.deactivate();
    const rest = await subscribed(
      second.client,
      '/queue/work',
      version === '1.0' ? 'client' : 'client-individual',
    );
    await until(() => rest.length === 2, 'the rest');
    expect(bodies(rest)).toEqual(['c', 'd']);
    expect(rest.map(({ headers }) => headers['redelivered'])).toEqual(['true', 'true']);
    rest[1]!.ack();
    if (version === '1.0') return;
    rest[0]!.nack();
    await until(() => rest.length === 3, 'it comes back');
    expect(rest[2]!.body).toBe('c');
    expect(rest[2]!.headers['delivery-count']).toBe('3');
  });

  it('sends in transactions, in pieces, in binary, and what is large', async () => {
    const { client } = await connect(version, 'ann', { splitLargeFrames: true, forceBinaryWSFrames: true });
    const messages = await subscribed(client, '/topic/t');
    const undone = client.begin();
    client.publish({ destination: '/topic/t', body: 'never', headers: { transaction: undone.id } });
    undone.abort();
    const done = client.begin();
    client.publish({ destination: '/topic/t', body: 'then', headers: { transaction: done.id } });
    client.publish({ destination: '/topic/t', body: 'x'.repeat(60_000) });
    await until(() => messages.length === 1, 'the large one');
    done.commit();
    await until(() => messages.length === 2, 'the other');
    client.publish({ destination: '/topic/t', binaryBody: Uint8Array.of(0, 255, 0) });
    await until(() => messages.length === 3, 'the binary one');
    expect([messages[0]!.body.length, messages[1]!.body]).toEqual([60_000, 'then']);
    expect([...messages[2]!.binaryBody]).toEqual([0, 255, 0]);
  });

  it('comes back by itself when its server is reloaded, and misses nothing of a queue', async () => {
    const messages: IMessage[] = [];
    const worker: Awaited<ReturnType<typeof connect>> = await connect(version, 'worker', {
      reconnectDelay: 20,
      onConnect: () => {
        clients[0]!.subscribe(
          '/queue/work',
          (message) => {
            messages.push(message);
            message.ack();
          },
          { ack: 'client' },
        );
      },
    });
    const sender = await connect(version, 'sender', { reconnectDelay: 20 });
    const count = 50;
    const send = async (from: number): Promise<void> => {
      for (let i = from; i < from + count; i++) {
        await until(() => sender.client.connected, 'the sender is connected');
        sender.client.publish({ destination: '/queue/work', body: `${i}` });
      }
    };
    await send(0);
    await until(() => messages.length === count, 'all so far');
    await server.reload();
    await until(() => worker.connects() > 1 && sender.connects() > 1, 'both are back');
    await send(count);
    await until(() => new Set(bodies(messages)).size === 2 * count, 'all');
    expect(worker.errors.concat(sender.errors)).toEqual([]);
  });

  it('is refused with the wrong passcode', async () => {
    const { errors } = await connect(version, 'ann', { connectHeaders: { login: 'ann', passcode: 'x' } });
    expect(errors).toEqual(['access refused']);
  });
});

describe.each(['1.0', '1.1', '1.2'])('webstomp-client in STOMP %s', (version) => {
  it.each([false, true])('publishes and takes from a queue (binary: %s)', async (binary) => {
    const socket = new WebSocket(`ws://${HOST}:${server.port}/stomp`);
    socket.binaryType = 'arraybuffer';
    const client = webstomp.over(socket, {
      protocols: [`v${version.replace('.', '')}.stomp`],
      debug: false,
      binary,
    });
    const got: string[] = [];
    await within(
      new Promise<void>((resolve, reject) => {
        client.connect(
          { login: 'ann', passcode: 'guest', host: 'h', 'accept-version': version },
          () => {
            resolve();
          },
          () => {
            reject(new Error('refused'));
          },
        );
      }),
      'CONNECTED',
    );
    client.subscribe(
      '/queue/w',
      (message) => {
        got.push(message.body);
        message.ack();
      },
      { ack: 'client' },
    );
    client.send('/queue/w', 'häl\nlo', { k: 'a:b' });
    client.send('/queue/w', '');
    await until(() => got.length === 2, 'both');
    await until(
      () => server.stats().shards.reduce((sum, shard) => sum + shard.queueRemoved, 0) === 2,
      'both are acknowledged',
    );
    expect(got).toEqual(['häl\nlo', '']);
    const closed = once(socket, 'close');
    client.disconnect(() => {});
    await within(closed, 'the end');
  });
});
