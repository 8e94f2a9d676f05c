import type { Worker } from 'node:worker_threads';
import { type Server, serve } from 'millrace';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { canTransferSockets } from '../../../dist/src/net/socket-transfer.js';
import { openDescriptors } from '../../support/clients/alive.ts';
import { Client } from '../../support/clients/clients.ts';
import { HostileClient, handshakeHead, inParallel } from '../../support/clients/hostile-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { frameBytes, pattern, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { startServe } from '../../support/servers/hostile-server.ts';
import { HOST } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

/** Shards that get their sockets by postMessage. Where Node.js cannot do that, the error is what is tested. */

const start = (options = {}): Promise<Server> =>
  serve({
    app: new URL('../fixtures/main-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: 2,
    handoff: 'transfer',
    ...options,
  });

const withoutTransfer = (): void => {
  test('it is an error that says since when they can be', async () => {
    await expect(start()).rejects.toMatchObject({
      code: 'MILLRACE_UNSUPPORTED_RUNTIME',
      message: `handoff: 'transfer' needs Node.js 24.20, 26.6 or later; this is ${process.version}`,
    });
  });
};

const withTransfer = (): void => {
  let server: Server;
  const url = (path: string): string => `ws://${HOST}:${server.port}${path}`;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close({ drain: 0 }));

  test('connections are spread over the shards, and echo', async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, () => Client.connect(url('/echo'))));
    await Promise.all(
      clients.map(async (client, i) => {
        expect(await client.ask(`client ${i}`)).toBe(`client ${i}`);
        const bytes = pattern(1000 + i * 100, i);
        expect(Buffer.compare((await client.ask(bytes)) as Uint8Array, bytes)).toBe(0);
      }),
    );
    for (const shard of server.stats().shards) expect(shard.webSockets).toBe(20);
    await Promise.all(clients.map((client) => client.close()));
    await until(() => server.stats().total.sockets === 0, 'all sockets are closed');
  });

  test('a handshake that is none is refused by the shard', async () => {
    const client = await RawClient.connect(server.port);
    client.write('GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    expect((await client.response()).status).toBe(426);
    client.destroy();
  });

  test('a shard that ends is replaced, and the connections of the other one go on', async () => {
    const target = await startServe({ shards: 2, handoff: 'transfer' });
    const connect = async (): Promise<{ client: Client; shard: string }> => {
      const client = await Client.connect(`ws://${HOST}:${target.port}/control`);
      return { client, shard: (await client.next()) as string };
    };
    const connections = await Promise.all(Array.from({ length: 10 }, connect));
    const [first, ...rest] = connections;
    first!.client.send('!exit:1');
    const others = rest.filter(({ shard }) => shard !== first!.shard);
    expect(others).toHaveLength(5);
    for (const { client } of others) expect(await client.ask('alive?')).toBe('alive?');
    await until(() => target.crashes.length === 1, 'the shard ended');
    await until(
      () => target.server!.stats().shards.every(({ state }) => state === 'ready'),
      'it is replaced',
    );
    // The acceptor hears of the new thread a moment after it is ready.
    const later: Awaited<ReturnType<typeof connect>>[] = [];
    while (new Set(later.map(({ shard }) => shard)).size < 2) later.push(await connect());
    for (const { client } of later) expect(await client.ask('alive?')).toBe('alive?');
    await target.close();
  });
};

/** In every way that a connection can end, also one that is on its way. */
const withoutLeaks = (): void => {
  afterEach(() => {
    for (const client of HostileClient.live) client.destroy();
    vi.restoreAllMocks();
  });

  const connectMany = async (port: number, count: number): Promise<void> => {
    await inParallel(Array.from({ length: count }), 10, async () => {
      const client = await HostileClient.open(port).catch(() => null);
      client?.write(handshakeHead('/echo'));
    });
  };
  const drop = (): void => {
    for (const client of HostileClient.live) client.destroy();
  };

  test('a shard that dies with connections it has not taken leaves none of them', async () => {
    const target = await startServe({ shards: 2, handoff: 'transfer' });
    const threads = target.server!;
    const before = openDescriptors();
    for (let round = 0; round < 3; round++) {
      const blocker = await HostileClient.upgrade(target.port, '/control');
      blocker.write(frameBytes(text('!block:500'), SAMPLE_KEY));
      blocker.write(frameBytes(text('!exit:1'), SAMPLE_KEY));
      await connectMany(target.port, 60);
      await until(() => target.crashes.length === round + 1, 'the shard died');
      await until(() => threads.stats().shards.every(({ state }) => state === 'ready'), 'it is back');
      drop();
      await until(() => threads.stats().total.sockets === 0, 'all are closed');
    }
    await until(() => openDescriptors() <= before, `no more than ${before} descriptors are open`);
    await target.close();
  });

  test('an acceptor that dies, a reload and a drain leave none', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const workers: Worker[] = [];
    process.on('worker', (worker) => workers.push(worker));
    const target = await startServe({ shards: 2, handoff: 'transfer' });
    await connectMany(target.port, 4);
    drop();
    await until(() => target.server!.stats().total.sockets === 0, 'all are closed');
    const before = openDescriptors();
    const count = workers.length;
    const storm = connectMany(target.port, 60);
    await workers.at(-1)!.terminate();
    await storm;
    await until(() => workers.length > count, 'there is another acceptor');
    await connectMany(target.port, 20);
    await target.server!.reload({ drain: 50 });
    drop();
    await until(() => target.server!.stats().total.sockets === 0, 'all are closed');
    // The two shards may have been started anew, with descriptors of their own.
    await until(() => openDescriptors() <= before, `no more than ${before} descriptors are open`);
    process.removeAllListeners('worker');
    await target.close();
  });
};

if (canTransferSockets()) describe('descriptors', withoutLeaks);
if (canTransferSockets()) describe('where sockets can be transferred', withTransfer);
else describe('where sockets cannot be transferred', withoutTransfer);
