import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { App, type AppOptions, type ListenSocket, us_listen_socket_close } from 'millrace';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { canTransferSockets } from '../../../dist/src/net/socket-transfer.js';
import { openDescriptors } from '../../support/clients/alive.ts';
import {
  type ConnectFrom,
  HostileClient,
  handshakeHead,
  inParallel,
  requestHead,
} from '../../support/clients/hostile-client.ts';
import { Talker } from '../../support/clients/talker.ts';
import { startApp, startServe, type Target } from '../../support/servers/hostile-server.ts';
import { HOST } from '../../support/servers/server.ts';
import { tlsMode } from '../../support/tls/tls-mode.ts';
import { DEADLINE, until } from '../../support/tools/deadline.ts';
import { ChildApp } from '../group/joined-apps.ts';

/** Connections are counted by the address of their peer from accept to their end, and nobody keeps others out. */

const LIMIT = 10;
/** Those too many that an address may have open, to be told so. */
const TOLD = 4;

afterEach(() => {
  for (const client of HostileClient.live) client.destroy();
  tlsMode.isOn = false;
  vi.restoreAllMocks();
});

/** The status of the answer to a handshake, '' when there is none. One that is accepted stays open. */
async function statusOf(port: number, from: ConnectFrom = {}): Promise<string> {
  const client = await HostileClient.open(port, from).catch(() => null);
  if (client === null) return '';
  client.write(handshakeHead('/echo'));
  await client.until(() => client.isOver || client.bytes.includes('\r\n\r\n'), 'an answer');
  const status = client.bytes.toString('latin1', 9, 12);
  if (status === '101') return status;
  await client.untilOver();
  client.destroy();
  return status;
}

/** Connects until it is let in. */
async function untilIn(port: number, from: ConnectFrom = {}): Promise<void> {
  const deadline = performance.now() + DEADLINE;
  while ((await statusOf(port, from)) !== '101') {
    if (performance.now() > deadline) throw new Error('nobody is let in');
  }
}

/** Connections that say nothing. Those that are cut off at once are left out. */
async function openIdle(port: number, count: number, from: ConnectFrom = {}): Promise<HostileClient[]> {
  const clients: HostileClient[] = [];
  await inParallel(Array.from({ length: count }), 20, async () => {
    const client = await HostileClient.open(port, from).catch(() => null);
    if (client !== null) clients.push(client);
  });
  return clients;
}

const stillOpen = (clients: readonly HostileClient[]): number =>
  clients.filter((client) => !client.isOver).length;

const startTls = async (options = {}): Promise<Target> => {
  tlsMode.isOn = true;
  return await startServe(options);
};
const startTransfer = (options = {}): Promise<Target> => startServe({ ...options, handoff: 'transfer' });

const WAYS = [
  ['serve()', startServe],
  ['App()', startApp],
  ['serve() with TLS', startTls],
  ...(canTransferSockets() ? [['serve() with handoff by transfer', startTransfer] as const] : []),
] as const;

describe.each(WAYS)('%s', (_name, start) => {
  let target: Target;
  afterEach(() => target.close());

  it('counts connections of an address that say nothing, and lets others in', async () => {
    target = await start({ maxConnectionsPerAddress: LIMIT, maxConnections: 200 });
    const idle = await openIdle(target.port, 264, { from: '127.0.0.9' });
    await until(() => stillOpen(idle) <= LIMIT + TOLD, 'the others are cut off');
    expect(stillOpen(idle)).toBeGreaterThanOrEqual(LIMIT);
    expect(['429', '']).toContain(await statusOf(target.port, { from: '127.0.0.9' }));
    for (let i = 0; i < LIMIT; i++) expect(await statusOf(target.port)).toBe('101');
    expect(await statusOf(target.port)).toBe(tlsMode.isOn ? '' : '429');
    for (const client of idle) client.destroy();
    await untilIn(target.port, { from: '127.0.0.9' });
  });

  it('counts requests that are kept alive, and what lingers behind a refusal', async () => {
    target = await start({ maxConnectionsPerAddress: 3 });
    const [kept, broken, refused] = await openIdle(target.port, 3);
    kept!.write(requestHead('GET /hello HTTP/1.1', ['Host: x']));
    await kept!.until(() => kept!.bytes.includes('Hello'), 'the response');
    broken!.write('NONSENSE\r\n\r\n');
    await broken!.until(() => broken!.bytes.includes('400'), 'the refusal');
    refused!.write(requestHead('GET /nowhere-at-all HTTP/1.1', ['Host: x', 'Connection: close']));
    await refused!.until(() => refused!.hasFin, 'the response');
    expect(await statusOf(target.port)).toBe(tlsMode.isOn ? '' : '429');
    broken!.destroy();
    await untilIn(target.port);
    expect(await statusOf(target.port)).toBe(tlsMode.isOn ? '' : '429');
  });

  it('gives the place of who says nothing to who comes next, when all are taken', async () => {
    // Longer than this test waits: they are not gone by themselves.
    target = await start({ maxConnections: 10, handshakeTimeout: 60 });
    const first = await openIdle(target.port, 5);
    const second = await openIdle(target.port, 100);
    // Whoever says at once what it wants gets in, however many others sit there.
    for (let i = 0; i < 10; i++) await untilIn(target.port);
    await until(() => first.every((client) => client.isOver), 'the oldest gave way');
    // Those who are in stay. A shard that gets sockets unread cuts one off when who was to give way was served meanwhile.
    const refusals = tlsMode.isOn ? [''] : start === startTransfer ? ['503', ''] : ['503'];
    expect(refusals).toContain(await statusOf(target.port));
    expect(stillOpen(second)).toBeLessThanOrEqual(64);
  });

  it('leaves no descriptor of those it refuses', async () => {
    target = await start({ maxConnectionsPerAddress: 2, maxConnections: 8 });
    for (let i = 0; i < 2; i++) expect(await statusOf(target.port)).toBe('101');
    const before = openDescriptors();
    await inParallel(Array.from({ length: 300 }), 10, async () => {
      await statusOf(target.port);
    });
    await until(() => openDescriptors() <= before, `no more than ${before} descriptors are open`);
  });
});

