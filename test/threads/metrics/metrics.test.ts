import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Server, serve } from 'millrace';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlBlock } from '../../../dist/src/metrics/control-block.js';
import { Counter } from '../../../dist/src/metrics/counter.js';
import { bucketOf, type HistogramReading } from '../../../dist/src/metrics/histogram.js';
import { Client } from '../../support/clients/clients.ts';
import { HOST } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

const APP = new URL('../../integration/fixtures/metrics-app.js', import.meta.url);

let server: Server | undefined;
let gate: Int32Array;
const clients: Client[] = [];

beforeEach(() => {
  gate = new Int32Array(new SharedArrayBuffer(8));
});
afterEach(async () => {
  open();
  for (const { socket } of clients.splice(0)) socket.terminate();
  await server?.close({ drain: 0 });
  server = undefined;
});

function open(): void {
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
}

async function start(): Promise<Server> {
  server = await serve({
    app: APP,
    port: 0,
    host: HOST,
    shards: 2,
    balance: 'round-robin',
    data: { gate },
    onCrash: () => {},
  });
  return server;
}

async function connect({ port }: Server): Promise<[client: Client, shard: number]> {
  const client = await Client.connect(`ws://${HOST}:${port}/`);
  clients.push(client);
  return [client, Number(await client.next())];
}

test('what two threads observe is read meanwhile: it only grows, and in the end nothing is missing', async () => {
  const control = new ControlBlock(2);
  const values = [3, 100, 5000, 0];
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const workers = [0, 1].map(
    (shard) =>
      new Worker(new URL('../fixtures/histogram-writer.js', import.meta.url), {
        workerData: { memory: control.memory, shard, values, stop, counter: Counter.MESSAGES_IN },
      }),
  );
  const answers = Promise.all(workers.map((worker) => once(worker, 'message') as Promise<[number]>));
  const read = (shard: number): HistogramReading => control.shard(shard).histograms.messageSize.read();
  const seen = [[read(0)], [read(1)]];
  await until(() => {
    for (const shard of [0, 1]) {
      const now = read(shard);
      if (now.count > seen[shard]!.at(-1)!.count) seen[shard]!.push(now);
    }
    return seen.every(({ length }) => length > 50);
  }, 'each was read 50 times while it grew');
  Atomics.store(stop, 0, 1);
  const rounds = (await answers).map(([count]) => count);
  for (const shard of [0, 1]) {
    const { counters } = control.shard(shard);
    const last = read(shard);
    expect([last.count, last.sum]).toEqual([values.length * rounds[shard]!, rounds[shard]! * 5103]);
    for (const value of values) expect(last.counts[bucketOf(value)]).toBe(rounds[shard]);
    expect(counters[Counter.MESSAGES_IN]).toBe(values.length * rounds[shard]!);
    const all = [...seen[shard]!, last];
    for (let i = 1; i < all.length; i++) {
      expect(all[i]!.sum).toBeGreaterThanOrEqual(all[i - 1]!.sum);
      const hasGrown = all[i]!.counts.every(
        (count, bucket) => Number.isInteger(count) && count >= all[i - 1]!.counts[bucket]!,
      );
      expect(hasGrown).toBe(true);
    }
  }
});

test('of a shard that stands still the heartbeat grows old, and its delay is made up for when it goes on', async () => {
  const running = await start();
  const [client, shard] = await connect(running);
  const age = (): number => running.stats().shards[shard]!.heartbeatAge;
  client.socket.send('hold');
  await until(() => Atomics.load(gate, 0) === 1, 'it is held');
  const before = running.stats().shards[shard]!.loopDelay;
  await until(() => age() > 600, 'the heartbeat is old');
  // Nothing is told by a loop that does not turn.
  expect(running.stats().shards[shard]!.loopDelay).toEqual(before);
  open();
  await until(() => age() < 600, 'it goes on');
  const { count, sum } = running.stats().shards[shard]!.loopDelay;
  // 600 ms: the timer was at least 500 late, and ten of its calls were missed.
  expect(count - before.count).toBeGreaterThanOrEqual(10);
  expect(sum - before.sum).toBeGreaterThanOrEqual(500 + 450 + 400);
});

test('counters and histograms go on in the next life of a shard, whose sockets are closed', async () => {
  const running = await start();
  const [client, shard] = await connect(running);
  await client.ask('echo');
  const before = running.stats().shards[shard]!;
  expect([before.webSockets, before.live, before.messagesIn, before.handlerTime.count]).toEqual([1, 1, 1, 1]);
  open();
  client.socket.send('hold-and-exit');
  await until(() => running.stats().shards[shard]!.crashes === 1, 'it has ended');
  await until(() => running.stats().shards[shard]!.state === 'ready', 'it is back');
  const after = running.stats().shards[shard]!;
  expect(after).toMatchObject({
    webSockets: 0,
    sockets: 0,
    live: 0,
    opened: 1,
    closed: 1,
    messagesIn: 2,
    crashes: 1,
  });
  // The handler that ended the thread did not return.
  expect([after.handlerTime.count, after.messageSize.count]).toEqual([1, 1]);
  await running.reload();
  const [again] = await connect(running);
  await again.ask('echo');
  const { total } = running.stats();
  expect([total.messagesIn, total.opened, total.crashes]).toEqual([3, 2, 1]);
});

test('the main thread and the acceptor have metrics of their own', async () => {
  const running = await start();
  const [client] = await connect(running);
  await client.ask('subscribe news');
  expect(running.publish('news', 'from main')).toBe(true);
  expect(await client.next()).toBe('from main');
  await until(() => running.stats().acceptor.loopDelay.count > 0, 'its loop turns');
  await until(() => running.stats().main.loopDelay.count > 0, 'the loop here turns');
  await until(() => running.stats().total.delivered === 1, 'the publish is delivered');
  const { main, acceptor, total } = running.stats();
  expect([main.published, total.published, total.delivered]).toEqual([1, 0, 1]);
  expect([acceptor.requests, acceptor.socketsOpened, acceptor.socketsClosed]).toEqual([1, 1, 1]);
  await running.close({ drain: 0 });
  expect(running.stats().main.heartbeatAge).toBe(0);
});
