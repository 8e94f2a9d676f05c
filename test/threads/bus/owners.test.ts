import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServeOptions, type Server, serve, type TlsOptions } from 'millrace';
import { request } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { participantOf } from '../../../dist/src/app/participant-of.js';
import type { Participant } from '../../../dist/src/bus/participant.js';
import { HOST } from '../../support/servers/server.ts';
import { type Certificate, makeCertificate } from '../../support/tls/certificates.ts';
import { fingerprintFor } from '../../support/tls/tls.ts';
import { sleep, until } from '../../support/tools/deadline.ts';
import { Flag, INCREMENT, Mode, namesOf, Tally } from '../fixtures/counting.js';

/** What a shard says of itself. */
interface Owner {
  readonly id: number;
  readonly instance: number;
  readonly epoch: number;
  readonly filling: number;
  /** Requests that it waits for. */
  readonly pending: number;
  readonly peers: readonly string[];
  readonly counters: readonly (readonly [string, number])[];
}

const NAMES: readonly string[] = namesOf(16);

let server: Server;
let tallies: Int32Array;
let flags: Int32Array;
let crashes: number[];
let printed: string[];

beforeEach(() => {
  tallies = new Int32Array(new SharedArrayBuffer(64));
  flags = new Int32Array(new SharedArrayBuffer(16));
  crashes = [];
  printed = [];
  vi.spyOn(console, 'error').mockImplementation((line) => printed.push(String(line)));
});
afterEach(async () => {
  await server.close({ drain: 0 });
  vi.restoreAllMocks();
});

async function start(shards: number, options: Partial<ServeOptions> = {}): Promise<void> {
  server = await serve({
    app: new URL('../fixtures/counting-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards,
    balance: 'round-robin',
    data: { tallies: tallies.buffer, flags: flags.buffer },
    onCrash: (shard) => crashes.push(shard),
    ...options,
  });
}

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-owners-'));
});
afterAll(() => rm(folder, { recursive: true }));

function tlsOptions(name: string, { key, cert }: Certificate): TlsOptions {
  const options = { key_file_name: join(folder, `${name}.key`), cert_file_name: join(folder, `${name}.pem`) };
  writeFileSync(options.key_file_name, key);
  writeFileSync(options.cert_file_name, cert);
  return options;
}

/** The main thread among the shards. To the type checker the server is that of src. */
const main = (): Participant => participantOf(server as never);

/** Asks the owner of a name to count it up. */
const increment = (name: string, options?: { timeout: number }): Promise<Uint8Array> =>
  main().ask(main().ownerOf(name), INCREMENT as never, Buffer.from(name), options);

/** Waits for what an answer of the server says. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(5);
}

/** A request by a connection of its own, so that they go to the shards in turn. */
async function get(path: string): Promise<string> {
  const { body } = await request(`http://${HOST}:${server.port}${path}`, { reset: true });
  return body.text();
}

/** What all shards say of themselves, by number. */
async function owners(): Promise<Owner[]> {
  const found = new Map<number, Owner>();
  while (found.size < server.shards) {
    const owner = JSON.parse(await get('/')) as Owner;
    found.set(owner.id, owner);
  }
  return Array.from(found.values()).sort((a, b) => a.id - b.id);
}

/** The count of each name, which only its owner may have. */
async function counts(): Promise<Map<string, number>> {
  const all = new Map<string, number>();
  for (const { id, counters } of await owners()) {
    for (const [name, count] of counters) {
      expect(main().ownerOf(name)).toBe(id);
      all.set(name, count);
    }
  }
  return all;
}

const sum = (numbers: Iterable<number>): number => Array.from(numbers).reduce((a, b) => a + b, 0);

/** The main thread counts names up, too, for as long as the load lasts. */
async function countHere(): Promise<void> {
  for (let i = 0; Atomics.load(flags, Flag.LOAD) === 1; i++) {
    const name = NAMES[i % NAMES.length]!;
    if (i % 4 === 0) await sleep(2);
    try {
      await increment(name);
      Atomics.add(tallies, Tally.COUNTED, 1);
    } catch {
      Atomics.add(tallies, Tally.UNKNOWN, 1);
      await sleep(1);
    }
  }
}

async function underLoad(action: () => Promise<void>): Promise<void> {
  Atomics.store(flags, Flag.LOAD, 1);
  const counting = [countHere(), countHere(), countHere()];
  try {
    await action();
  } finally {
    Atomics.store(flags, Flag.LOAD, 0);
    await Promise.all(counting);
  }
}

const counted = (): number => Atomics.load(tallies, Tally.COUNTED);

/** Waits until all that the shards asked has an answer, or has failed. */
async function settled(): Promise<void> {
  await eventually(async () => (await owners()).every(({ pending }) => pending === 0));
}