describe('serve()', () => {
  let threads: Worker[] = [];
  let target: Target;
  beforeEach(() => {
    threads = [];
    process.on('worker', (worker) => threads.push(worker));
  });
  afterEach(async () => {
    process.removeAllListeners('worker');
    await target.close();
  });

  it('counts on when the acceptor dies', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    target = await startServe({ maxConnectionsPerAddress: LIMIT });
    const { port } = target;
    for (let i = 0; i < 6; i++) expect(await statusOf(port)).toBe('101');
    const idle = await openIdle(port, 4);
    expect(await statusOf(port)).toBe('429');
    for (let death = 1; death <= 2; death++) {
      const count = threads.length;
      await threads.at(-1)!.terminate();
      await until(() => threads.length > count, 'there is another acceptor');
    }
    // What the dead one had not handed over is gone.
    await until(() => stillOpen(idle) === 0, 'those are closed');
    for (let i = 0; i < 4; i++) expect(await statusOf(port)).toBe('101');
    expect(await statusOf(port)).toBe('429');
    expect(await statusOf(port, { from: '127.0.0.9' })).toBe('101');
  });

  it('sends sticky connections to the same shards when the acceptor dies', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    target = await startServe({ shards: 4, balance: { sticky: 'url' } });
    const shards = async (): Promise<string[]> => {
      const keys = Array.from({ length: 24 }, (_, i) => `/control/${i}`);
      const talkers = await Promise.all(keys.map((path) => Talker.open(target.port, path)));
      for (const { client } of talkers) client.destroy();
      return talkers.map(({ shard }) => shard);
    };
    const before = await shards();
    expect(new Set(before).size).toBeGreaterThan(1);
    const count = threads.length;
    await threads.at(-1)!.terminate();
    await until(() => threads.length > count, 'there is another acceptor');
    // The shards join it one by one.
    for (let after: string[] = []; after.join() !== before.join(); ) after = await shards();
  });

  it('counts on when shards are replaced, and forgets those that died', async () => {
    target = await startServe({ maxConnectionsPerAddress: 4, shards: 2 });
    const talkers = await Promise.all(Array.from({ length: 4 }, () => Talker.open(target.port)));
    expect(await statusOf(target.port)).toBe('429');
    const [victim] = talkers;
    const there = talkers.filter(({ shard }) => shard === victim!.shard).length;
    victim!.command('exit:1');
    await until(() => target.crashes.length === 1, 'the crash is told');
    for (let i = 0; i < there; i++) expect(await statusOf(target.port)).toBe('101');
    expect(await statusOf(target.port)).toBe('429');
    await target.server!.reload({ drain: 50 });
    for (let i = 0; i < 4; i++) expect(await statusOf(target.port)).toBe('101');
    expect(await statusOf(target.port)).toBe('429');
  });

  it('counts IPv4 that comes by an IPv6 socket as IPv4, and apart from IPv6', async () => {
    target = await startServe({ maxConnectionsPerAddress: 2, host: '::' });
    const { port } = target;
    for (const to of [HOST, '::1']) {
      for (let i = 0; i < 2; i++) expect(await statusOf(port, { to })).toBe('101');
      expect(await statusOf(port, { to })).toBe('429');
    }
  });
});

/** A header of the PROXY protocol, version 2, for a client with this address of 16 bytes. */
function proxyHeader(address: string): Buffer {
  const source = Buffer.from(address.replaceAll(':', ''), 'hex');
  const rest = Buffer.concat([source, Buffer.alloc(16), Buffer.of(0x12, 0x34, 0, 80)]);
  return Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a21210024', 'hex'), rest]);
}

