import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Worker } from 'node:worker_threads';
import { type ServeOptions, type Server, serve } from 'millrace';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { canTransferSockets } from '../../../src/net/socket-transfer.ts';
import { HOST } from '../../support/servers/server.ts';
import { DEADLINE, LONG, sleep, until } from '../../support/tools/deadline.ts';

const APP = new URL('../fixtures/raw-app.js', import.meta.url);
const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await Promise.all(servers.splice(0).map((server) => server.close({ drain: 0 })));
});

async function start(options: Partial<ServeOptions> = {}): Promise<Server> {
  const server = await serve({ app: APP, port: 0, host: HOST, shards: 2, onCrash: () => {}, ...options });
  servers.push(server);
  return server;
}

/** A connection of the further port, which is cut off, or answers. */
async function open(server: Server, localAddress = HOST): Promise<Socket> {
  const socket = connect({ port: server.ports.get('echo')!, host: HOST, localAddress });
  sockets.add(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** What is answered; '' when the connection ends. */
async function say(socket: Socket, text: string): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    socket.once('data', (data) => {
      resolve(data.toString());
    });
    socket.once('close', () => {
      resolve('');
    });
  });
  if (socket.destroyed) return '';
  socket.write(text);
  return answer;
}

/** Tries until that gives something. */
async function eventually<T>(attempt: () => Promise<T | false>, what: string): Promise<T> {
  for (const end = performance.now() + DEADLINE; performance.now() < end; await sleep(5)) {
    const result = await attempt();
    if (result !== false) return result;
  }
  throw new Error(`waited in vain for ${what}`);
}

const shardOf = async (socket: Socket): Promise<string> => (await say(socket, 'hello')).split(':')[0]!;

describe.each(['channel', 'transfer'] as const)("a further port, handoff: '%s'", (handoff) => {
  const ifPossible = it.skipIf(handoff === 'transfer' && !canTransferSockets());

  ifPossible(
    'is listened on beside that of HTTP, and connections go to the shards in turn',
    async () => {
      const server = await start({ handoff, balance: 'round-robin' });
      const port = server.ports.get('echo')!;
      expect(port).toBeGreaterThan(0);
      expect(port).not.toBe(server.port);
      const clients = await Promise.all(Array.from({ length: 8 }, () => open(server)));
      const shards = await Promise.all(clients.map(shardOf));
      expect(shards.toSorted()).toEqual(['0', '0', '0', '0', '1', '1', '1', '1']);
      const response = await fetch(`http://${HOST}:${server.port}/`);
      expect(await response.text()).toMatch(/^http [01]$/);
      expect(server.stats().total.sockets).toBeGreaterThanOrEqual(8);
    },
    LONG,
  );

  ifPossible(
    'lives through the end of a shard, and a reload',
    async () => {
      const server = await start({ handoff });
      const victim = await open(server);
      const dead = await shardOf(victim);
      expect(await say(victim, 'crash')).toBe('');
      await until(() => server.stats().shards[Number(dead)]!.state === 'ready', 'the shard to be back');
      await reach(server, '0');
      await reach(server, '1');
      const port = server.ports.get('echo');
      const left = await open(server);
      await shardOf(left);
      const ended = once(left, 'end');
      await server.reload({ drain: 1000 });
      await ended;
      expect(server.ports.get('echo')).toBe(port);
      await reach(server, '0');
      await reach(server, '1');
    },
    LONG,
  );
});

/** Connects until a connection lands on the shard. */
async function reach(server: Server, shard: string): Promise<void> {
  await eventually(
    async () => (await shardOf(await open(server))) === shard,
    `a connection to shard ${shard}`,
  );
}

it(
  'counts connections of both ports of an address together, and cuts off those too many',
  async () => {
    const server = await start({ maxConnectionsPerAddress: 3 });
    const clients = [await open(server), await open(server), await open(server)];
    for (const client of clients) expect(await shardOf(client)).not.toBe('');
    expect(await shardOf(await open(server))).toBe('');
    const told = await fetch(`http://${HOST}:${server.port}/`);
    expect(told.status).toBe(429);
    // Another address has places of its own.
    expect(await shardOf(await open(server, '127.0.0.2'))).not.toBe('');
    clients[0]!.destroy();
    await eventually(async () => (await shardOf(await open(server))) !== '', 'a place');
  },
  LONG,
);