const ask = async (name: string, timeout = 10_000): Promise<number> => {
  const answer = await increment(name, { timeout });
  return Number(Buffer.from(answer).toString());
};

/** What the main thread hears of the shards. */
function changesHere(): string[] {
  const changes: string[] = [];
  main().onPeer(({ id, instance }, state) => changes.push(`${state} ${id} ${instance}`));
  return changes;
}

/** A name that this shard owns. */
const nameOf = (shard: number): string => {
  for (let i = 0; ; i++) if (main().ownerOf(`name ${i}`) === shard) return `name ${i}`;
};

describe('an owner of names that is replaced', () => {
  it('loses no request and does none twice in 20 reloads under load from all threads', async () => {
    await start(2);
    await underLoad(async () => {
      for (let i = 0; i < 20; i++) {
        const before = counted();
        await server.reload();
        // It goes on between two reloads.
        await until(() => counted() > before + 100, 'the load goes on');
      }
    });
    await settled();
    expect(Atomics.load(tallies, Tally.UNKNOWN)).toBe(0);
    expect(sum((await counts()).values())).toBe(counted());
    for (const { instance, epoch, peers } of await owners()) {
      expect({ instance, epoch }).toEqual({ instance: 1, epoch: 1 });
      expect(peers.filter((change) => change.startsWith('gone'))).toEqual([]);
    }
    expect(crashes).toEqual([]);
    expect(printed).toEqual([]);
  });

  it('hands over as the only shard, and large state', async () => {
    await start(1);
    await get(`/fill/${8 * 1024 * 1024}`);
    expect(await ask('a')).toBe(1);
    await server.reload();
    expect(await ask('a')).toBe(2);
    expect(await owners()).toMatchObject([{ instance: 1, epoch: 1, filling: 8 * 1024 * 1024 }]);
    expect(printed).toEqual([]);
  });

  it('lets requests wait meanwhile, in order and until their deadlines', async () => {
    await start(2);
    const name = nameOf(0);
    expect(await ask(name)).toBe(1);
    Atomics.store(flags, Flag.MODE, Mode.PACK_WAITS);
    const reloaded = server.reload();
    await until(() => Atomics.load(tallies, Tally.PACKING) === 1, 'a shard packs');
    const waiting = Array.from({ length: 100 }, () => ask(name));
    // The other one is not concerned.
    expect(await ask(nameOf(1))).toBe(1);
    await expect(ask(name, 50)).rejects.toMatchObject({ code: 'MILLRACE_ASK_TIMEOUT' });
    Atomics.store(flags, Flag.GATE, 1);
    expect(await Promise.all(waiting)).toEqual(waiting.map((_, i) => i + 2));
    await reloaded;
    // What nobody waits for any more is done all the same.
    expect(await ask(name)).toBe(103);
  });

  it('loses no publish for its listeners, doubles none and keeps their order, while shards are replaced', async () => {
    await start(2);
    let published = 0;
    let isOver = false;
    const publishing = (async () => {
      for (; !isOver; await sleep(1)) {
        for (let i = 0; i < 50; i++) server.publish('numbers', `${published++}`);
      }
    })();
    for (let i = 0; i < 5; i++) {
      const before = published;
      await server.reload();
      await until(() => published > before + 500, 'it goes on');
    }
    isOver = true;
    await publishing;
    const heard = (): number[] => [0, 1].map((shard) => Atomics.load(tallies, Tally.HEARD + shard));
    await until(() => Math.min(...heard()) === published, 'all is heard');
    expect(heard()).toEqual([published, published]);
    expect(Atomics.load(tallies, Tally.WRONG)).toBe(0);
  });

  it('has the credentials that it is given while it takes over', async () => {
    const [old, renewed] = [makeCertificate('old.test'), makeCertificate('renewed.test')];
    await start(1, { tls: tlsOptions('before', old) });
    expect(await fingerprintFor(server.port, 'old.test')).toBe(old.fingerprint);
    Atomics.store(flags, Flag.MODE, Mode.TAKE_WAITS);
    const reloaded = server.reload();
    await until(() => Atomics.load(tallies, Tally.TAKING) === 1, 'a shard takes over');
    await server.reloadTls(tlsOptions('after', renewed));
    Atomics.store(flags, Flag.GATE, 1);
    await reloaded;
    expect(await fingerprintFor(server.port, 'renewed.test')).toBe(renewed.fingerprint);
  });

  it('may be closed while it packs', async () => {
    await start(2);
    Atomics.store(flags, Flag.MODE, Mode.PACK_WAITS);
    const reloaded = server.reload();
    await until(() => Atomics.load(tallies, Tally.PACKING) === 1, 'a shard packs');
    await expect(server.reload()).rejects.toMatchObject({ code: 'MILLRACE_APP_STATE' });
    await server.close({ drain: 0 });
    await reloaded;
    expect(crashes).toEqual([]);
  });
});