async function listen(app: ReturnType<typeof App>): Promise<ListenSocket> {
  return await new Promise((resolve, reject) => {
    setTimeout(reject, DEADLINE, new Error('no callback of listen')).unref();
    app.listen(HOST, 0, (socket) => {
      if (socket === false) reject(new Error('cannot listen'));
      else resolve(socket);
    });
  });
}

describe('App()', () => {
  it('behind a proxy counts the clients it speaks for, IPv6 by /64', async () => {
    const app = App({ proxyProtocol: true, maxConnectionsPerAddress: 2 });
    app.get('/hello', (res) => {
      res.end('Hello');
    });
    const { port } = await listen(app);
    const ask = async (address: string): Promise<string> => {
      const client = await HostileClient.open(port);
      client.write(Buffer.concat([proxyHeader(address), requestHead('GET /hello HTTP/1.1', ['Host: x'])]));
      await client.until(() => client.isOver || client.bytes.includes('\r\n\r\n'), 'an answer');
      return client.bytes.toString('latin1', 9, 12);
    };
    const network = '2001:0db8:0000:0001:';
    expect(await ask(`${network}0000:0000:0000:0001`)).toBe('200');
    expect(await ask(`${network}0000:0000:0000:0002`)).toBe('200');
    expect(await ask(`${network}abcd:0000:0000:0003`)).toBe('429');
    expect(await ask('2001:0db8:0000:0002:0000:0000:0000:0001')).toBe('200');
    // IPv4 in IPv6.
    for (const [last, status] of [
      ['01', '200'],
      ['01', '200'],
      ['01', '429'],
      ['02', '200'],
    ] as const) {
      expect(await ask(`0000:0000:0000:0000:0000:ffff:c000:02${last}`)).toBe(status);
    }
    app.close();
  });

  it('limits nobody on a Unix socket, which has no address', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-addresses-'));
    const path = join(folder, 'app.sock');
    const app = App({ maxConnectionsPerAddress: 1 });
    app.get('/', (res) => {
      res.end('here');
    });
    await new Promise<void>((resolve) => {
      app.listen_unix(() => {
        resolve();
      }, path);
    });
    const sockets = Array.from({ length: 5 }, () => connect(path));
    const answers = sockets.map(async (socket) => {
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      const [bytes] = (await once(socket, 'data')) as [Buffer];
      return bytes.toString('latin1', 9, 12);
    });
    expect(await Promise.all(answers)).toEqual(['200', '200', '200', '200', '200']);
    for (const socket of sockets) socket.destroy();
    app.close();
    rmSync(folder, { recursive: true });
  });

  it('counts for its children too, also when they die', async () => {
    const options: AppOptions = { maxConnectionsPerAddress: LIMIT };
    const app = App(options);
    const data = { tally: new SharedArrayBuffer(64), channel: `addresses ${process.pid}` };
    const children = [
      await ChildApp.start(1, 'hostile-app.js', data),
      await ChildApp.start(2, 'hostile-app.js', data),
    ];
    for (const { descriptor } of children) app.addChildAppDescriptor(descriptor);
    const socket = await listen(app);
    const { port } = socket;
    await until(
      () => app.childAppStats().children.every(({ state }) => state === 'joined'),
      'they are joined',
    );
    for (let i = 0; i < LIMIT; i++) expect(await statusOf(port)).toBe('101');
    expect(await statusOf(port)).toBe('429');
    expect(await statusOf(port, { from: '127.0.0.9' })).toBe('101');
    const open = [...HostileClient.live];
    open[0]!.destroy();
    await untilIn(port);
    expect(await statusOf(port)).toBe('429');
    await children[0]!.worker.terminate();
    await untilIn(port);
    us_listen_socket_close(socket);
    app.close();
    for (const { worker } of children) await worker.terminate();
  });

  it('counts what waited for the first child, which it gets right behind the greeting', async () => {
    const app = App({ maxConnectionsPerAddress: LIMIT });
    const child = await ChildApp.start(1, 'hostile-app.js', {
      tally: new SharedArrayBuffer(64),
      channel: `addresses ${process.pid}`,
    });
    const socket = await listen(app);
    app.addChildAppDescriptor(child.descriptor);
    const statuses = await Promise.all(Array.from({ length: LIMIT }, () => statusOf(socket.port)));
    expect(statuses).toEqual(Array.from({ length: LIMIT }, () => '101'));
    expect(app.childAppStats().children[0]!.sent).toBe(LIMIT);
    expect(await statusOf(socket.port)).toBe('429');
    us_listen_socket_close(socket);
    app.close();
    await child.worker.terminate();
  });
});
