import { type FullHeap, type ServeOptions, type Server, serve } from 'millrace';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { HOST } from '../../support/servers/server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const APP = new URL('../fixtures/leaking-app.js', import.meta.url);
const MIB = 1024 * 1024;

let server: Server;
let reports: { shard: number; heap: FullHeap }[];
let crashes: unknown[];

const noting: Partial<ServeOptions> = {
  onCrash: (_shard, error) => crashes.push(error),
  onHeapFull: (shard, heap) => reports.push({ shard, heap }),
};

async function start(
  data: { start: number; isBusy: boolean },
  options: Partial<ServeOptions>,
  callbacks = noting,
): Promise<void> {
  server = await serve({
    app: APP,
    port: 0,
    host: HOST,
    shards: 2,
    data,
    balance: 'round-robin',
    ...callbacks,
    ...options,
  });
}

const connect = (): Promise<Client> => Client.connect(`ws://${HOST}:${server.port}/`);

beforeEach(() => {
  reports = [];
  crashes = [];
});
afterEach(() => server.close({ drain: 0 }));

it('a shard whose handler leaks is replaced before its heap is full; the others notice nothing', async () => {
  await start({ start: 0, isBusy: false }, { maxHeapSize: 256, heapWatermark: 30 });
  const clients = [await connect(), await connect()];
  const shards = await Promise.all(clients.map(async (client) => Number(await client.next())));
  const leaking = clients[shards.indexOf(0)]!;
  const other = clients[shards.indexOf(1)]!;
  // As fast as it takes a few seconds to the limit: the shard looks once a second.
  await leaking.ask('40');
  while (reports.length === 0) {
    await leaking.ask('2');
    await sleep(20);
  }
  const { shard, heap } = reports[0]!;
  expect([shard, heap.delay, heap.error]).toEqual([0, 0, undefined]);
  expect(heap.used).toBeGreaterThan(0.3 * heap.limit);
  expect(heap.limit).toBe(256 * MIB);
  expect((await leaking.closed()).code).toBe(1001);
  await until(() => server.stats().shards[0]!.recycled === 1, 'the shard is replaced');
  await until(() => server.stats().shards[0]!.state === 'ready', 'its successor serves');
  expect(await other.ask('0')).toEqual(expect.anything());
  const after = [await connect(), await connect()];
  expect((await Promise.all(after.map((client) => client.next()))).sort()).toEqual(['0', '1']);
  await until(() => server.stats().shards[0]!.heapUsed < 0.3 * heap.limit, 'the heap is small again');
  expect(server.stats().total.recycled).toBe(1);
  expect(crashes).toEqual([]);
  for (const { socket } of [other, ...after]) socket.terminate();
});

it('a heap that is full again at once is told, and left alone for a while', async () => {
  const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
  await start({ start: 50, isBusy: true }, { maxHeapSize: 128, heapWatermark: 30, shards: 1 }, {});
  await until(() => printed.mock.calls.length === 3, 'it is told that it does not help');
  const [first, , third] = printed.mock.calls.map(([line]) => line as string);
  expect(first).toMatch(/^millrace: the heap of shard 0 is full \(\d+ of 128 MiB\); it is replaced$/);
  expect(third).toMatch(/full again \(\d+ of 128 MiB\); .* did not help, .* in \d+ s at the earliest$/);
  expect(server.stats().total.recycled).toBe(2);
  expect(await (await fetch(`http://${HOST}:${server.port}/`)).text()).toBe('still there');
  printed.mockRestore();
});

it('a watermark of 0 is none, and the heap is counted all the same', async () => {
  await start({ start: 40, isBusy: true }, { maxHeapSize: 128, heapWatermark: 0, shards: 1 });
  await until(() => server.stats().shards[0]!.heapUsed > 40 * MIB, 'the heap was looked at');
  expect(server.stats().shards[0]!.heapLimit).toBe(128 * MIB);
  expect(reports).toEqual([]);
});
