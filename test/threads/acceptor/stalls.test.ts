import type { Worker } from 'node:worker_threads';
import { type ServeOptions, type Server, serve } from 'millrace';
import { afterEach, describe, expect, it } from 'vitest';
import { canTransferSockets } from '../../../dist/src/net/socket-transfer.js';
import { HostileClient, handshakeHead, inParallel } from '../../support/clients/hostile-client.ts';
import { frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { HOST } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

/** Shards whose event loop stands still, and who connects meanwhile. */

interface Stalled {
  readonly server: Server;
  /** What was told, in order: `stalled 1`, `recovered 1`, `crashed 1`. */
  readonly told: string[];
  /** Whether a shard stands still, or did. */
  isHeld(shard: number): boolean;
  /** Lets a shard go on. */
  release(shard: number): void;
}

let running: Stalled | undefined;
const threads: Worker[] = [];
afterEach(async () => {
  for (let shard = 0; shard < 8; shard++) running?.release(shard);
  for (const client of HostileClient.live) client.destroy();
  await running?.server.close({ drain: 0 });
  running = undefined;
  process.removeAllListeners('worker');
  threads.length = 0;
});

async function start(options: Partial<ServeOptions>): Promise<Stalled> {
  process.on('worker', (thread) => threads.push(thread));
  const memory = new SharedArrayBuffer(64);
  const cells = new Int32Array(memory);
  const told: string[] = [];
  const server = await serve({
    app: new URL('../fixtures/hangs.js', import.meta.url),
    host: HOST,
    port: 0,
    shards: 3,
    data: memory,
    onStalled: (shard) => void told.push(`stalled ${shard}`),
    onRecovered: (shard, duration) => void told.push(`recovered ${shard}${duration > 0 ? '' : ' at once'}`),
    onCrash: (shard) => void told.push(`crashed ${shard}`),
    ...options,
  });
  running = {
    server,
    told,
    isHeld: (shard) => Atomics.load(cells, 8 + shard) === 1,
    release: (shard) => {
      Atomics.store(cells, shard, 1);
      Atomics.notify(cells, shard);
    },
  };
  return running;
}

/** Connects, without waiting for an answer. */
async function knock({ server }: Stalled, path = '/', fields: string[] = []): Promise<HostileClient> {
  const client = await HostileClient.open(server.port);
  client.write(handshakeHead(path, fields));
  return client;
}

/** 300 connections, with heads of which a channel holds some fifty. */
async function knockWithLongHeads(stalled: Stalled): Promise<HostileClient[]> {
  const clients: HostileClient[] = [];
  await inParallel(Array.from({ length: 300 }), 100, async () => {
    clients.push(await knock(stalled, '/', [`Cookie: ${'x'.repeat(3500)}`]));
  });
  return clients;
}

/** The shard that answered; '' as long as none has. */
function shardOf(client: HostileClient): string {
  const answer = client.bytes.toString('latin1');
  return answer.at(-3) === '\x81' && answer.at(-2) === '\x01' ? answer.at(-1)! : '';
}

async function answered(client: HostileClient): Promise<string> {
  await client.until(() => client.isOver || shardOf(client) !== '', 'an answer');
  return shardOf(client);
}

/** Has a shard stand still. */
async function hang(stalled: Stalled, shard: number): Promise<void> {
  for (;;) {
    const client = await knock(stalled, `/${Math.random()}`);
    if ((await answered(client)) !== String(shard)) continue;
    client.write(frameBytes(text('stand still'), SAMPLE_KEY));
    await until(() => stalled.isHeld(shard), 'it stands still');
    return;
  }
}

const state = ({ server }: Stalled, shard: number): string => server.stats().shards[shard]!.state;

const WAYS = canTransferSockets() ? (['channel', 'transfer'] as const) : (['channel'] as const);

describe.each(WAYS)('a shard that stands still, with handoff %s,', (handoff) => {
  it.each(['least-connections', 'round-robin'] as const)(
    'gets no newcomers under %s, is told of, and gets them again when it goes on',
    async (balance) => {
      const stalled = await start({ balance, handoff });
      await hang(stalled, 1);
      const first = await Promise.all(Array.from({ length: 30 }, () => knock(stalled)));
      await until(() => stalled.told.length > 0, 'it is told');
      expect([stalled.told, state(stalled, 1)]).toEqual([['stalled 1'], 'stalled']);
      const later = await Promise.all(Array.from({ length: 60 }, () => knock(stalled)));
      const seen = await Promise.all(later.map((client) => answered(client)));
      expect(new Set(seen)).toEqual(new Set(['0', '2']));
      // Those that were on their way to it wait.
      expect(first.filter((client) => shardOf(client) === '').length).toBeGreaterThan(0);
      expect(first.filter(({ isOver }) => isOver)).toEqual([]);

      stalled.release(1);
      expect((await Promise.all(first.map((client) => answered(client)))).filter(Boolean)).toHaveLength(30);
      await until(() => stalled.told.length === 2, 'that is told');
      expect([stalled.told[1], state(stalled, 1)]).toEqual(['recovered 1', 'ready']);
      const last = await Promise.all(Array.from({ length: 30 }, () => knock(stalled)));
      expect(await Promise.all(last.map((client) => answered(client)))).toContain('1');
    },
  );

  it('does not keep what was sent to it when its channel is full, nor lose it', async () => {
    const stalled = await start({ balance: 'round-robin', handoff, shards: 2 });
    await hang(stalled, 1);
    const clients = await knockWithLongHeads(stalled);
    await until(() => stalled.told.length > 0, 'it is told');
    const waiting = (): number => clients.filter((client) => shardOf(client) === '').length;
    // Half of them were sent to it; a port holds all.
    if (handoff === 'channel') await until(() => waiting() < 120, 'what it has not got goes to the other');
    expect(clients.filter(({ isOver }) => isOver)).toEqual([]);
    stalled.release(1);
    await until(() => waiting() === 0, 'all are answered');
    await until(() => state(stalled, 1) === 'ready', 'it is ready');
    // Those through which it was found, too.
    const open = [...HostileClient.live].filter(({ isOver }) => !isOver).length;
    await until(() => stalled.server.stats().total.webSockets === open, 'each is counted, once');
    // It is joined again.
    await hang(stalled, 1);
  });

  it('and then ends takes along only what was in its channel', async () => {
    const stalled = await start({ balance: 'round-robin', handoff, shards: 2 });
    await hang(stalled, 0);
    const clients = await knockWithLongHeads(stalled);
    await threads[0]!.terminate();
    await until(() => clients.every((client) => client.isOver || shardOf(client) !== ''), 'each has an end');
    const lost = clients.filter(({ isOver }) => isOver).length;
    expect(lost).toBeLessThan(handoff === 'channel' ? 120 : 151);
  });

  it('as all others do makes newcomers wait, and nobody is refused', async () => {
    const stalled = await start({ handoff, shards: 2 });
    await hang(stalled, 0);
    await hang(stalled, 1);
    const clients = await Promise.all(Array.from({ length: 20 }, () => knock(stalled)));
    await until(() => stalled.told.length === 2, 'both are told');
    clients.push(...(await Promise.all(Array.from({ length: 20 }, () => knock(stalled)))));
    expect(clients.filter((client) => client.received > 0)).toEqual([]);
    stalled.release(0);
    stalled.release(1);
    const seen = await Promise.all(clients.map((client) => answered(client)));
    expect(new Set(seen)).toEqual(new Set(['0', '1']));
  });

  it('and then ends is told as a crash, and never as recovered', async () => {
    const stalled = await start({ handoff, shards: 2 });
    await hang(stalled, 0);
    await Promise.all(Array.from({ length: 10 }, () => knock(stalled)));
    await until(() => stalled.told.length === 1, 'it is told');
    await threads.find((_, index) => index === 0)!.terminate();
    await until(() => state(stalled, 0) === 'ready', 'it is started anew');
    while ((await answered(await knock(stalled))) !== '0');
    expect(stalled.told).toEqual(['stalled 0', 'crashed 0']);
  });
});

it('when all shards stand still more connections wait than a thousand, others get 503', async () => {
  const stalled = await start({ shards: 1 });
  await hang(stalled, 0);
  const clients: HostileClient[] = [];
  await inParallel(Array.from({ length: 1600 }), 100, async () => {
    clients.push(await knock(stalled));
  });
  const refused = (): number => clients.filter(({ bytes }) => bytes.includes('HTTP/1.1 503')).length;
  await until(() => refused() > 0 && stalled.server.stats().acceptor.requests > 1600, 'some are refused');
  expect(clients.length - refused()).toBeGreaterThan(1024);
  stalled.release(0);
  await until(
    () => clients.every((client) => shardOf(client) !== '' || client.bytes.includes('503')),
    'all are answered',
  );
});

it('a sticky connection goes to another shard as long as its own stands still, and back then', async () => {
  const stalled = await start({ balance: { sticky: 'url' } });
  const paths = Array.from({ length: 20 }, (_, i) => `/user/${i}`);
  const ask = async (): Promise<string[]> =>
    Promise.all(paths.map(async (path) => answered(await knock(stalled, path))));
  const before = await ask();
  expect(before).toContain('1');
  await hang(stalled, 1);
  await Promise.all(paths.map((path) => knock(stalled, path)));
  await until(() => stalled.told.length === 1, 'it is told');
  const meanwhile = await ask();
  expect(meanwhile).not.toContain('1');
  expect(meanwhile.filter((shard, i) => before[i] !== '1' && shard !== before[i])).toEqual([]);
  stalled.release(1);
  await until(() => stalled.told.length === 2, 'it goes on');
  expect(await ask()).toEqual(before);
});