describe('state that cannot be handed over', () => {
  it.each([
    ['throws when it is packed', Mode.PACK_THROWS, 'the counters cannot be packed'],
    ['throws when it is taken over', Mode.TAKE_THROWS, 'the counters cannot be taken over'],
    ['is too large', Mode.TOO_LARGE, 'its state takes more than the 67108864 bytes that are left for it'],
  ])('that %s begins anew, is told and counted; requests go on', async (_, mode, why) => {
    await start(2);
    const [first, second] = [nameOf(0), nameOf(1)];
    expect([await ask(first), await ask(second)]).toEqual([1, 1]);
    Atomics.store(flags, Flag.MODE, mode);
    await server.reload();
    expect([await ask(first), await ask(second)]).toEqual([1, 1]);
    expect(printed).toEqual(
      [0, 1].map(
        (shard) => `millrace: shard ${shard} begins anew with what it kept by name: counters: ${why}`,
      ),
    );
    // The thread is the same to the others; that its state began in another one is what the epoch says.
    expect(server.stats().total).toMatchObject({ handovers: 2, statesLost: 2 });
    expect(crashes).toEqual([]);
  });
});

describe('an owner that crashes', () => {
  it('begins anew with another instance number, which all see; nobody waits for it', async () => {
    await start(3);
    const here = changesHere();
    await underLoad(async () => {
      await until(() => counted() > 500, 'there is load');
      const shard = Number(await get('/crash'));
      await until(() => here.includes(`up ${shard} 2`), 'it is up again');
      expect(here.slice(-2)).toEqual([`gone ${shard} 1`, `up ${shard} 2`]);
      const before = counted();
      await until(() => counted() > before + 500, 'the load goes on');
      for (const { id, instance, epoch, peers } of await owners()) {
        if (id === shard) expect({ instance, epoch }).toEqual({ instance: 2, epoch: 2 });
        else expect(peers.slice(-2)).toEqual([`gone ${shard} 1`, `up ${shard} 2`]);
      }
      expect(crashes).toEqual([shard]);
    });
    // What the dead one had counted is gone, and nothing else.
    expect(sum((await counts()).values())).toBeLessThan(counted() + Atomics.load(tallies, Tally.UNKNOWN));
  });

  it.each([
    ['while it packs', Mode.PACK_EXITS, 'resolves'],
    ['while it takes over', Mode.TAKE_EXITS, 'rejects'],
  ])('%s begins anew as after any crash', async (_, mode, outcome) => {
    await start(2);
    const name = nameOf(0);
    const here = changesHere();
    expect(await ask(name)).toBe(1);
    Atomics.store(flags, Flag.MODE, mode);
    const reloaded = server.reload();
    if (outcome === 'resolves') await reloaded;
    else await expect(reloaded).rejects.toMatchObject({ code: 'MILLRACE_SHARD_CRASHED' });
    await until(() => here.includes('up 0 2'), 'it is up again');
    await eventually(async () => (await owners())[0]!.epoch === 2);
    expect(await ask(name)).toBe(1);
    expect(server.stats().total.statesLost).toBeGreaterThan(0);
  });
});

describe('owners that are replaced, and crash, in turn', () => {
  it('do nothing twice, are the same to all, and lose nothing once the crashes are over', async () => {
    const rounds = 4;
    await start(2);
    const here = changesHere();
    const ends = (): number => here.filter((change) => change.startsWith('gone')).length;
    await underLoad(async () => {
      for (let i = 0; i < rounds; i++) {
        const reloaded = server.reload().catch(() => {});
        // In the middle of it, or behind it.
        if (i % 2 === 1) await reloaded;
        await get('/exit').catch(() => {});
        await until(() => ends() === Atomics.load(tallies, Tally.EXITS), 'it is told');
        await reloaded;
        await until(() => server.stats().shards.every(({ state }) => state === 'ready'), 'all are up');
      }
    });
    await settled();
    const total = sum((await counts()).values());
    expect(total).toBeLessThanOrEqual(counted() + Atomics.load(tallies, Tally.UNKNOWN));
    const all = await owners();
    for (const { id, instance } of all) expect(main().peers.get(id)!.instance).toBe(instance);
    const before = { total, counted: counted(), unknown: Atomics.load(tallies, Tally.UNKNOWN) };
    await underLoad(async () => {
      await server.reload();
      await until(() => counted() > before.counted + 500, 'the load goes on');
    });
    await settled();
    expect(Atomics.load(tallies, Tally.UNKNOWN)).toBe(before.unknown);
    expect(sum((await counts()).values())).toBe(total + counted() - before.counted);
    const rings = server.stats().rings;
    expect(rings.every(({ resets }) => resets === 0)).toBe(true);
  });
});
