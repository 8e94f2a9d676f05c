import { afterEach, describe, expect, it } from 'vitest';
import { HostileClient, handshakeHead, inParallel } from '../../support/clients/hostile-client.ts';
import { Talker } from '../../support/clients/talker.ts';
import { startServe, type Target } from '../../support/servers/hostile-server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const SHARDS = 4;

let target: Target;
afterEach(async () => {
  for (const client of HostileClient.live) client.destroy();
  await target.close();
});

/** Connections each shard has. */
function spread(): number[] {
  return target.server!.stats().shards.map(({ sockets }) => sockets);
}

async function shardOf(fields: readonly string[], path = '/control', from = '127.0.0.1'): Promise<string> {
  const client = await HostileClient.open(target.port, { from });
  client.write(handshakeHead(path, fields));
  await client.upgraded();
  const [hello] = await client.untilFrames(1);
  client.destroy();
  if (hello === undefined) throw new Error('the connection ended at once');
  return Buffer.from(hello.payload).toString();
}

describe('connections are spread (P05)', () => {
  it('evenly by least-connections, under a storm and as clients come and go', async () => {
    target = await startServe({ shards: SHARDS });
    const clients: HostileClient[] = [];
    await inParallel(Array.from({ length: 2000 }), 200, async () => {
      clients.push(await HostileClient.upgrade(target.port));
    });
    await until(() => target.server!.stats().total.sockets === 2000, 'all have arrived');
    for (const sockets of spread()) expect(Math.abs(sockets - 500)).toBeLessThanOrEqual(50);

    // Half of them leave, unevenly; who comes then fills the gaps.
    const leaving = clients.filter((_, i) => i % 3 !== 0 || i % 2 === 0);
    for (const client of leaving) client.destroy();
    await until(() => target.server!.stats().total.sockets === 2000 - leaving.length, 'they are gone');
    await sleep(50);
    await inParallel(leaving, 50, async () => {
      await HostileClient.upgrade(target.port);
    });
    await until(() => target.server!.stats().total.sockets === 2000, 'all are back');
    for (const sockets of spread()) expect(Math.abs(sockets - 500)).toBeLessThanOrEqual(50);
  });

  it('to the emptier shards first when one was started anew', async () => {
    target = await startServe({ shards: 2 });
    const talkers = await Promise.all(Array.from({ length: 40 }, () => Talker.open(target.port)));
    const victim = talkers.find(({ shard }) => shard === '1')!;
    victim.command('exit:1');
    await victim.client.untilOver();
    await until(() => target.server!.stats().shards[1]!.state === 'ready', 'the shard is back');
    while ((await probe()) !== '1') await sleep(5);
    await inParallel(Array.from({ length: 20 }), 1, async () => {
      await Talker.open(target.port);
    });
    await until(() => spread().join() === '20,20', `20 are on each, not ${spread()}`);
  });

  it('exactly in turns by round-robin', async () => {
    target = await startServe({ shards: SHARDS, balance: 'round-robin' });
    const order: string[] = [];
    for (let i = 0; i < 40; i++) order.push((await Talker.open(target.port)).shard);
    const first = Number(order[0]);
    expect(order).toEqual(order.map((_, i) => String((first + i) % SHARDS)));
    await inParallel(Array.from({ length: 400 }), 100, async () => {
      await HostileClient.upgrade(target.port);
    });
    await until(() => spread().join() === '110,110,110,110', `110 are on each, not ${spread()}`);
  });

  it('by address, path, header or cookie: the same go to the same shard, others elsewhere', async () => {
    const cases = [
      ['ip', (key: string) => shardOf([], '/control', `127.0.1.${key}`)],
      ['url', (key: string) => shardOf([], `/control/${key}?${Math.random()}`)],
      [{ header: 'X-User' }, (key: string) => shardOf([`x-user: user ${key}`])],
      [{ cookie: 'session' }, (key: string) => shardOf([`Cookie: a=1; session=${key}; b=2`])],
    ] as const;
    for (const [sticky, connect] of cases) {
      target = await startServe({ shards: SHARDS, balance: { sticky } });
      const keys = Array.from({ length: 40 }, (_, i) => String(i + 1));
      const first = await Promise.all(keys.map((key) => connect(key)));
      const second = await Promise.all(keys.map((key) => connect(key)));
      expect(second).toEqual(first);
      expect(new Set(first).size).toBe(SHARDS);
      await target.close();
    }
    // Without a key there is nothing to go by, and the connections are spread.
    target = await startServe({ shards: SHARDS, balance: { sticky: { cookie: 'session' } } });
    for (let i = 0; i < 40; i++) await HostileClient.upgrade(target.port);
    await until(() => spread().join() === '10,10,10,10', `10 are on each, not ${spread()}`);
  });

  it('by a sticky key as no client can know beforehand: each server chooses differently', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `x-user: ${i}`);
    const seen: string[][] = [];
    for (let run = 0; run < 2; run++) {
      target = await startServe({ shards: 2, balance: { sticky: { header: 'x-user' } } });
      seen.push(await Promise.all(keys.map((key) => shardOf([key]))));
      if (run === 0) await target.close();
    }
    expect(seen[0]).not.toEqual(seen[1]);
  });

  it('by a sticky key to another shard as long as theirs is down', async () => {
    target = await startServe({ shards: 2, balance: { sticky: { header: 'x-user' } } });
    const users = Array.from({ length: 20 }, (_, i) => `x-user: ${i}`);
    const before = await Promise.all(users.map((user) => shardOf([user])));
    const killer = await Talker.open(target.port);
    killer.command('exit:1');
    await killer.client.untilOver();
    // Some of these come while the shard is down, and are served by the other; one that was being handed over as
    // it died ends at once.
    for (const user of users) await shardOf([user]).catch(() => '');
    await until(
      () => target.server!.stats().shards.every(({ state }) => state === 'ready'),
      'the shard is back',
    );
    for (let now: string[] = []; now.join() !== before.join(); ) {
      now = await Promise.all(users.map((user) => shardOf([user]).catch(() => '')));
    }
  });
});

async function probe(): Promise<string> {
  const talker = await Talker.open(target.port);
  talker.client.destroy();
  await until(() => talker.client.isClosed, 'the probe is closed');
  return talker.shard;
}
