import { type ServeOptions, type Server, serve } from 'millrace';
import { request } from 'undici';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { participantOf } from '../../../dist/src/app/participant-of.js';
import { HOST } from '../../support/servers/server.ts';
import { type ReceivedFrame, StompClient } from '../../support/stomp/stomp-client.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

let server: Server;
let clients: { client: StompClient; shard: number }[] = [];
let crashes: number[] = [];

beforeEach(() => {
  crashes = [];
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(async () => {
  for (const { client } of clients) client.close();
  clients = [];
  await server.close({ drain: 0 });
  vi.restoreAllMocks();
});

async function start(shards: number, data: object = {}, options: Partial<ServeOptions> = {}): Promise<void> {
  server = await serve({
    app: new URL('../fixtures/stomp-queue-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards,
    balance: 'round-robin',
    data,
    onCrash: (shard) => crashes.push(shard),
    ...options,
  });
}

const shardsOf = (): number[] => server.stats().shards.map(({ webSockets }) => webSockets);

/** A client on a shard: connections go to the shards in turn. */
async function clientOn(shard: number): Promise<StompClient> {
  for (;;) {
    const before = shardsOf();
    const client = await StompClient.connect(`ws://${HOST}:${server.port}/stomp`);
    await until(() => shardsOf().some((count, i) => count > before[i]!), 'the WebSocket is counted');
    const after = shardsOf();
    const on = after.findIndex((count, i) => count > before[i]!);
    if (on === shard) {
      clients.push({ client, shard });
      return client;
    }
    client.close();
    await until(() => shardsOf()[on] === before[on], 'the WebSocket is gone');
  }
}

/** A queue that this shard owns. */
function queueOf(shard: number): string {
  const main = participantOf(server as never);
  for (let i = 0; ; i++) if (main.ownerOf(`\n/queue/${i}`) === shard) return `/queue/${i}`;
}

type Row = 'queueMessages' | 'queueUnacknowledged' | 'queueLost' | 'queueRecovered' | 'queueRedelivered';

const total = (row: Row): number => server.stats().shards.reduce((sum, shard) => sum + shard[row], 0);

async function crash(shard: number): Promise<void> {
  const before = crashes.length;
  while (crashes.length === before) {
    await request(`http://${HOST}:${server.port}/crash/${shard}`, { reset: true }).catch(() => {});
    await sleep(1);
  }
  await until(() => server.stats().shards.every(({ state }) => state === 'ready'), 'all shards are ready');
}

const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `${from + i}`);

const isRedelivered = ({ headers }: ReceivedFrame): boolean => headers['redelivered'] === 'true';

/** Acknowledges each message when it comes. */
function acknowledging(client: StompClient): void {
  client.onMessage = (message) => {
    client.ack(message);
  };
}

describe('consumers of a queue', () => {
  it('get in order what their neighbour had whose shard died', async () => {
    await start(2);
    const queue = queueOf(0);
    const [sender, doomed] = [await clientOn(0), await clientOn(1)];
    await doomed.subscribe(queue);
    for (const body of numbers(20)) await sender.confirmed('SEND', { destination: queue }, body);
    await until(() => doomed.messages.length === 20, 'all messages are there');
    await doomed.confirmed('ACK', { id: doomed.messages[0]!.headers['ack']! });
    await crash(1);
    await sender.subscribe(queue);
    await until(() => sender.messages.length === 19, 'they are delivered again');
    expect(sender.bodies).toEqual(numbers(19, 1));
    expect(sender.messages.every(isRedelivered)).toBe(true);
  });

  it('do not wait for one that stalls', async () => {
    await start(2);
    const queue = queueOf(0);
    const [stalled, busy] = [await clientOn(1), await clientOn(0)];
    await stalled.subscribe(queue, 'client-individual', 10);
    acknowledging(busy);
    await busy.subscribe(queue);
    for (const body of numbers(200)) busy.send('SEND', { destination: queue }, body);
    await until(() => busy.messages.length === 190, 'the busy one has got the rest');
    expect(stalled.messages).toHaveLength(10);
    expect(busy.messages.some(isRedelivered)).toBe(false);
    stalled.close();
    await until(() => busy.messages.length === 200, 'it gets what the other one had');
    await until(() => total('queueMessages') === 0, 'the queue is empty');
    expect(new Set(busy.bodies).size).toBe(200);
  });

  it('may acknowledge all up to one, late, again, and after the end', async () => {
    await start(2);
    const queue = queueOf(1);
    const client = await clientOn(0);
    await client.subscribe(queue, 'client');
    for (const body of numbers(6)) await client.confirmed('SEND', { destination: queue }, body);
    await until(() => client.messages.length === 6, 'all are there');
    const ids = client.messages.map(({ headers }) => headers['ack']!);
    expect(await client.confirmed('ACK', { id: ids[2]! })).toBe(true);
    expect(total('queueMessages')).toBe(3);
    expect(await client.confirmed('ACK', { id: ids[2]! })).toBe(true);
    expect(await client.confirmed('ACK', { id: ids[0]! })).toBe(true);
    // The same id, another way to acknowledge.
    await client.confirmed('UNSUBSCRIBE', { id: '0' });
    expect(await client.confirmed('ACK', { id: ids[5]! })).toBe(true);
    expect(total('queueMessages')).toBe(3);
    await client.subscribe(queue, 'client-individual');
    await until(() => client.messages.length === 9, 'what was left is delivered again');
    expect(client.bodies.slice(6)).toEqual(['3', '4', '5']);
    expect(await client.confirmed('ACK', { id: client.messages[8]!.headers['ack']! })).toBe(true);
    expect(total('queueMessages')).toBe(2);
    expect(client.errors).toEqual([]);
  });
});

describe('the owner of a queue', () => {
  it('that dies has what consumers hold again, and counts what it had alone', async () => {
    await start(2);
    const queue = queueOf(1);
    const client = await clientOn(0);
    await client.subscribe(queue, 'client-individual', 4);
    for (const body of numbers(10)) await client.confirmed('SEND', { destination: queue }, body);
    await until(() => client.messages.length === 4, 'the window is full');
    await client.confirmed('ACK', { id: client.messages[1]!.headers['ack']! });
    await until(() => client.messages.length === 5, 'the next one is there');
    await crash(1);
    await until(() => total('queueMessages') === 4, 'what the client has is in the queue');
    expect([total('queueLost'), total('queueRecovered'), total('queueUnacknowledged')]).toEqual([9, 4, 4]);
    // It is all as before for the client.
    await client.confirmed('SEND', { destination: queue }, 'new');
    expect(await client.confirmed('ACK', { id: client.messages[0]!.headers['ack']! })).toBe(true);
    await until(() => client.messages.length === 6, 'the new one is there');
    await client.confirmed('UNSUBSCRIBE', { id: '0' });
    const next = await clientOn(1);
    await next.subscribe(queue);
    await until(() => next.messages.length === 4, 'the rest is delivered again');
    expect(next.bodies).toEqual(['2', '3', '4', 'new']);
    expect(next.messages.every(isRedelivered)).toBe(true);
  });

  it('that dies under load has each sender told what was not stored for sure', async () => {
    await start(2);
    const queue = queueOf(1);
    const consumer = await clientOn(0);
    acknowledging(consumer);
    await consumer.subscribe(queue);
    const confirmed = new Set<string>();
    const told: string[] = [];
    let next = 0;
    let isLoading = true;
    const load = async (): Promise<void> => {
      while (isLoading) {
        const sender = await clientOn(0);
        while (isLoading) {
          const body = `${next++}`;
          if (!(await sender.confirmed('SEND', { destination: queue }, body))) break;
          confirmed.add(body);
        }
        told.push(...sender.errors);
      }
    };
    const loading = load();
    await until(() => confirmed.size > 50, 'it goes on');
    await crash(1);
    const after = confirmed.size;
    await until(() => confirmed.size > after + 50, 'it goes on with the next owner');
    isLoading = false;
    await loading;
    await until(() => total('queueMessages') === 0, 'the queue is empty');
    const got = new Set(consumer.bodies);
    const missing = [...confirmed].filter((body) => !got.has(body));
    // What was stored, and lost with the thread, is counted.
    expect(missing.length).toBeLessThanOrEqual(total('queueLost') - total('queueRecovered'));
    for (const error of told) expect(error).toMatch(/whether the message was stored is not known/);
  });

  it('that is replaced ten times under load, with its consumers, loses nothing, and nothing comes twice', async () => {
    await start(2);
    const queue = queueOf(1);
    const settled = new Set<string>();
    const counts = new Map<string, number>();
    const again: string[] = [];
    let sent = 0;
    let isLoading = true;
    // Clients of a shard that is replaced are sent away, and come again.
    const consume = async (): Promise<void> => {
      while (isLoading || total('queueMessages') > 0) {
        const client = await StompClient.connect(`ws://${HOST}:${server.port}/stomp`).catch(() => null);
        if (client === null) continue;
        clients.push({ client, shard: -1 });
        client.onMessage = ({ body, headers }) => {
          void client.confirmed('ACK', { id: headers['ack']! }).then((isConfirmed) => {
            if (isConfirmed) settled.add(body);
          });
          counts.set(body, (counts.get(body) ?? 0) + 1);
          // Its acknowledgement was confirmed before.
          if (settled.has(body)) again.push(body);
          if (counts.get(body)! > 1 && headers['redelivered'] !== 'true') again.push(body);
        };
        await client.subscribe(queue);
        await until(() => client.isClosed || (!isLoading && total('queueMessages') === 0), 'it ends');
      }
    };
    const stored = new Set<string>();
    const produce = async (): Promise<void> => {
      while (isLoading) {
        const client = await StompClient.connect(`ws://${HOST}:${server.port}/stomp`).catch(() => null);
        if (client === null) continue;
        clients.push({ client, shard: -1 });
        while (isLoading && !client.isClosed) {
          const bodies = numbers(10, sent);
          sent += 10;
          await Promise.all(
            bodies.map(async (body) => {
              if (await client.confirmed('SEND', { destination: queue }, body)) stored.add(body);
            }),
          );
        }
      }
    };
    const all = [consume(), consume(), produce(), produce()];
    for (let i = 0; i < 10; i++) {
      const before = counts.size;
      await server.reload();
      await until(() => counts.size > before, 'it goes on');
    }
    isLoading = false;
    await Promise.all(all);
    expect(crashes).toEqual([]);
    expect(total('queueLost')).toBe(0);
    expect(again).toEqual([]);
    expect([...stored].filter((body) => !counts.has(body))).toEqual([]);
  });
});

it('keeps no queue that nobody needs, of 100,000', async () => {
  await start(2, { maxQueues: 1000 });
  const client = await clientOn(0);
  for (let i = 0; i < 100_000; i++) {
    client.send('SUBSCRIBE', { destination: `/queue/${i}`, id: `${i}` });
    client.send('UNSUBSCRIBE', { id: `${i}` });
    if (i % 500 === 0) await client.confirmed('SUBSCRIBE', { destination: '/queue/x', id: `x${i}` });
    if (i % 500 === 0) await client.confirmed('UNSUBSCRIBE', { id: `x${i}` });
  }
  expect(client.errors).toEqual([]);
  expect(await client.confirmed('SEND', { destination: '/queue/last' }, 'x')).toBe(true);
});

it('delivers each of 10,000 messages, with a consumer that dies and one that stalls', async () => {
  await start(4);
  const queue = queueOf(0);
  const COUNT = 10_000;
  const sender = await clientOn(0);
  const consumers = [await clientOn(0), await clientOn(1), await clientOn(2), await clientOn(3)];
  const [, , doomed, stalled] = consumers;
  /** Whose acknowledgement was confirmed. */
  const done = new Map<string, number>();
  const again: string[] = [];
  for (const client of consumers) {
    client.onMessage = ({ body, headers }) => {
      if (done.has(body)) again.push(body);
      if (client === stalled && client.messages.length > 300) return;
      void client.confirmed('ACK', { id: headers['ack']! }).then((isConfirmed) => {
        if (isConfirmed) done.set(body, (done.get(body) ?? 0) + 1);
      });
    };
    await client.subscribe(queue);
  }
  for (let i = 0; i < COUNT; i += 100) {
    for (const body of numbers(99, i)) sender.send('SEND', { destination: queue }, body);
    expect(await sender.confirmed('SEND', { destination: queue }, `${i + 99}`)).toBe(true);
    if (i === COUNT / 2) {
      await until(() => doomed!.messages.length > 0, 'the one that dies is at work');
      await crash(2);
    }
  }
  await until(
    () => total('queueMessages') === total('queueUnacknowledged'),
    'nothing waits but with the one that stalls',
  );
  await until(() => total('queueMessages') <= 100, 'only the one that stalls has messages');
  stalled!.close();
  await until(() => total('queueMessages') === 0, 'the queue is empty');
  await until(() => done.size >= COUNT - 200, 'acknowledgements are confirmed');
  const got = new Set(consumers.flatMap(({ bodies }) => bodies));
  expect(got.size).toBe(COUNT);
  expect(again).toEqual([]);
  expect([...done.values()].every((count) => count === 1)).toBe(true);
  expect(total('queueLost')).toBe(0);
});
