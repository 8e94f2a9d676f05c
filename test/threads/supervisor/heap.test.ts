import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
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
  data: { start: number; isBusy: boolean; gate?: Int32Array },
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
  // Another life of it is told of, too.
  await fetch(`http://${HOST}:${server.port}/die`);
  const complaints = (): unknown[] =>
    printed.mock.calls.filter(([line]) => /full again/.test(line as string));
  await until(() => complaints().length === 2, 'it is told when the shard has died');
  printed.mockRestore();
});

it('a shard that is replaced because its heap is full hands over what it keeps by name', async () => {
  await start({ start: 0, isBusy: true }, { maxHeapSize: 128, heapWatermark: 30, shards: 1 });
  const get = async (path: string): Promise<string> =>
    (await fetch(`http://${HOST}:${server.port}${path}`)).text();
  await get('/text/kept');
  const client = await connect();
  await client.next();
  await client.ask('50');
  await until(() => server.stats().shards[0]!.recycled === 1, 'it is replaced');
  expect(await get('/text')).toBe('kept'.repeat(1_000_000));
  const { handovers, handoverBytes, statesLost } = server.stats().total;
  expect({ handovers, handoverBytes, statesLost }).toEqual({
    handovers: 1,
    handoverBytes: 4_000_000,
    statesLost: 0,
  });
  expect(crashes).toEqual([]);
});

it('a watermark of 0 is none, and the heap is counted all the same', async () => {
  await start({ start: 40, isBusy: true }, { maxHeapSize: 128, heapWatermark: 0, shards: 1 });
  await until(() => server.stats().shards[0]!.heapUsed > 40 * MIB, 'the heap was looked at');
  expect(server.stats().shards[0]!.heapLimit).toBe(128 * MIB);
  expect(reports).toEqual([]);
});

it('a shard that is empty again when its turn has come stays', async () => {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  await start({ start: 0, isBusy: true, gate }, { maxHeapSize: 128, heapWatermark: 30 });
  const clients = [await connect(), await connect()];
  const shards = await Promise.all(clients.map(async (client) => Number(await client.next())));
  const [first, second] = [clients[shards.indexOf(0)]!, clients[shards.indexOf(1)]!];
  const told = (shard: number): FullHeap[] =>
    reports.filter((report) => report.shard === shard).map(({ heap }) => heap);
  gate[0] = 1;
  await first.ask('50');
  await until(() => told(0).length === 1, 'the first is full');
  await second.ask('50');
  await until(() => told(1).length === 1, 'the second is full, and waits for the first');
  await second.ask('-1');
  await until(() => server.stats().shards[1]!.heapUsed < 0.3 * 128 * MIB, 'the second is empty again');
  Atomics.store(gate, 0, 0);
  await until(() => server.stats().shards[0]!.recycled === 1, 'the first is replaced');
  // It can be full again only when its turn is over.
  expect(await second.ask('50')).toEqual(expect.anything());
  await until(() => told(1).length === 2, 'the second is full again');
  expect([told(1)[1]!.delay, told(1)[1]!.error]).toEqual([0, undefined]);
  await until(() => server.stats().shards[1]!.recycled === 1, 'the second is replaced');
  for (const { socket } of clients) socket.terminate();
});

it.each([
  [[], 128],
  [['--max-old-space-size=5000'], 5000],
  [['--max-old-space-size=100'], 100],
])('with %j the limit of a heap is %i MiB', async (flags, limit) => {
  const script = fileURLToPath(new URL('../fixtures/heap-limit.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script]);
  expect(Number(stdout)).toBe(limit);
});
