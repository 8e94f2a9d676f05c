import { afterEach, describe, expect, it } from 'vitest';
import { wordsOf } from '../../support/cases/hostile-frames.ts';
import { openDescriptors } from '../../support/clients/alive.ts';
import {
  HostileClient,
  handshakeHead,
  inParallel,
  openMany,
  requestHead,
} from '../../support/clients/hostile-client.ts';
import { Talker } from '../../support/clients/talker.ts';
import { close, concat, frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { startApp, startServe, type Target } from '../../support/servers/hostile-server.ts';
import { LONG, sleep, until } from '../../support/tools/deadline.ts';

afterEach(() => {
  for (const client of HostileClient.live) client.destroy();
});

/**
 * The status a handshake from this address is answered with, '' when it is cut off. An accepted connection
 * stays open.
 */
async function statusOf(
  target: Target,
  from = '127.0.0.1',
  path = '/echo',
): Promise<[string, HostileClient]> {
  const client = await HostileClient.open(target.port, { from });
  client.write(handshakeHead(path));
  await client.until(() => client.isOver || client.bytes.includes('\r\n\r\n'), 'an answer');
  const status = client.bytes.toString('latin1', 9, 12);
  if (status !== '101') {
    await client.untilOver();
    client.destroy();
    if (status !== '') expect(client.bytes.toString('latin1').split('\r\n')).toContain('Connection: close');
  }
  return [status, client];
}

function sockets(target: Target): number {
  const { total, acceptor } = target.server!.stats();
  return total.sockets + acceptor.sockets;
}

const LIMIT = 20;

describe('maxConnections', () => {
  it('lets exactly as many in, tells the next one 503, and gives places back when connections end', async () => {
    const target = await startServe({ maxConnections: LIMIT, shards: 2 });
    const clients: HostileClient[] = [];
    const connect = async (): Promise<string> => {
      const [status, client] = await statusOf(target);
      if (status === '101') clients.push(client);
      return status;
    };
    for (let i = 1; i <= LIMIT; i++) expect(await connect()).toBe('101');
    expect([await connect(), await connect()]).toEqual(['503', '503']);
    expect(target.server!.stats().acceptor.overLimit).toBe(2);

    // In every way a connection can end.
    clients.pop()!.destroy();
    clients.pop()!.reset();
    clients.pop()!.write(frameBytes(close(1000), SAMPLE_KEY));
    clients.pop()!.write(Uint8Array.of(0xff, 0xff));
    await until(() => {
      for (const client of HostileClient.live) if (client.hasFin) client.destroy();
      return sockets(target) === LIMIT - 4;
    }, 'the places are free');
    for (let i = 1; i <= 4; i++) expect(await connect()).toBe('101');
    expect(await connect()).toBe('503');
    await target.close();
  });

  it('counts plain requests that are kept alive, but no handshake that is not done', async () => {
    const target = await startServe({ maxConnections: 2, shards: 2 });
    const waiting = await HostileClient.open(target.port);
    waiting.write('GET ');
    const asking = await HostileClient.open(target.port);
    asking.write(requestHead('GET /hello HTTP/1.1', ['Host: x']));
    await asking.until(() => asking.bytes.includes('Hello'), 'the response');
    const [status, client] = await statusOf(target);
    expect(status).toBe('101');
    waiting.write('/echo HTTP/1.1\r\nHost: x\r\n\r\n');
    await waiting.untilOver();
    expect(waiting.bytes.toString('latin1')).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    const headed = await HostileClient.open(target.port);
    headed.write(requestHead('HEAD /hello HTTP/1.0', []));
    await headed.untilOver();
    expect(headed.bytes.toString('latin1')).toMatch(
      /^HTTP\/1\.1 503 Service Unavailable\r\n(?:[^\r]+\r\n)+\r\n$/,
    );
    headed.destroy();
    for (const leaving of [waiting, asking, client]) leaving.destroy();
    await until(() => sockets(target) === 0, 'all are gone');
    expect((await statusOf(target))[0]).toBe('101');
    await target.close();
  });

  it('holds under a storm of connections, and nothing is left of those too many', async () => {
    const target = await startServe({ maxConnections: 100, shards: 2 });
    const before = openDescriptors();
    const statuses = new Map<string, number>();
    await inParallel(Array.from({ length: 1500 }), 300, async () => {
      // Beyond some more they are cut off without a word.
      const status = await statusOf(target).then(
        ([answer]) => answer,
        () => '',
      );
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect(target.server!.stats().total.webSockets).toBeLessThanOrEqual(100);
    });
    expect(statuses.get('101')).toBe(100);
    expect((statuses.get('503') ?? 0) + (statuses.get('') ?? 0)).toBe(1400);
    await until(() => openDescriptors() <= before + 200, 'the others are gone');
    for (const client of HostileClient.live) client.destroy();
    await until(() => sockets(target) === 0, 'all are gone');
    expect((await statusOf(target))[0]).toBe('101');
    await target.close();
  });

  it('gives the places of a shard back that crashes', async () => {
    const target = await startServe({ maxConnections: LIMIT, shards: 2 });
    const talkers = await Promise.all(Array.from({ length: LIMIT }, () => Talker.open(target.port)));
    expect((await statusOf(target))[0]).toBe('503');
    const victims = talkers.filter(({ shard }) => shard === '1');
    victims[0]!.command('exit:1');
    await Promise.all(victims.map(({ client }) => client.untilOver()));
    await until(() => target.crashes.length === 1, 'the crash is told');
    await until(() => target.server!.stats().shards[1]!.state === 'ready', 'the shard is back');
    for (let i = 0; i < victims.length; i++) expect((await statusOf(target))[0]).toBe('101');
    expect((await statusOf(target))[0]).toBe('503');
    await target.close();
  });

  it('holds in one thread, where the next one is told 503 as well', async () => {
    const target = await startApp({ maxConnections: LIMIT });
    const clients = await openMany(target.port, LIMIT);
    expect((await statusOf(target))[0]).toBe('503');
    clients[0]!.destroy();
    clients[1]!.reset();
    await until(() => clients[0]!.isClosed && clients[1]!.isClosed, 'they are closed');
    await sleep(20);
    expect((await statusOf(target))[0]).toBe('101');
    expect((await statusOf(target))[0]).toBe('101');
    expect((await statusOf(target))[0]).toBe('503');
    await target.close();
  });
});

describe('maxConnectionsPerAddress', () => {
  it('lets exactly as many in from each address, tells the next one 429, and gives places back', async () => {
    const target = await startServe({ maxConnectionsPerAddress: 5, shards: 3 });
    const addresses = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
    const clients: HostileClient[] = [];
    for (const from of addresses) {
      for (const path of ['/echo', '/upgrade', '/echo', '/upgrade', '/echo']) {
        const [status, client] = await statusOf(target, from, path);
        expect(status).toBe('101');
        clients.push(client);
      }
      expect((await statusOf(target, from))[0]).toBe('429');
      expect((await statusOf(target, from, '/upgrade'))[0]).toBe('429');
    }
    clients[0]!.destroy();
    clients[6]!.reset();
    await until(() => sockets(target) === 13, 'the places are free');
    expect((await statusOf(target, addresses[0]))[0]).toBe('101');
    expect((await statusOf(target, addresses[0]))[0]).toBe('429');
    expect((await statusOf(target, addresses[1]))[0]).toBe('101');
    expect((await statusOf(target, addresses[1]))[0]).toBe('429');
    expect((await statusOf(target, addresses[2]))[0]).toBe('429');
    await target.close();
  });

  it('gives the places of a shard back that crashes', async () => {
    const target = await startServe({ maxConnectionsPerAddress: 8, shards: 2 });
    const talkers = await Promise.all(Array.from({ length: 8 }, () => Talker.open(target.port)));
    expect((await statusOf(target))[0]).toBe('429');
    const victims = talkers.filter(({ shard }) => shard === '0');
    victims[0]!.command('exit:1');
    await Promise.all(victims.map(({ client }) => client.untilOver()));
    await until(() => target.crashes.length === 1, 'the crash is told');
    await until(() => target.server!.stats().shards[0]!.state === 'ready', 'the shard is back');
    for (let i = 0; i < victims.length; i++) expect((await statusOf(target))[0]).toBe('101');
    expect((await statusOf(target))[0]).toBe('429');
    await target.close();
  });

  it('counts many addresses that come and go', async () => {
    const target = await startServe({ maxConnectionsPerAddress: 1, shards: 2 });
    const addresses = Array.from({ length: 300 }, (_, i) => `127.0.${1 + (i % 3)}.${1 + Math.floor(i / 3)}`);
    for (let round = 0; round < 2; round++) {
      const statuses: string[] = [];
      await inParallel(addresses, 30, async (from) => {
        statuses.push((await statusOf(target, from))[0], (await statusOf(target, from))[0]);
      });
      expect(statuses.filter((status) => status === '101')).toHaveLength(300);
      expect(statuses.filter((status) => status === '429')).toHaveLength(300);
      for (const client of HostileClient.live) client.destroy();
      await until(() => sockets(target) === 0, 'all are gone');
    }
    await target.close();
  });
});

describe('close({ drain }) (P13)', () => {
  it('sends 1001 to each of 2,000 clients, and is done when they have left', async () => {
    const target = await startServe({ shards: 2 });
    const clients = await openMany(target.port, 2000, '/echo', 100);
    const leaving = clients.map(async (client) => {
      await client.untilFrames(1);
      client.write(frameBytes(close(1001), SAMPLE_KEY));
      await client.untilOver();
      const words = client.frames.map(wordsOf);
      client.destroy();
      return words.join();
    });
    const idle = await HostileClient.open(target.port);
    idle.write(requestHead('GET /hello HTTP/1.1', ['Host: x']));
    await idle.until(() => idle.bytes.includes('Hello'), 'the response');
    // Not when the time is up: when they have left.
    await target.server!.close({ drain: LONG });
    expect(new Set(await Promise.all(leaving))).toEqual(new Set(['close 1001']));
    await idle.untilOver();
    await expect(HostileClient.open(target.port)).rejects.toThrow('ECONNREFUSED');
    await target.close();
  });

  it('cuts off at its deadline who does not leave', async () => {
    const target = await startServe({ shards: 2 });
    const clients = await openMany(target.port, 20, '/echo');
    for (const client of clients) client.socket.pause();
    const busy = await Talker.open(target.port);
    busy.command('block:1000');
    await target.server!.close({ drain: 300 });
    for (const client of clients) client.socket.resume();
    await Promise.all(clients.map((client) => client.untilOver()));
    await target.close();
  });

  it('waits no longer than closeTimeout for clients that do not answer', async () => {
    const target = await startServe({ shards: 2 });
    const clients = await openMany(target.port, 20, '/time');
    await target.server!.close({ drain: LONG });
    await Promise.all(clients.map((client) => client.untilOver()));
    for (const client of clients) expect(client.frames.map(wordsOf)).toEqual(['close 1001']);
    await target.close();
  });

  it('sends 1001 also to those who were connecting just then', async () => {
    const target = await startServe({ shards: 2 });
    const seen = new Map<string, number>();
    let isOn = true;
    const lanes = Array.from({ length: 20 }, async () => {
      while (isOn) {
        const client = await HostileClient.open(target.port).catch(() => null);
        if (client === null) return;
        client.write(handshakeHead('/echo'));
        client.write(frameBytes(text('hello'), SAMPLE_KEY));
        await client.until(() => client.isOver || client.bytes.includes(Buffer.of(0x88, 2, 3, 0xe9)), '1001');
        client.write(frameBytes(close(1001), SAMPLE_KEY));
        await client.untilOver();
        const end = client.bytes.indexOf('\r\n\r\n');
        // Without an answer the handshake had not been done.
        const words = end < 0 ? 'nothing' : wordsAfter(client, end + 4);
        seen.set(words, (seen.get(words) ?? 0) + 1);
        client.destroy();
      }
    });
    await until(() => target.server!.stats().total.opened >= 10, 'half of them are connected');
    await target.server!.close({ drain: LONG });
    isOn = false;
    await Promise.all(lanes);
    seen.delete('nothing');
    expect([...seen.keys()]).toEqual(['text hello,close 1001']);
    await target.close();
  });
});

function wordsAfter(client: HostileClient, headLength: number): string {
  return client.framesFrom(headLength).map(wordsOf).join();
}

it('a shard that hangs has 16 MiB of what came with handshakes waiting at most; the rest is answered 503', async () => {
  const target = await startServe({ shards: 1 });
  const blocker = await HostileClient.upgrade(target.port, '/control');
  await target.block(blocker, 2500);
  const frames = Array.from({ length: 4 }, (_, i) => frameBytes(text(`${i}`.repeat(50_000)), SAMPLE_KEY));
  const request = concat(handshakeHead('/echo'), ...frames);
  const clients: HostileClient[] = [];
  await inParallel(Array.from({ length: 600 }), 20, async () => {
    const client = await HostileClient.open(target.port);
    clients.push(client);
    client.write(request);
  });
  const statusOf = ({ bytes }: HostileClient): string => bytes.toString('latin1', 9, 12);
  await inParallel(clients, 600, (client) => client.until(() => client.received > 12, 'an answer'));
  const taken = clients.filter((client) => statusOf(client) === '101');
  const refused = clients.filter((client) => statusOf(client) === '503');
  expect(taken.length + refused.length).toBe(clients.length);
  expect(refused.length).toBeGreaterThan(0);
  // Those that wait are served whole.
  expect(taken.length).toBeGreaterThan(50);
  await inParallel(taken, 50, async (client) => {
    await client.upgraded();
    expect((await client.untilFrames(4)).map(({ payload }) => payload.length)).toEqual(
      Array.from({ length: 4 }, () => 50_000),
    );
    client.destroy();
  });
  await target.close();
});
