import { once } from 'node:events';
import { type ServeOptions, type Server, serve } from 'millrace';
import { request } from 'undici';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { stompPublisher } from '../../../dist/src/stomp/broker/publisher.js';
import { HOST } from '../../support/servers/server.ts';
import { StompClient } from '../../support/stomp/stomp-client.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

let server: Server;
let clients: StompClient[] = [];
let crashes: number[] = [];

beforeEach(() => {
  crashes = [];
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await server.close({ drain: 0 });
  vi.restoreAllMocks();
});

async function start(shards: number, data: object = {}, options: Partial<ServeOptions> = {}): Promise<void> {
  server = await serve({
    app: new URL('../fixtures/stomp-topic-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards,
    balance: 'round-robin',
    data,
    onCrash: (shard) => crashes.push(shard),
    ...options,
  });
}

/** Clients on the shards in turn. */
async function connect(count: number, login?: string): Promise<StompClient[]> {
  const made: StompClient[] = [];
  for (let i = 0; i < count; i++) {
    made.push(await StompClient.connect(`ws://${HOST}:${server.port}/stomp`, login));
    clients.push(made.at(-1)!);
  }
  return made;
}

const total = (row: 'topicSubscriptions' | 'topicMessages' | 'published' | 'delivered'): number =>
  server.stats().shards.reduce((sum, shard) => sum + shard[row], 0);

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

describe('a topic', () => {
  it('comes to subscribers on all shards, in the order of each publisher, and all are confirmed', async () => {
    await start(2);
    const all = await connect(6);
    for (const [i, client] of all.entries()) await client.subscribe('/topic/a', 'auto', 100, `${i % 3}`);
    expect(total('topicSubscriptions')).toBe(6);
    const sends = all.slice(0, 2).map(async (client, publisher) => {
      for (const i of numbers(200))
        client.send('SEND', { destination: '/topic/a', publisher: `${publisher}`, receipt: `x${i}` }, i);
      return client.confirmed('SEND', { destination: '/topic/b' });
    });
    expect(await Promise.all(sends)).toEqual([true, true]);
    for (const [i, client] of all.entries()) {
      await until(() => client.messages.length === 400, 'all messages');
      for (const publisher of ['0', '1']) {
        const own = client.messages.filter(({ headers }) => headers['publisher'] === publisher);
        expect(own.map(({ body }) => body)).toEqual(numbers(200));
      }
      expect(client.messages.every(({ headers }) => headers['subscription'] === `${i % 3}`)).toBe(true);
    }
    const ids = new Set(all.flatMap(({ messages }) => messages.map(({ headers }) => headers['message-id'])));
    expect(ids.size).toBe(400);
    expect(total('topicMessages')).toBe(402);
    for (const client of all) client.close();
    await until(() => total('topicSubscriptions') === 0, 'subscriptions are gone');
  });

  it('reaches patterns on another shard, and no more after UNSUBSCRIBE', async () => {
    await start(2);
    const [a, b] = (await connect(2)) as [StompClient, StompClient];
    await b.subscribe('/topic/stocks.*.price', 'auto', 100, 'one');
    await b.subscribe('/topic/**', 'auto', 100, 'all');
    await a.confirmed('SEND', { destination: '/topic/stocks.x.price' }, '1');
    await until(() => b.messages.length === 2, 'both');
    await b.confirmed('UNSUBSCRIBE', { id: 'all' });
    await a.confirmed('SEND', { destination: '/topic/stocks.x.volume' }, '2');
    await a.confirmed('SEND', { destination: '/topic/stocks.y.price' }, '3');
    await until(() => b.messages.length === 3, 'the last');
    expect(b.bodies).toEqual(['1', '1', '3']);
  });

  it('goes on for others when a client ends a subscription of the same id, and names their topics in it', async () => {
    await start(1);
    const [a, b] = (await connect(2)) as [StompClient, StompClient];
    for (const client of [a, b]) await client.subscribe('/topic/a', 'auto', 100, 'same');
    await b.confirmed('UNSUBSCRIBE', {
      id: 'same',
      destination: '/topic/a',
      durable: 'true',
      'x-queue-name': 'a',
    });
    await b.confirmed('SEND', { destination: '/topic/a' }, 'x');
    await until(() => a.messages.length === 1, 'the message');
    expect(b.bodies).toEqual([]);
  });

  it('loses and doubles nothing when a client unsubscribes and subscribes again at once', async () => {
    await start(2);
    const [a, b] = (await connect(2)) as [StompClient, StompClient];
    await b.subscribe('/topic/a', 'auto', 100, 's');
    for (const i of numbers(300)) {
      a.send('SEND', { destination: '/topic/a' }, i);
      if (Number(i) % 5 !== 0) continue;
      // While messages are on their way.
      b.socket.send('UNSUBSCRIBE\nid:s\n\n\0SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0');
      if (Number(i) % 20 === 0) await a.confirmed('SEND', { destination: '/topic/other' });
    }
    await a.confirmed('SEND', { destination: '/topic/a' }, 'end');
    await until(() => b.bodies.at(-1) === 'end', 'the end');
    expect(b.bodies).toEqual([...numbers(300), 'end']);
  });

  it('carries headers as they are, and none of them becomes another (M08, M09)', async () => {
    await start(2);
    const [a, b] = (await connect(2)) as [StompClient, StompClient];
    const destination = '/topic/line\nend:x\r\\c';
    await b.subscribe(destination, 'auto', 100, 'id:\nsubscription:other');
    const frame = [
      'SEND',
      'destination:/topic/line\\nend\\cx\\r\\\\c',
      'first:1',
      'first:2',
      'spaces:  two  ',
      'empty:',
      'url:http://x:1/',
      'evil:a\\nmessage-id\\cmine\\n\\nbody\\\\0',
      'message-id:mine',
      'subscription:mine',
      'ack:mine',
      'receipt:r\\n\\c',
      '',
      'body\0',
    ];
    a.socket.send(frame.join('\n'));
    await until(() => b.messages.length === 1, 'the message');
    const { headers, body } = b.messages[0]!;
    expect(body).toBe('body');
    expect(Object.keys(headers).toSorted()).toEqual(
      [
        'content-length',
        'destination',
        'empty',
        'evil',
        'first',
        'message-id',
        'spaces',
        'subscription',
        'url',
      ].toSorted(),
    );
    expect(headers).toMatchObject({
      destination,
      subscription: 'id:\nsubscription:other',
      first: '1',
      spaces: '  two  ',
      empty: '',
      url: 'http://x:1/',
      evil: 'a\nmessage-id:mine\n\nbody\\0',
    });
    expect(headers['message-id']).not.toBe('mine');
  });

  it('is not meddled with by what an App publishes, and counts as none of that', async () => {
    await start(2);
    const [a, b] = (await connect(2)) as [StompClient, StompClient];
    await b.subscribe('/topic/a');
    server.publish('/topic/a', 'x');
    server.publish('\n/topic/a', 'x');
    await a.confirmed('SEND', { destination: '/topic/a' }, 'y');
    await until(() => b.messages.length === 1, 'the message');
    expect(b.bodies).toEqual(['y']);
    expect(total('published')).toBe(0);
  });
});

describe('what is refused (M11)', () => {
  it.each([
    [
      'the same id twice',
      [
        ['SUBSCRIBE', { id: '1', destination: '/topic/a' }],
        ['SUBSCRIBE', { id: '1', destination: '/topic/b' }],
      ],
    ],
    ['UNSUBSCRIBE of nothing', [['UNSUBSCRIBE', { id: '1' }]]],
    ['no id', [['SUBSCRIBE', { destination: '/topic/a' }]]],
    ['a selector', [['SUBSCRIBE', { id: '1', destination: '/topic/a', selector: 'T(java.lang.Runtime)' }]]],
    ['no such destination', [['SUBSCRIBE', { id: '1', destination: '/nowhere/a' }]]],
    [
      'patterns beyond the limit',
      [
        ['SUBSCRIBE', { id: '1', destination: `/topic/${'a.'.repeat(20)}*` }],
        ['SUBSCRIBE', { id: '2', destination: `/topic/${'b.'.repeat(20)}*` }],
      ],
    ],
  ] as [string, [string, Record<string, string>][]][])('%s', async (_, frames) => {
    await start(1, { maxPatternSegments: 30 });
    const [client, other] = (await connect(2)) as [StompClient, StompClient];
    await other.subscribe('/topic/a');
    for (const [command, headers] of frames) client.send(command, headers);
    await until(() => client.isClosed, 'the connection is closed');
    expect(client.errors).toHaveLength(1);
    await until(() => total('topicSubscriptions') === 1, 'nothing is left behind');
    await other.confirmed('SEND', { destination: '/topic/a' }, 'x');
    await until(() => other.bodies.includes('x'), 'others go on');
  });

  it('more subscriptions than a session may have', async () => {
    await start(1);
    const [client] = (await connect(1)) as [StompClient];
    for (let i = 0; i <= 1000; i++) client.send('SUBSCRIBE', { id: `${i}`, destination: `/topic/${i}` });
    await until(() => client.isClosed, 'the connection is closed');
    expect(client.errors).toEqual(['more than 1000 subscriptions']);
    await until(() => total('topicSubscriptions') === 0, 'nothing is left behind');
  });
});

it('a client that does not read is closed, and costs others nothing', async () => {
  await start(2, { maxBackpressure: 64 * 1024 });
  const [slow, sender, fast] = (await connect(3)) as [StompClient, StompClient, StompClient];
  await slow.subscribe('/topic/a');
  await fast.subscribe('/topic/a');
  slow.socket.pause();
  const body = 'x'.repeat(100_000);
  let sent = 0;
  while (total('topicSubscriptions') === 2) {
    expect(await sender.confirmed('SEND', { destination: '/topic/a' }, body)).toBe(true);
    sent++;
  }
  await until(() => fast.messages.length === sent, 'the other has all of them');
  slow.socket.resume();
  await until(() => slow.isClosed, 'it is closed');
  expect(slow.messages.length).toBeLessThan(sent);
});

describe('a user', () => {
  it('is reached in all sessions, by clients, by the application and by the main thread', async () => {
    await start(2);
    const ann = await connect(3, 'ann');
    const [bob] = (await connect(1, 'bob')) as [StompClient];
    for (const client of [...ann, bob]) await client.subscribe('/user/queue/told', 'auto');
    await bob.confirmed('SEND', { destination: '/user/ann/queue/told' }, 'by bob');
    await bob.confirmed('SEND', { destination: '/app/tell' }, 'ann');
    for (const client of ann) await until(() => client.messages.length === 2, 'both');
    await stompPublisher(server as never).sendToUser('ann', '/queue/told', 'by main', { x: 'y' });
    for (const client of ann) {
      await until(() => client.messages.length === 3, 'the third');
      expect(client.bodies).toEqual(['by bob', 'told', 'by main']);
      expect(client.messages[2]!.headers).toMatchObject({ x: 'y', destination: '/user/queue/told' });
    }
    expect(bob.bodies).toEqual([]);
    for (const client of ann) client.close();
    await until(() => total('topicSubscriptions') === 1, 'nothing is left of the user');
  });
});

describe('the application', () => {
  it('is waited for by RECEIPT', async () => {
    await start(1);
    const [client] = (await connect(1)) as [StompClient];
    const order: string[] = [];
    const slow = client.confirmed('SEND', { destination: '/app/slow' }, '30').then(() => order.push('slow'));
    await client.confirmed('SEND', { destination: '/topic/a' });
    order.push('quick');
    await slow;
    expect(order).toEqual(['quick', 'slow']);
  });

  it('that fails costs its client the connection, tells it nothing of why, and is reported', async () => {
    await start(1);
    const [client, other] = (await connect(2)) as [StompClient, StompClient];
    client.send('SEND', { destination: '/app/fails' });
    await until(() => client.isClosed, 'the connection is closed');
    expect(client.errors).toEqual(['internal error']);
    expect(await other.confirmed('SEND', { destination: '/app/slow' }, '0')).toBe(true);
  });
});

it('a temporary queue gets answers of a service on another shard, and of the application', async () => {
  await start(2);
  const [service, asker] = (await connect(2)) as [StompClient, StompClient];
  await service.subscribe('/topic/questions');
  service.onMessage = ({ headers, body }) => {
    service.send('SEND', { destination: headers['reply-to']! }, `${body}!`);
  };
  asker.send('SEND', { destination: '/topic/questions', 'reply-to': '/temp-queue/a' }, 'hello');
  await until(() => asker.messages.length === 1, 'the answer');
  await asker.confirmed('SEND', { destination: '/app/answer.x', 'reply-to': '/temp-queue/a' }, 'app');
  await until(() => asker.messages.length === 2, 'the answer of the application');
  expect(asker.bodies).toEqual(['hello!', 'app']);
  expect(asker.messages[0]!.headers['subscription']).toBe('/temp-queue/a');
  asker.close();
  await until(() => total('topicSubscriptions') === 1, 'the queue is gone');
});

it('the main thread publishes to topics of all shards, and hears what is wrong', async () => {
  await start(2);
  const all = await connect(4);
  for (const client of all) await client.subscribe('/topic/a');
  const publisher = stompPublisher(server as never);
  expect(stompPublisher(server as never)).toBe(publisher);
  for (const i of numbers(50)) await publisher.publish('/topic/a', i, { 'content-type': 'text/plain' });
  for (const client of all) {
    await until(() => client.messages.length === 50, 'all messages');
    expect(client.bodies).toEqual(numbers(50));
  }
  await expect(publisher.publish('/nowhere/a', '')).rejects.toThrow('no such destination');
  await expect(publisher.publish('/topic/a', 7 as never)).rejects.toThrow('must be text or a Uint8Array');
  await expect(publisher.publish('/topic/a', '', { x: 1 as never })).rejects.toThrow(
    "The header 'x' must be text",
  );
});

it('goes on for all others when a shard dies, and is drained with it', async () => {
  await start(2);
  const all = await connect(4);
  for (const client of all) await client.subscribe('/topic/a');
  const isGone = Promise.all([once(all[1]!.socket, 'close'), once(all[3]!.socket, 'close')]);
  while (crashes.length === 0) {
    await request(`http://${HOST}:${server.port}/crash/1`, { reset: true }).catch(() => {});
    await sleep(1);
  }
  await isGone;
  await until(() => server.stats().shards.every(({ state }) => state === 'ready'), 'all shards are ready');
  expect(total('topicSubscriptions')).toBe(2);
  const fresh = await connect(2);
  for (const client of fresh) await client.subscribe('/topic/a', 'auto', 100, 'new');
  await fresh[0]!.confirmed('SEND', { destination: '/topic/a' }, 'x');
  await fresh[1]!.confirmed('SEND', { destination: '/topic/a' }, 'y');
  for (const client of [all[0]!, all[2]!, ...fresh]) {
    await until(() => client.messages.length === 2, 'both messages');
    expect(client.bodies.toSorted()).toEqual(['x', 'y']);
  }
  await server.reload();
  await until(() => clients.every(({ isClosed }) => isClosed), 'all clients are told to go');
  await until(() => total('topicSubscriptions') === 0, 'nothing is left behind');
});