it(
  'lets a newcomer of any port in where one of them has said nothing, and refuses it where all have',
  async () => {
    const server = await start({ maxConnections: 4 });
    const silent = [await open(server), await open(server), await open(server), await open(server)];
    await until(() => server.stats().total.sockets === 4, 'all places to be taken');
    const response = await fetch(`http://${HOST}:${server.port}/`, { headers: { connection: 'close' } });
    expect(response.status).toBe(200);
    await until(() => silent.filter(({ closed }) => closed).length === 1, 'the oldest to give way');
    // One answers each in the places that are left, and no one gives way any more.
    const talking: Socket[] = [];
    await eventually(async () => {
      const client = await open(server);
      if ((await shardOf(client)) !== '') talking.push(client);
      return talking.length === 4;
    }, 'four that have said something');
    expect(await shardOf(await open(server))).toBe('');
    const refused = await fetch(`http://${HOST}:${server.port}/`);
    expect(refused.status).toBe(503);
    for (const client of talking) expect(await shardOf(client)).not.toBe('');
  },
  LONG,
);

it(
  'says which option asks for a port that is taken',
  async () => {
    const taken = createServer().listen(0, HOST);
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const failed = start({ data: { options: { port } } });
    await expect(failed).rejects.toMatchObject({ code: 'MILLRACE_LISTEN_FAILED' });
    await expect(failed).rejects.toThrow(`echo: 'tcp': Cannot listen on 127.0.0.1 port ${port} (EADDRINUSE)`);
    taken.close();
  },
  LONG,
);

it(
  'refuses shards that ask for other ports than the first',
  async () => {
    const failed = start({ data: { differ: true } });
    await expect(failed).rejects.toMatchObject({ code: 'MILLRACE_BAD_MODULE' });
    await expect(failed).rejects.toThrow(/all shards must ask for the same ports/);
  },
  LONG,
);

it(
  'refuses a reload that asks for other ports, and the old shards serve on',
  async () => {
    const grows = new Int32Array(new SharedArrayBuffer(4));
    const server = await start({ data: { grows } });
    grows[0] = 1;
    await expect(server.reload({ drain: 0 })).rejects.toMatchObject({ code: 'MILLRACE_BAD_MODULE' });
    expect(await shardOf(await open(server))).not.toBe('');
  },
  LONG,
);

it(
  'refuses an endpoint that is declared when the server listens already',
  async () => {
    const server = await start({ data: { late: true } });
    const answer = await eventually(async () => {
      const response = await fetch(`http://${HOST}:${server.port}/late`);
      return response.status === 200 && (await response.text());
    }, 'the error');
    expect(answer).toMatch(/^MILLRACE_APP_STATE echo: 'tcp': the server listens already/);
  },
  LONG,
);

it(
  'refuses TLS where the server has none',
  async () => {
    await expect(start({ data: { options: { isTls: true } } })).rejects.toThrow(/TLS needs the certificates/);
  },
  LONG,
);

it(
  'drains connections of the further port with the others',
  async () => {
    const server = await start();
    const client = await open(server);
    await shardOf(client);
    const ended = once(client, 'end');
    const closing = server.close({ drain: 2000 });
    await ended;
    client.destroy();
    await closing;
    const late = connect(server.ports.get('echo')!, HOST);
    await expect(once(late, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  },
  LONG,
);

it(
  'hands over 2,000 connections; they outlive the acceptor, whose successor listens on both ports',
  async () => {
    const threads: Worker[] = [];
    process.on('worker', (worker) => threads.push(worker));
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    const server = await start({ maxConnectionsPerAddress: 0 });
    const port = server.ports.get('echo');
    const clients: Socket[] = [];
    while (clients.length < 2000) {
      clients.push(...(await Promise.all(Array.from({ length: 50 }, () => open(server)))));
    }
    const shards = await Promise.all(clients.map(shardOf));
    const first = shards.filter((shard) => shard === '0').length;
    expect(first).toBeGreaterThan(0);
    expect(shards.filter((shard) => shard === '1')).toHaveLength(2000 - first);
    const count = threads.length;
    await threads.at(-1)!.terminate();
    await until(() => threads.length > count, 'there is another acceptor');
    process.removeAllListeners('worker');
    await reach(server, '0');
    await reach(server, '1');
    expect(server.ports.get('echo')).toBe(port);
    const response = await fetch(`http://${HOST}:${server.port}/`);
    expect(response.status).toBe(200);
    expect(await Promise.all(clients.map(shardOf))).toEqual(shards);
    report.mockRestore();
  },
  LONG,
);
