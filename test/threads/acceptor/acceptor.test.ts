import type { Worker } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import { openDescriptors } from '../../support/clients/alive.ts';
import { HostileClient, handshakeHead, inParallel, openMany } from '../../support/clients/hostile-client.ts';
import { Talker } from '../../support/clients/talker.ts';
import { frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { startServe, type Target } from '../../support/servers/hostile-server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const uncaught: unknown[] = [];
process.on('unhandledRejection', (error) => uncaught.push(error));
afterEach(() => {
  vi.restoreAllMocks();
  for (const client of HostileClient.live) client.destroy();
  expect(uncaught).toEqual([]);
});

/** The threads of a server, as they are made: the shards first, then an acceptor, then what replaces them. */
async function withThreads(start: () => Promise<Target>): Promise<{ target: Target; threads: Worker[] }> {
  const threads: Worker[] = [];
  process.on('worker', (worker) => threads.push(worker));
  return { target: await start(), threads };
}

afterEach(() => {
  process.removeAllListeners('worker');
});

it('an acceptor that dies is replaced: connections live on, new ones wait in the backlog and are taken (P11)', async () => {
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
  const { target, threads } = await withThreads(() => startServe({ shards: 2 }));
  expect(threads).toHaveLength(3);
  const talkers = await Promise.all(Array.from({ length: 100 }, () => Talker.open(target.port)));
  for (const talker of talkers) talker.start();
  await until(() => talkers.every(({ echoed }) => echoed > 0), 'all talk');
  const descriptors = openDescriptors();

  for (let death = 1; death <= 5; death++) {
    // Some are in the middle of a handshake: they are lost with the thread that has them, and hear of it.
    const halfway = await Promise.all(Array.from({ length: 10 }, () => HostileClient.open(target.port)));
    for (const client of halfway) client.write(handshakeHead('/echo').subarray(0, 30));
    await until(() => target.server!.stats().acceptor.sockets === 10, 'the acceptor has them');
    await threads.at(-1)!.terminate();
    const newcomers = openMany(target.port, 50, '/echo', 50);
    await Promise.all(halfway.map((client) => client.untilOver()));
    // Nobody is refused, neither while there is no acceptor nor by one that knows no shard yet.
    for (const client of await newcomers) {
      client.write(frameBytes(text('hello'), SAMPLE_KEY));
      await client.untilFrames(1);
      client.destroy();
    }
    await until(() => threads.length === 3 + death, 'there is another thread');
    expect(complaints).toHaveBeenCalledTimes(death);
    for (const client of halfway) client.destroy();
  }

  for (const talker of talkers) await talker.stop();
  expect(talkers.filter(({ problem }) => problem !== '').map(({ problem }) => problem)).toEqual([]);
  await until(() => openDescriptors() <= descriptors, `not more than ${descriptors} descriptors are open`);
  await until(() => target.server!.stats().total.sockets === talkers.length, 'the counters are right');
  expect(target.server!.stats().acceptor.sockets).toBe(0);
  expect(target.server!.stats().acceptor.refused).toBe(0);
  expect(target.crashes).toEqual([]);
  await target.close();
});

/** Connects, sends handshakes, and waits until the acceptor has handed all over, or is about to. */
async function askMany({ port, server }: Target, count: number): Promise<HostileClient[]> {
  const before = server!.stats().acceptor.requests;
  const clients = await Promise.all(Array.from({ length: count }, () => HostileClient.open(port)));
  for (const client of clients) client.write(handshakeHead('/echo'));
  await until(() => server!.stats().acceptor.requests === before + count, 'they were handed over');
  return clients;
}

it('sockets that an acceptor handed over before it died arrive, also in a shard that was busy', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const { target, threads } = await withThreads(() => startServe({ shards: 1 }));
  const blocker = await HostileClient.upgrade(target.port, '/control');
  await target.block(blocker, 1500);
  // They wait in the channel to the shard, which answers handshakes, when the acceptor dies.
  const clients = await askMany(target, 100);
  expect(target.server!.stats().total.adopted).toBe(1);
  await threads.at(-1)!.terminate();
  const late = HostileClient.upgrade(target.port, '/echo');
  await Promise.all(clients.map((client) => client.upgraded()));
  await inParallel(clients, 100, async (client, i) => {
    client.write(frameBytes(text(`client ${i}`), SAMPLE_KEY));
    const [frame] = await client.untilFrames(1);
    expect(frame === undefined ? client.error : Buffer.from(frame.payload).toString()).toBe(`client ${i}`);
  });
  await late;
  await until(() => target.server!.stats().total.sockets === 102, 'all are counted, once');
  await target.close();
});

it('what is lost with an acceptor takes no place for ever', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const limit = 800;
  const { target, threads } = await withThreads(() => startServe({ shards: 1, maxConnections: limit }));
  const blocker = await HostileClient.upgrade(target.port, '/control');
  await target.block(blocker, 1500);
  // More than the channel holds: some wait in the acceptor, counted already, and end with it.
  const clients = await askMany(target, 700);
  await threads.at(-1)!.terminate();
  const late = await HostileClient.upgrade(target.port, '/echo');
  await until(() => {
    const here = clients.filter(({ isOver }) => !isOver).length;
    return target.server!.stats().total.sockets === here + 2;
  }, 'all that arrived are counted, and the others know');
  const lost = clients.filter(({ isOver }) => isOver).length;
  expect(lost).toBeGreaterThan(0);
  const places = limit - (clients.length - lost) - 2;
  const more = await openMany(target.port, places);
  expect(more).toHaveLength(places);
  await expect(HostileClient.upgrade(target.port)).rejects.toThrow('503');
  late.destroy();
  await target.close();
});

