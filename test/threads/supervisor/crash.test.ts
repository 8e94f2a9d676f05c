import { serve } from 'millrace';
import { afterEach, describe, expect, it } from 'vitest';
import { openDescriptors } from '../../support/clients/alive.ts';
import { HostileClient, inParallel } from '../../support/clients/hostile-client.ts';
import { Talker } from '../../support/clients/talker.ts';
import { startServe, type Target } from '../../support/servers/hostile-server.ts';
import { HOST } from '../../support/servers/server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

/** A shard that crashed takes connections again within this time, in ms. A second is promised; a busy machine gets more. */
const REPLACED = 8000;

const uncaught: unknown[] = [];
process.on('unhandledRejection', (error) => uncaught.push(error));
afterEach(() => {
  for (const client of HostileClient.live) client.destroy();
  expect(uncaught).toEqual([]);
});

async function openTalkers(target: Target, count: number): Promise<Talker[]> {
  const talkers: Talker[] = [];
  await inParallel(Array.from({ length: count }), 50, async () => {
    talkers.push(await Talker.open(target.port));
  });
  return talkers;
}

/** Connects until a connection lands on the shard. */
async function reach(target: Target, shard: string): Promise<Talker> {
  for (const end = performance.now() + REPLACED; performance.now() < end; ) {
    // One that was being handed to the shard as it died ends at once.
    const talker = await Talker.open(target.port).catch(() => null);
    if (talker?.shard === shard) return talker;
    talker?.client.destroy();
  }
  const stats = JSON.stringify(target.server!.stats().shards.map(({ state, sockets }) => [state, sockets]));
  throw new Error(`shard ${shard} took no connection within ${REPLACED} ms: ${stats}`);
}

function isReady(target: Target, shard: number): boolean {
  return target.server!.stats().shards[shard]!.state === 'ready';
}

