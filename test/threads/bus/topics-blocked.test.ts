import { type Server, serve } from 'millrace';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TopicClient } from '../../support/clients/topic-client.ts';
import { HOST } from '../../support/servers/server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const SHARDS = 4;
const BLOCKED = 1;
/** The main thread publishes too. */
const PUBLISHERS = ['from 0', 'from 2', 'from 3', 'from main'] as const;
const SIZE = 1000;
const RING = 256 * 1024;
const MAX_OVERFLOW = 1024 * 1024;
/** More than wait for a shard, and not so many at a time that one which is merely busy falls behind. */
const COUNT = 2500;

let server: Server;
/** The blocked shard sleeps while this is 0. */
const awake = new Int32Array(new SharedArrayBuffer(4));
const reports: [from: number, to: number, dropped: number][] = [];
beforeAll(async () => {
  server = await serve({
    app: new URL('../../integration/fixtures/topics-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: SHARDS,
    balance: 'round-robin',
    ringSize: RING,
    maxOverflow: MAX_OVERFLOW,
    data: awake.buffer,
    onOverflow: (...report) => reports.push(report),
  });
});
afterAll(() => server.close({ drain: 0 }));

/** What came to a client, by publisher. */
class Numbers {
  readonly client: TopicClient;
  readonly of = new Map<string, number[]>(PUBLISHERS.map((name) => [name, []]));

  constructor(client: TopicClient) {
    this.client = client;
    client.onMessage = (payload) => {
      const [, name, number] = /^(from \w+) (\d+)/.exec(payload.toString('latin1', 0, 30)) ?? [];
      this.of.get(name ?? '')!.push(Number(number));
    };
  }

  /** The lowest number of messages of one publisher. */
  get least(): number {
    return Math.min(...Array.from(this.of.values(), ({ length }) => length));
  }
}

async function publishFromMain(): Promise<void> {
  for (let i = 0; i < COUNT; i++) {
    server.publish('t', `from main ${i}`.padEnd(SIZE));
    await sleep(1);
  }
}

test('a shard that is blocked for 3 s holds up nobody, gets what waited for it, and its losses are counted', async () => {
  const clients = await TopicClient.connectAll(SHARDS * 3, server.port);
  const all = clients.map((client) => new Numbers(client));
  await Promise.all(clients.map((client) => client.subscribe('t')));
  const isBlocked = ({ client }: Numbers): boolean => client.shard === BLOCKED;
  const [blocked, others] = [all.filter(isBlocked), all.filter((one) => !isBlocked(one))];
  const publishers = [0, 2, 3].map((shard) => clients.find((client) => client.shard === shard)!);
  const start = performance.now();
  blocked[0]!.client.tell({ ask: 'sleep' });
  await sleep(50);
  await Promise.all([
    publishFromMain(),
    ...publishers.map((client) =>
      client.ask({
        ask: 'publishMany',
        topic: 't',
        name: `from ${client.shard}`,
        count: COUNT,
        every: 1,
        size: SIZE,
      }),
    ),
  ]);
  // While it sleeps the others get everything.
  await until(() => others.every(({ least }) => least === COUNT), 'the others have got everything');
  const expected = Array.from({ length: COUNT }, (_, i) => i);
  for (const { of } of others) for (const numbers of of.values()) expect(numbers).toEqual(expected);
  for (const { of } of blocked) for (const numbers of of.values()) expect(numbers).toEqual([]);
  const asleep = server.stats().rings.filter(({ to }) => to === BLOCKED);
  expect(asleep.filter(({ depth, dropped }) => depth > 0 && dropped > 0)).toHaveLength(PUBLISHERS.length);
  await sleep(start + 3000 - performance.now());
  Atomics.store(awake, 0, 1);
  Atomics.notify(awake, 0);
  await blocked[0]!.client.answer('sleep');

  // One more of each, so that the blocked shard sees how far the numbering has come.
  const isEmpty = (): boolean =>
    server.stats().rings.every(({ depth, overflowBytes }) => depth + overflowBytes === 0);
  await until(isEmpty, 'nothing waits any more');
  server.publish('t', `from main ${COUNT}`);
  await Promise.all(
    publishers.map((client) =>
      client.ask({ ask: 'publish', by: 'app', topic: 't', message: `from ${client.shard} ${COUNT}` }),
    ),
  );
  await until(
    () => blocked.every(({ of }) => [...of.values()].every((list) => list.at(-1) === COUNT)),
    'the last',
  );

  const { rings } = server.stats();
  for (const ring of rings) {
    if (ring.to !== BLOCKED) expect(ring).toMatchObject({ dropped: 0, lost: 0, resets: 0 });
  }
  PUBLISHERS.forEach((name, i) => {
    const from = [0, 2, 3, SHARDS][i]!;
    const ring = rings.find((one) => one.from === from && one.to === BLOCKED)!;
    expect(ring.dropped, name).toBeGreaterThan(0);
    expect(ring).toMatchObject({ lost: ring.dropped, received: ring.written, resets: 0 });
    for (const { of } of blocked) {
      const numbers = of.get(name)!;
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(numbers.length);
      // What is missing is exactly what was dropped.
      expect(numbers.length).toBe(COUNT + 1 - ring.dropped);
      // What waited begins with the first, and is at least what the ring and its overflow hold.
      const waited = numbers.findIndex((number, at) => number !== at);
      expect(waited * SIZE).toBeGreaterThan(0.8 * (RING + MAX_OVERFLOW));
    }
  });

  const reported = (): number => reports.reduce((sum, [, , dropped]) => sum + dropped, 0);
  const dropped = rings.reduce((sum, ring) => sum + ring.dropped, 0);
  await until(() => reported() === dropped, 'every loss is reported');
  expect(new Set(reports.map(([from]) => from))).toEqual(new Set([0, 2, 3, SHARDS]));
  expect(new Set(reports.map(([, to]) => to))).toEqual(new Set([BLOCKED]));
  // At most one a second of each thread.
  expect(reports.length).toBeLessThanOrEqual(4 * 8);
  for (const client of clients) client.destroy();
});
