import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { type ServeOptions, type Server, serve } from 'millrace';
import { request } from 'undici';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDescriptors } from '../../support/clients/alive.ts';
import { Client } from '../../support/clients/clients.ts';
import { HostileClient, handshakeHead } from '../../support/clients/hostile-client.ts';
import { HOST } from '../../support/servers/server.ts';
import { LONG, until } from '../../support/tools/deadline.ts';

/** An app of two files, which the tests write anew. */
let folder = '';
let server: Server;
const crashes: unknown[] = [];

/** What the app says of itself is in a file that it imports. */
function write(version: string, extra = ''): void {
  writeFileSync(join(folder, 'version.mjs'), `export const version = ${JSON.stringify(version)};\n`);
  writeFileSync(
    join(folder, 'app.mjs'),
    `import { version } from './version.mjs';
    export default (app, shard) => {
      ${extra}
      app.ws('/', {
        open: (ws) => {
          ws.subscribe('all');
          ws.send(version + ' ' + shard.index);
        },
        message: (ws, message) => ws.publish('all', message),
      });
      app.get('/', (res) => {
        res.end(version);
      });
    };`,
  );
}

/** Starts a server one of whose shards is busy for `ms`, soon. Returns how to wait until it is. */
async function startBusy(
  ms: number,
  after: number,
  options: Partial<ServeOptions>,
): Promise<() => Promise<void>> {
  write(
    'one',
    `app.get('/busy', (res) => {
      res.end('soon');
      setTimeout(() => {
        Atomics.store(new Int32Array(shard.data), 0, 1);
        for (const end = performance.now() + ${ms}; performance.now() < end; );
      }, ${after});
    });`,
  );
  const flags = new Int32Array(new SharedArrayBuffer(4));
  await start({ ...options, data: flags.buffer });
  const { body } = await request(`http://${HOST}:${server.port}/busy`, { reset: true });
  expect(await body.text()).toBe('soon');
  return () => until(() => Atomics.load(flags, 0) === 1, 'a shard is busy');
}