/** Connects, says something and leaves, over and over. Each connection must be served, or end. */
function churn(target: Target): { served(): number; stop(): Promise<number> } {
  let isOn = true;
  let served = 0;
  const lane = async (): Promise<void> => {
    while (isOn) {
      const client = await HostileClient.open(target.port);
      client.write('GET /control HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n');
      client.write('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
      await client.until(() => client.isOver || client.received > 129, 'a connection made during a crash');
      if (!client.isOver) served++;
      client.reset();
    }
  };
  const lanes = [lane(), lane(), lane(), lane()];
  return {
    served: () => served,
    stop: async () => {
      isOn = false;
      await Promise.all(lanes);
      return served;
    },
  };
}

describe('a shard that crashes', () => {
  it.each([
    ['exit:0', 'exited with code: 0'],
    ['exit:7', 'exited with code: 7'],
    ['throw-later', 'thrown outside of a handler'],
    ['reject', 'rejected, and nobody cares'],
  ])(
    'by "%s" is replaced, and 1,000 clients of all others lose nothing (P02, P03, P06)',
    async (command, reason) => {
      const target = await startServe({ shards: 3 });
      const talkers = await openTalkers(target, 1000);
      const killer = await reach(target, '1');
      await until(
        () => target.server!.stats().total.sockets === 1001,
        'those that missed the shard are gone',
      );
      const descriptors = openDescriptors();
      const others = talkers.filter(({ shard }) => shard !== '1');
      const victims = talkers.filter(({ shard }) => shard === '1');
      expect(Math.abs(victims.length - 333)).toBeLessThan(5);
      for (const talker of talkers) talker.start();
      const newcomers = churn(target);
      await until(() => others.every(({ echoed }) => echoed > 20), 'all talk');

      killer.command(command);
      await Promise.all(victims.map(({ client }) => client.untilOver()));
      const again = await reach(target, '1');
      const before = others.map(({ echoed }) => echoed);
      await until(() => others.every(({ echoed }, i) => echoed > before[i]! + 10), 'all go on talking');
      expect(await newcomers.stop()).toBeGreaterThan(0);
      await Promise.all(others.map((talker) => talker.stop()));
      expect(others.filter(({ problem }) => problem !== '').map(({ problem }) => problem)).toEqual([]);
      expect(others.filter(({ client }) => client.isOver)).toEqual([]);
      expect(target.crashes.map(String)).toEqual([expect.stringContaining(reason)]);

      // The new life of the shard serves as the first one did.
      again.start();
      await until(() => again.echoed > 100, 'the new shard serves');
      await again.stop();
      expect(again.problem).toBe('');

      // Each of the victims had two descriptors here; now there is one more client, and a few that belong to the thread.
      for (const { client } of victims) client.destroy();
      const left = descriptors - 2 * (victims.length + 1) + 2;
      await until(() => openDescriptors() <= left + 2, `not more than ${left + 2} descriptors are open`);
      await until(
        () => target.server!.stats().total.webSockets === others.length + 1,
        'the counters are right',
      );
      expect(target.server!.stats().total.sockets).toBe(others.length + 1);
      for (const { client } of others) client.destroy();
      again.client.destroy();
      await until(() => target.server!.stats().total.sockets === 0, 'all are gone');
      const { shards } = target.server!.stats();
      expect(shards.map(({ opened, closed }) => opened - closed)).toEqual([0, 0, 0]);
      await target.close();
    },
  );

  it('30 times under churn leaves no descriptor and takes nothing from a shard that does not (P02)', async () => {
    const shards = 7;
    // In turns, so that each shard can be reached whatever the others have.
    const target = await startServe({ shards, balance: 'round-robin' });
    const talkers = (await openTalkers(target, 70)).filter(({ shard }) => shard === '0');
    for (const talker of talkers) talker.start();
    const newcomers = churn(target);
    await until(() => newcomers.served() > 20, 'newcomers are served');
    const descriptors = openDescriptors();
    for (let crash = 0; crash < 30; crash++) {
      const victim = 1 + (crash % (shards - 1));
      const killer = await reach(target, String(victim));
      killer.command('exit:1');
      await killer.client.untilOver();
      await until(() => target.crashes.length === crash + 1, 'the crash is told');
    }
    for (let shard = 0; shard < shards; shard++) {
      await until(() => isReady(target, shard), `shard ${shard} is back`);
      (await reach(target, String(shard))).client.destroy();
    }
    expect(await newcomers.stop()).toBeGreaterThan(0);
    await Promise.all(talkers.map((talker) => talker.stop()));
    expect(talkers.filter(({ problem }) => problem !== '').map(({ problem }) => problem)).toEqual([]);
    // Half of the 70 first talkers are gone by now with their shards; nothing may have come in their place.
    await until(() => openDescriptors() <= descriptors, `not more than ${descriptors} descriptors are open`);
    await until(() => target.server!.stats().total.webSockets === talkers.length, 'the counters are right');
    await target.close();
  });
});

describe('a shard that cannot live', () => {
  const start = async (manner: string, shards = 2) => {
    const starts = new SharedArrayBuffer(4);
    const crashes: { at: number; delay: number; reason: string }[] = [];
    const server = await serve({
      app: new URL('../fixtures/crash-loop.js', import.meta.url),
      host: HOST,
      port: 0,
      shards,
      data: { starts, manner },
      onCrash: (_shard, error, delay) => {
        crashes.push({ at: performance.now(), delay, reason: String(error) });
      },
    });
    return { server, crashes, starts: new Int32Array(starts) };
  };

  it.each(['throws later', 'exits after a turn', 'exits after a long turn'])(
    'because it %s is started ever less often, and the others serve (P08)',
    async (manner) => {
      const { server, crashes } = await start(manner);
      const killer = await openOn(server.port, '0');
      await until(() => server.stats().total.sockets === 1, 'those that missed the shard are gone');
      // With all that a living shard has; a dead one has less.
      const descriptors = openDescriptors();
      killer.command('die');
      await until(() => crashes.length >= 3, 'it crashes');
      const talkers = await Promise.all(Array.from({ length: 50 }, () => openOn(server.port, '1')));
      for (const talker of talkers) talker.start();
      await until(() => crashes.length >= 7, 'it crashes some more');
      const spent = process.cpuUsage();
      for (const talker of talkers) await talker.stop();
      expect(talkers.filter(({ problem }) => problem !== '')).toEqual([]);
      // Given rest: it does not start, and costs nothing.
      const seen = crashes.length;
      await sleep(900);
      expect(crashes.length).toBeLessThanOrEqual(seen + 1);
      const { user, system } = process.cpuUsage(spent);
      expect((user + system) / 1000).toBeLessThan(2000);
      // The first ones are free.
      const delays = crashes.map(({ delay }) => delay);
      expect(delays).toEqual(delays.toSorted((a, b) => a - b));
      expect(delays[0]).toBe(0);
      expect(delays.at(-1)).toBeGreaterThanOrEqual(1000);
      for (const { client } of talkers) client.destroy();
      await until(
        () => openDescriptors() <= descriptors,
        `not more than ${descriptors} descriptors are open`,
      );
      await server.close({ drain: 0 });
    },
  );

  it('at first because its module throws is tried again until it can', async () => {
    const { server, crashes, starts } = await start('fails to start again');
    (await openOn(server.port, '0')).command('die');
    await until(() => starts[0] === 4 && server.stats().shards[0]!.state === 'ready', 'it lives');
    expect(crashes.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('exited with code: 1'),
      expect.stringContaining('cannot start now'),
      expect.stringContaining('cannot start now'),
    ]);
    (await openOn(server.port, '0')).client.destroy();
    await server.close({ drain: 0 });
  });

  it('at first because its module cannot be loaded is tried again until it can', async () => {
    const { server, crashes } = await start('lives');
    const killer = await openOn(server.port, '0');
    // Threads get a copy when they are made.
    process.env['CRASH_LOOP'] = 'cannot be loaded';
    killer.command('die');
    await until(() => crashes.length >= 3, 'it fails');
    delete process.env['CRASH_LOOP'];
    await until(() => server.stats().shards[0]!.state === 'ready', 'it lives');
    expect(crashes[0]!.reason).toContain('exited with code: 1');
    expect(crashes.at(-1)!.reason).toContain('cannot be loaded now');
    (await openOn(server.port, '0')).client.destroy();
    await server.close({ drain: 0 });
  });

  it('from the first is reported by serve(), which leaves nothing behind', async () => {
    const { server } = await start('lives');
    await server.close();
    const descriptors = openDescriptors();
    await expect(start('exits at once')).rejects.toThrow('exited with code: 3');
    await until(() => openDescriptors() <= descriptors, `not more than ${descriptors} descriptors are open`);
  });
});

async function openOn(port: number, shard: string): Promise<Talker> {
  for (let i = 0; i < 1000; i++) {
    const talker = await Talker.open(port, '/');
    if (talker.shard === shard) return talker;
    talker.client.destroy();
  }
  throw new Error(`no connection lands on shard ${shard}`);
}

it('a shard that crashes as the server is closed is not started anew', async () => {
  const starts = new Int32Array(new SharedArrayBuffer(4));
  let closing: Promise<void> | undefined;
  const server = await serve({
    app: new URL('../fixtures/counts-starts.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: 1,
    data: starts.buffer,
    onCrash: () => {
      closing = server.close({ drain: 0 });
    },
  });
  const client = await HostileClient.open(server.port);
  client.write('GET /exit HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => closing !== undefined, 'it crashed');
  await closing;
  expect(starts[0]).toBe(1);
});