it('a busy shard that is offered two channels, by acceptors that die, opens the last and leaves none', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const { target, threads } = await withThreads(() => startServe({ shards: 2 }));
  const blockers = await Promise.all(Array.from({ length: 2 }, () => Talker.open(target.port)));
  const blocker = blockers.find(({ shard }) => shard === '0')!;
  const descriptors = openDescriptors();
  await target.block(blocker.client, 2500);
  for (let death = 1; death <= 2; death++) {
    await threads.at(-1)!.terminate();
    await until(() => threads.length === 3 + death, 'there is another acceptor');
    // It listens when the other shard has joined it.
    (await HostileClient.upgrade(target.port, '/echo')).destroy();
  }
  const seen = new Set<string>();
  while (seen.size < 2) {
    const talker = await Talker.open(target.port);
    seen.add(talker.shard);
    talker.client.destroy();
  }
  await until(() => openDescriptors() <= descriptors, `not more than ${descriptors} descriptors are open`);
  expect(target.crashes).toEqual([]);
  await target.close();
});

it('a busy shard that dies with two channels it was offered and did not open leaves none', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const { target, threads } = await withThreads(() => startServe({ shards: 2 }));
  const blockers = await Promise.all(Array.from({ length: 2 }, () => Talker.open(target.port)));
  const blocker = blockers.find(({ shard }) => shard === '0')!;
  const descriptors = openDescriptors();
  await target.block(blocker.client, 60_000);
  for (let death = 1; death <= 2; death++) {
    await threads.at(-1)!.terminate();
    await until(() => threads.length === 3 + death, 'there is another acceptor');
    // It listens when the other shard has joined it.
    (await HostileClient.upgrade(target.port, '/echo')).destroy();
  }
  await threads[0]!.terminate();
  await until(() => target.crashes.length === 1, 'the shard has died');
  blocker.client.destroy();
  const seen = new Set<string>();
  while (seen.size < 2) {
    const talker = await Talker.open(target.port);
    seen.add(talker.shard);
    talker.client.destroy();
  }
  // The blocker took two.
  await until(() => openDescriptors() <= descriptors - 2, `not more than ${descriptors - 2} are open`);
  await target.close();
});

it('a shard and the acceptor that die at the same time are both replaced', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const { target, threads } = await withThreads(() => startServe({ shards: 2 }));
  const talkers = await Promise.all(Array.from({ length: 20 }, () => Talker.open(target.port)));
  for (const talker of talkers) talker.start();
  const descriptors = openDescriptors();
  await Promise.all([threads[0]!.terminate(), threads[2]!.terminate()]);
  const seen = new Set<string>();
  await until(() => threads.length === 5, 'both are replaced');
  const newcomers: Talker[] = [];
  for (const end = performance.now() + 10_000; seen.size < 2 && performance.now() < end; ) {
    // One that was being handed to the shard as it died ends at once.
    const talker = await Talker.open(target.port).catch(() => null);
    if (talker === null) continue;
    seen.add(talker.shard);
    // They stay, so that the new shard has as many as the old one at last.
    newcomers.push(talker);
  }
  expect(seen).toEqual(new Set(['0', '1']));
  for (const { client } of newcomers) client.destroy();
  const survivors = talkers.filter(({ client }) => !client.isOver);
  expect(survivors).toHaveLength(10);
  for (const talker of survivors) await talker.stop();
  expect(survivors.filter(({ problem }) => problem !== '')).toEqual([]);
  for (const { client } of talkers) if (client.isOver) client.destroy();
  const left = descriptors - 2 * 10;
  await until(() => openDescriptors() <= left, `not more than ${left} descriptors are open`);
  expect(target.server!.stats().acceptor.sockets).toBe(0);
  await target.close();
});

it('a server that is closed while its acceptor rests after crashes does not keep the process alive', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  /** Timers that stay for a while; others come and go. */
  const timers = async (): Promise<number> => {
    const counts: number[] = [];
    while (counts.length < 6) {
      counts.push(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);
      await sleep(50);
    }
    return Math.min(...counts);
  };
  const { target, threads } = await withThreads(() => startServe({ shards: 1 }));
  const before = await timers();
  for (let death = 1; death <= 5; death++) {
    await threads.at(-1)!.terminate();
    await until(() => threads.length === 2 + death, 'there is another thread');
  }
  await threads.at(-1)!.terminate();
  await target.close();
  expect(await timers()).toBe(before);
});

it('an acceptor that dies again and again is back within a second, and says so', async () => {
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
  const { target, threads } = await withThreads(() => startServe({ shards: 1 }));
  for (let death = 1; death <= 7; death++) {
    await threads.at(-1)!.terminate();
    await until(() => threads.length === 2 + death, 'there is another thread');
  }
  (await HostileClient.upgrade(target.port, '/echo')).destroy();
  const when = complaints.mock.calls.map(([text]) => /started anew (.*?):/.exec(String(text))?.[1]);
  expect(when).toEqual([...Array.from({ length: 5 }, () => 'at once'), 'in 1 s', 'in 1 s']);
  await target.close();
});