async function start(options: Partial<ServeOptions> = {}): Promise<void> {
  server = await serve({
    app: pathToFileURL(join(folder, 'app.mjs')),
    port: 0,
    host: HOST,
    shards: 2,
    balance: 'round-robin',
    onCrash: (_shard, error) => crashes.push(error),
    ...options,
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-reload-'));
  write('one');
});
afterEach(async () => {
  for (const client of HostileClient.live) client.destroy();
  await server.close({ drain: 0 });
  rmSync(folder, { recursive: true });
  expect(crashes.splice(0)).toEqual([]);
});

const connect = (): Promise<Client> => Client.connect(`ws://${HOST}:${server.port}/`);

/** The versions that four new connections get, from both shards. */
async function versions(): Promise<string[]> {
  const clients = await Promise.all(Array.from({ length: 4 }, connect));
  const hellos = await Promise.all(clients.map((client) => client.next()));
  for (const { socket } of clients) socket.terminate();
  return Array.from(new Set(hellos as string[])).sort();
}

describe('server.reload()', () => {
  it('runs the new code of the module and of what it imports, in every shard', async () => {
    await start();
    expect(await versions()).toEqual(['one 0', 'one 1']);
    write('two');
    await server.reload();
    expect(await versions()).toEqual(['two 0', 'two 1']);
    write('three');
    await server.reload();
    expect(await versions()).toEqual(['three 0', 'three 1']);
    expect(await (await fetch(`http://${HOST}:${server.port}/`)).text()).toBe('three');
    expect(server.stats().shards.map(({ state }) => state)).toEqual(['ready', 'ready']);
  });

  it("sends the clients of a shard 1001, and keeps those of the others until it is their shard's turn", async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 8 }, connect));
    const shards = await Promise.all(
      clients.map(async (client) => ((await client.next()) as string).at(-1)!),
    );
    const order: string[] = [];
    const closes = clients.map(async (client, i) => {
      const { code } = await client.closed();
      order.push(shards[i]!);
      return code;
    });
    await server.reload();
    expect(await Promise.all(closes)).toEqual(clients.map(() => 1001));
    expect(order).toEqual(['0', '0', '0', '0', '1', '1', '1', '1']);
    expect(server.stats().total).toMatchObject({ webSockets: 0, sockets: 0 });
  });

  it('keeps the old code when the new one cannot be loaded, and loses no connection', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 4 }, connect));
    for (const client of clients) await client.next();
    write('broken', 'throw new Error("not today");');
    await expect(server.reload()).rejects.toMatchObject({
      code: 'MILLRACE_BAD_MODULE',
      message: expect.stringMatching(/Cannot use the app module .*app\.mjs: not today/) as string,
    });
    clients[0]!.send('still here');
    for (const client of clients.slice(1)) expect(await client.next()).toBe('still here');
    expect(await versions()).toEqual(['one 0', 'one 1']);
    writeFileSync(join(folder, 'app.mjs'), 'this is no JavaScript');
    await expect(server.reload()).rejects.toMatchObject({ code: 'MILLRACE_BAD_MODULE' });
    write('good');
    await server.reload();
    expect(await versions()).toEqual(['good 0', 'good 1']);
    for (const { socket } of clients) socket.terminate();
  });

  it('tells routes of old and new shards apart while both serve', async () => {
    await start({ shards: 3 });
    const held = await Promise.all(Array.from({ length: 3 }, connect));
    for (const client of held) await client.next();
    // The route of the others is at another place now.
    write('two', "app.ws('/first', { open: (ws) => { ws.send('first'); } });");
    // Clients that do not leave hold up each shard for as long as they may.
    for (const { socket } of held) socket.pause();
    const reloaded = server.reload({ drain: 400 });
    const seen = new Set<string>();
    let isOver = false;
    void reloaded.then(() => {
      isOver = true;
    });
    while (!isOver) {
      const client = await connect();
      seen.add((await client.next()) as string);
      client.socket.terminate();
    }
    await reloaded;
    for (const hello of seen) expect(hello).toMatch(/^(one|two) [012]$/);
    expect(Array.from(seen, (hello) => hello.slice(0, 3)).includes('one')).toBe(true);
    for (const { socket } of held) socket.terminate();
    const first = await Client.connect(`ws://${HOST}:${server.port}/first`);
    expect(await first.next()).toBe('first');
    first.socket.terminate();
  });

  it('20 times under churn: every connection is served or told to go, topics work, no descriptor is left', async () => {
    await start();
    await server.reload();
    let isOn = true;
    const ends = { served: 0, told: 0, other: [] as string[] };
    const lane = async (): Promise<void> => {
      while (isOn) {
        const client = await HostileClient.open(server.port);
        client.write(handshakeHead('/'));
        await client.until(() => client.isOver || client.received > 131, 'an answer');
        const answer = client.bytes.toString('latin1');
        if (answer.includes('HTTP/1.1 101') && answer.includes('one ')) ends.served++;
        else if (answer.includes('HTTP/1.1 503') || answer.includes('\x88\x02\x03\xe9')) ends.told++;
        else ends.other.push(JSON.stringify([answer, client.error]));
        client.destroy();
      }
    };
    const lanes = Array.from({ length: 4 }, lane);
    await until(() => ends.served > 20, 'they are served');
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) await server.reload();
    isOn = false;
    await Promise.all(lanes);
    expect(ends.other).toEqual([]);
    expect(ends.served).toBeGreaterThan(100);
    await until(() => openDescriptors() <= before, `no more than ${before} descriptors are open`);
    const clients = await Promise.all(Array.from({ length: 4 }, connect));
    for (const client of clients) await client.next();
    clients[0]!.send('to all');
    for (const client of clients.slice(1)) expect(await client.next()).toBe('to all');
    expect(server.publish('all', 'from main')).toBe(true);
    for (const client of clients) expect(await client.next()).toBe('from main');
    for (const { socket } of clients) socket.terminate();
  });

  it('replaces a shard, too, that is being started anew while it begins', async () => {
    const slow = `import { version } from './version.mjs';
      export default async (app, shard) => {
        // The third start is that of the shard that crashed: it waits to be told.
        const told = new Int32Array(shard.data);
        if (Atomics.add(told, 0, 1) === 2) await Atomics.waitAsync(told, 1, 0).value;
        app.ws('/', { open: (ws) => void ws.send(version + ' ' + shard.index), message: () => process.exit(1) });
      };`;
    writeFileSync(join(folder, 'app.mjs'), slow);
    let crashed = 0;
    const told = new Int32Array(new SharedArrayBuffer(8));
    await start({ onCrash: () => crashed++, data: told.buffer });
    const client = await connect();
    const shard = Number(((await client.next()) as string).at(-1));
    client.send('exit');
    await until(() => crashed === 1, 'it crashed');
    await until(() => server.stats().shards[shard]!.state === 'starting', 'it is started anew');
    await until(() => Atomics.load(told, 0) === 3, 'it has imported the old code');
    writeFileSync(join(folder, 'version.mjs'), "export const version = 'two';\n");
    const reloading = server.reload();
    Atomics.store(told, 1, 1);
    Atomics.notify(told, 1);
    await reloading;
    await until(() => server.stats().shards[shard]!.state === 'ready', 'it is ready');
    expect(await versions()).toEqual(['two 0', 'two 1']);
  });

  it('sends nobody to a shard that took up its channel when it was to end', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const threads: Worker[] = [];
    const note = (worker: Worker): void => void threads.push(worker);
    process.on('worker', note);
    const isBusy = await startBusy(2000, 20, { balance: 'least-connections' });
    // Clients that do not answer Close frames hold up the reload.
    const before = await Promise.all(Array.from({ length: 4 }, () => HostileClient.open(server.port)));
    for (const client of before) client.write(handshakeHead('/'));
    await isBusy();
    // The next acceptor offers all shards a channel; one of them is busy.
    await threads.at(-1)!.terminate();
    await until(() => threads.length === 4, 'there is another acceptor');
    // It listens when the other shard has joined it.
    (await HostileClient.upgrade(server.port, '/')).destroy();
    const reloading = server.reload({ drain: 3000 });
    await until(() => server.stats().shards.some(({ state }) => state === 'draining'), 'a shard is drained');
    const clients: HostileClient[] = [];
    for (let i = 0; i < 20; i++) {
      const client = await HostileClient.open(server.port);
      client.write(handshakeHead('/'));
      clients.push(client);
      await client.until(() => client.isOver || client.received > 131, 'an answer');
    }
    process.off('worker', note);
    for (const client of clients) {
      expect(client.bytes.toString('latin1')).toMatch(/^HTTP\/1.1 101[^]*one [01]$/);
      client.destroy();
    }
    for (const client of before) client.destroy();
    await reloading;
  });

  it('is refused while another runs and after close, and ended by close', async () => {
    await start();
    const reloading = server.reload();
    await expect(server.reload()).rejects.toMatchObject({ code: 'MILLRACE_APP_STATE' });
    await reloading;
    await expect(server.reload({ drain: -1 })).rejects.toThrow(/reload: 'drain' must be a number/);
    const cut = server.reload();
    await server.close({ drain: 100 });
    await cut;
    await expect(server.reload()).rejects.toThrow('reload: the server is closed');
  });
});

it('a connection that is on its way to a shard which is drained is answered, and gets a Close frame', async () => {
  // A shard that nobody is connected to, and that is busy for a while.
  const isBusy = await startBusy(800, 200, { shards: 1 });
  await until(() => server.stats().total.sockets === 0, 'nobody is connected');
  await isBusy();
  const clients = await Promise.all(Array.from({ length: 50 }, () => HostileClient.open(server.port)));
  for (const client of clients) client.write(handshakeHead('/'));
  await until(() => server.stats().acceptor.requests === 51, 'the acceptor has read their heads');
  await until(() => server.stats().acceptor.sockets === 0, 'the acceptor has passed them on');
  expect(server.stats().total.opened).toBe(0);
  const closing = server.close({ drain: LONG });
  for (const client of clients) {
    await client.until(
      () => client.isOver || client.bytes.includes('\x88\x02\x03\xe9', 0, 'latin1'),
      'the end',
    );
    client.destroy();
  }
  await closing;
  for (const client of clients) {
    const answer = client.bytes.toString('latin1');
    expect([answer.slice(0, 12), answer.slice(-4)]).toEqual(['HTTP/1.1 101', '\x88\x02\x03\xe9']);
  }
});
