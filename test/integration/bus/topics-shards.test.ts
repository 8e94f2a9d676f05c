import { type Server, serve } from 'millrace';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TopicClient } from '../../support/clients/topic-client.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { HOST } from '../../support/servers/server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const SHARDS = 4;
const MIB = 1024 * 1024;

let server: Server;
const crashes: unknown[] = [];
beforeAll(async () => {
  server = await serve({
    app: new URL('../fixtures/topics-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: SHARDS,
    balance: 'round-robin',
    maxTopicLength: 60 * 1024,
    onCrash: (_shard, error) => crashes.push(error),
  });
});
afterAll(() => server.close({ drain: 0 }));

let clients: TopicClient[] = [];
afterEach(async () => {
  for (const client of clients) client.destroy();
  clients = [];
  await until(() => server.stats().total.sockets === 0, 'all sockets are closed');
  expect(crashes).toEqual([]);
  for (const ring of server.stats().rings) expect(ring).toMatchObject({ dropped: 0, lost: 0, resets: 0 });
});

/** Clients on all shards in turn, `perShard` on each. */
async function connect(perShard: number, path = '/'): Promise<TopicClient[]> {
  const made = await TopicClient.connectAll(perShard * SHARDS, server.port, path);
  clients.push(...made);
  made.sort((a, b) => a.shard - b.shard);
  expect(made.map(({ shard }) => shard)).toEqual(made.map((_, i) => Math.floor(i / perShard)));
  return made;
}

/** Keeps the texts that come to a client. */
function collect(client: TopicClient): string[] {
  const texts: string[] = [];
  client.onMessage = (payload) => texts.push(payload.toString());
  return texts;
}

/** The message that comes last. */
const MARK = Buffer.from('end');

/** Everything that was published before has arrived everywhere, once this has. */
async function untilQuiet(all: readonly TopicClient[], topic: string): Promise<void> {
  const marks = all.map(() => 0);
  all.forEach((client, i) => {
    const { onMessage } = client;
    client.onMessage = (payload, isBinary) => {
      if (payload.equals(MARK)) marks[i]!++;
      onMessage(payload, isBinary);
    };
  });
  // From every shard: rings keep the order of one thread only.
  const one = Array.from({ length: SHARDS }, (_, shard) => all.find((client) => client.shard === shard)!);
  await Promise.all(one.map((client) => client.ask({ ask: 'publish', by: 'app', topic, message: 'end' })));
  server.publish(topic, 'end');
  await until(() => marks.every((count) => count === SHARDS + 1), 'all marks have come');
}

describe('a publish reaches every subscriber of every shard', () => {
  test('from a handler, from an App and from the main thread, but not who published', async () => {
    const all = await connect(5);
    const texts = all.map(collect);
    await Promise.all(all.slice(1).map((client) => client.subscribe('t', 'u')));
    const outsider = all[0]!;
    const publisher = all[7]!;
    expect((await publisher.ask({ ask: 'publish', topic: 't', message: 'of a handler' })).result).toBe(true);
    // Without any subscription a socket publishes nothing.
    expect((await outsider.ask({ ask: 'publish', topic: 't', message: 'of an outsider' })).result).toBe(
      false,
    );
    const byApp = await outsider.ask({ ask: 'publish', by: 'app', topic: 't', message: 'of an App' });
    expect(byApp.result).toBe(true);
    expect(server.publish('t', 'of the main thread')).toBe(true);
    await untilQuiet(all.slice(1), 't');
    expect(texts[0]).toEqual([]);
    const ends = Array.from({ length: SHARDS + 1 }, () => 'end');
    all.forEach((client, i) => {
      if (client === outsider) return;
      const own = client === publisher ? [] : ['of a handler'];
      expect(texts[i]!.sort()).toEqual([...ends, ...own, 'of an App', 'of the main thread'].sort());
    });
  });

  test('in binary and in text, in its order', async () => {
    const all = await connect(1);
    const got: [boolean, string][][] = all.map((client) => {
      const list: [boolean, string][] = [];
      client.onMessage = (payload, isBinary) => list.push([isBinary, payload.toString('latin1')]);
      return list;
    });
    await Promise.all(all.map((client) => client.subscribe('t')));
    for (let i = 0; i < 300; i++) server.publish('t', Buffer.from(String(i)), i % 3 === 0);
    server.publish('t', '');
    await until(() => all.every(({ count }) => count === 301), 'all have come');
    const expected = Array.from({ length: 300 }, (_, i) => [i % 3 === 0, String(i)]);
    for (const list of got) expect(list).toEqual([...expected, [false, '']]);
  });

  test('and says false when there is none on any shard', async () => {
    const [a, b] = (await connect(1)) as [TopicClient, TopicClient];
    await a.subscribe('mine');
    const publish = async (client: TopicClient, by: string): Promise<unknown> =>
      (await client.ask({ ask: 'publish', by, topic: 't', message: 'm' })).result;
    expect(await publish(a, 'ws')).toBe(false);
    expect(await Promise.all([publish(a, 'app'), publish(b, 'app')])).toEqual([false, false]);
    expect(server.publish('t', 'm')).toBe(false);
    await a.subscribe('t');
    // Its own subscription does not count for itself, and does for everybody else.
    expect(await publish(a, 'ws')).toBe(false);
    expect(await Promise.all([publish(a, 'app'), publish(b, 'app')])).toEqual([true, true]);
    expect(server.publish('t', 'm')).toBe(true);
    await b.subscribe('t');
    expect(await publish(a, 'ws')).toBe(true);
    await a.unsubscribe('t');
    b.destroy();
    await until(() => server.numSubscribers('t') === 0, 'b is gone');
    expect(await publish(a, 'app')).toBe(false);
    expect(server.publish('t', 'm')).toBe(false);
  });

  test('from the handlers of open and close', async () => {
    const watcher = (await connect(1))[0]!;
    const texts = collect(watcher);
    await watcher.subscribe('presence');
    const guests = await connect(2, '/presence');
    await until(() => texts.length === 8, 'all have come');
    expect(texts).toEqual(Array.from({ length: 8 }, () => 'one more'));
    for (const guest of guests) guest.destroy();
    await until(() => texts.length === 16, 'all have gone');
    expect(texts.slice(8).every((text) => /^one less: 1006, \d left$/.test(text))).toBe(true);
    expect(server.numSubscribers('presence')).toBe(1);
  });
});

test('numSubscribers is the count over all shards, wherever it is asked', async () => {
  const all = await connect(10);
  const expectCount = async (count: number): Promise<void> => {
    expect(server.numSubscribers('t')).toBe(count);
    for (const client of [all[0]!, all[15]!, all[39]!]) {
      expect((await client.ask({ ask: 'count', topics: ['t', 'none'] })).counts).toEqual([count, 0]);
    }
  };
  await expectCount(0);
  await Promise.all(all.map((client) => client.subscribe('t', 'u')));
  await expectCount(40);
  await Promise.all(all.slice(0, 12).map((client) => client.unsubscribe('t')));
  await expectCount(28);
  await Promise.all(all.slice(0, 12).map((client) => client.subscribe('t', 't')));
  await expectCount(40);
  for (const client of all.slice(20, 35)) client.reset();
  await until(() => server.numSubscribers('t') === 25, 'those that are gone count no more');
  await expectCount(25);
});

describe('many', () => {
  test('100,000 topics', async () => {
    const perShard = 100_000 / SHARDS;
    const all = await connect(1);
    const texts = all.map(collect);
    const answers = await Promise.all(
      all.map((client, i) =>
        client.ask({ ask: 'subscribeRange', prefix: 'room/', from: i * perShard, to: (i + 1) * perShard }),
      ),
    );
    expect(answers.map(({ topics }) => topics)).toEqual(all.map(() => perShard));
    let miscounted = 0;
    for (let i = 0; i < 100_000; i++) if (server.numSubscribers(`room/${i}`) !== 1) miscounted++;
    expect(miscounted).toBe(0);
    const expected: string[][] = all.map(() => []);
    for (let i = 0; i < 100_000; i += 41) {
      expect(server.publish(`room/${i}`, String(i))).toBe(true);
      expected[Math.floor(i / perShard)]!.push(String(i));
    }
    expect(server.publish('room/100000', 'nobody is there')).toBe(false);
    await until(() => all.every(({ count }, i) => count === expected[i]!.length), 'all have come');
    expect(texts).toEqual(expected);
    // Half are left one by one, the others with their sockets.
    const left = await Promise.all(
      all.slice(0, 2).map((client, i) =>
        client.ask({
          ask: 'unsubscribeRange',
          prefix: 'room/',
          from: i * perShard,
          to: (i + 1) * perShard,
        }),
      ),
    );
    expect(left.map(({ topics }) => topics)).toEqual([0, 0]);
    for (const client of all.slice(2)) client.destroy();
    await until(() => server.stats().total.sockets === 2, 'the others are gone');
    for (let i = 0; i < 100_000; i += 7) if (server.numSubscribers(`room/${i}`) !== 0) miscounted++;
    expect(miscounted).toBe(0);
    expect(server.publish('room/5', 'nobody is there any more')).toBe(false);
  });

  test('10,000 subscriptions: 500 sockets, each of 20 topics', async () => {
    const all = await connect(125);
    const topics = Array.from({ length: 20 }, (_, i) => `topic ${i}`);
    await Promise.all(all.map((client) => client.subscribe(...topics)));
    for (const topic of topics) expect(server.numSubscribers(topic)).toBe(500);
    let wrong = 0;
    for (const client of all) {
      let next = 0;
      client.onMessage = (payload) => {
        if (payload.toString() !== String(next++)) wrong++;
      };
    }
    for (let i = 0; i < 200; i++) {
      server.publish(topics[i % 20]!, String(i));
      if (i % 50 === 49) await sleep(5);
    }
    await until(() => all.every(({ count }) => count === 200), 'all have come');
    expect(wrong).toBe(0);
  });
});

describe('a storm of subscribes and unsubscribes', () => {
  test('delivers between the two acknowledgements everything, and nothing outside', async () => {
    const all = await connect(8);
    let published = 0;
    let isOver = false;
    const publishing = (async () => {
      while (!isOver) {
        for (let i = 0; i < 5; i++) server.publish('storm', String(++published));
        await sleep(1);
      }
    })();
    let messages = 0;
    await Promise.all(
      all.map(async (client, i) => {
        let got: number[] = [];
        client.onMessage = (payload) => got.push(Number(payload.toString()));
        for (let round = 0; round < 40; round++) {
          await client.subscribe('storm');
          const after = published;
          if ((round + i) % 3 > 0) await sleep((round + i) % 7);
          await client.unsubscribe('storm');
          const inside = got;
          got = [];
          // All from the first that was published after the acknowledgement, in a row. Of those before it some may
          // come: a message that was on its way to another subscriber of the shard when this one subscribed. What
          // was still on its way at the unsubscribe need not come.
          const early = inside.filter((number) => number <= after);
          expect(early).toEqual(early.toSorted((a, b) => a - b));
          const late = inside.slice(early.length);
          expect(late).toEqual(late.map((_, at) => after + 1 + at));
          messages += inside.length;
          await sleep((round * 5 + i) % 4);
          expect(got, 'messages after the unsubscribe').toEqual([]);
        }
      }),
    );
    isOver = true;
    await publishing;
    expect(server.numSubscribers('storm')).toBe(0);
    expect(messages).toBeGreaterThan(1000);
  });

  test('leaves the tables as they were', async () => {
    const all = await connect(4);
    await Promise.all(
      all.map(async (client, i) => {
        for (let round = 0; round < 10; round++) {
          await client.ask({ ask: 'subscribeRange', prefix: 'churn/', from: i * 30, to: i * 30 + 500 });
          await client.ask({ ask: 'unsubscribeRange', prefix: 'churn/', from: i * 30, to: i * 30 + 500 });
        }
      }),
    );
    for (let i = 0; i < 1000; i++) expect(server.numSubscribers(`churn/${i}`)).toBe(0);
    expect(server.publish('churn/100', 'm')).toBe(false);
  });
});

describe('any name is a topic', () => {
  const names = {
    'no character': '',
    '60 KiB': 'x'.repeat(60 * 1024),
    'another of 60 KiB': `${'x'.repeat(60 * 1024 - 1)}y`,
    '20,000 characters of three bytes': '語'.repeat(20_000),
    'a name of every object': '__proto__',
    constructor: 'constructor',
    '#': '#',
    '+': '+',
    'a/#': 'a/#',
    NUL: '\0',
    'NUL NUL': '\0\0',
    emoji: '👩‍👩‍👧 room',
    'a composed letter': 'é',
    'a decomposed letter': 'e\u0301',
    'a byte order mark': '\ufeffroom',
    'no byte order mark': 'room',
  };

  test.each(Object.entries(names))('%s', async (_name, topic) => {
    const all = await connect(1);
    const texts = all.map(collect);
    const others = Object.values(names).filter((name) => name !== topic);
    await Promise.all(all.slice(1).map((client) => client.subscribe(topic)));
    await all[0]!.subscribe(...others);
    expect(server.numSubscribers(topic)).toBe(3);
    expect((await all[1]!.ask({ ask: 'topics' })).topics).toEqual([topic]);
    await all[0]!.ask({ ask: 'publish', topic, message: 'from a handler' });
    server.publish(topic, 'from the main thread');
    server.publish(Buffer.from(topic), 'in bytes');
    await until(() => all.slice(1).every(({ count }) => count === 3), 'all have come');
    for (const list of texts.slice(1)) {
      expect(list.toSorted()).toEqual(['from a handler', 'from the main thread', 'in bytes']);
      expect(list.indexOf('from the main thread')).toBeLessThan(list.indexOf('in bytes'));
    }
    expect(texts[0]).toEqual([]);
  });

  test('lone surrogates stand for the replacement character, on every shard', async () => {
    const all = await connect(1);
    const names = ['room \ud800', 'room \udfff', 'room \ufffd', 'room \ufffd'];
    await Promise.all(all.map((client, i) => client.subscribe(names[i]!)));
    for (const name of names) expect(server.numSubscribers(name)).toBe(4);
    for (const [i, client] of all.entries()) {
      await client.ask({ ask: 'publish', by: 'app', topic: names[i]!, message: 'm' });
    }
    server.publish('room \udbff', 'm');
    await until(() => all.every(({ count }) => count === 5), 'all have come');
  });
});

describe('large messages', () => {
  /** Counts messages that are not the pattern of their turn. */
  function checkPatterns(client: TopicClient, sizes: readonly number[]): () => number {
    let wrong = 0;
    client.onMessage = (payload) => {
      const at = client.count - 1;
      if (Buffer.compare(payload, expectedOf(sizes, at)) !== 0) wrong++;
    };
    return () => wrong;
  }
  const cache = new Map<string, Uint8Array>();
  function expectedOf(sizes: readonly number[], at: number): Uint8Array {
    const key = `${sizes[at]} ${at}`;
    const known = cache.get(key) ?? pattern(sizes[at] ?? 0, at + 1);
    cache.set(key, known);
    return known;
  }

  test('longer than the ring arrive whole, from the main thread and from a handler', async () => {
    const all = await connect(2);
    await Promise.all(all.map((client) => client.subscribe('t')));
    const sizes = [MIB, 10, 256 * 1024 - 200, 256 * 1024, 256 * 1024 + 1, 100_000, 5 * MIB + 3, 20 * MIB, 1];
    const wrong = all.map((client) => checkPatterns(client, sizes));
    sizes.forEach((size, i) => {
      if (i < 6) server.publish('t', pattern(size, i + 1), true);
    });
    await until(() => all.every(({ count }) => count === 6), 'the first have come');
    for (let i = 6; i < sizes.length; i++) {
      await all[3]!.ask({ ask: 'publishLarge', topic: 't', size: sizes[i]!, seed: i + 1 });
      // One alone may be larger than what can wait for a shard; two may not.
      await until(() => all.every(({ count }) => count === i + 1), `message ${i} has come`);
    }
    expect(wrong.map((count) => count())).toEqual(all.map(() => 0));
  });

  test('stay what they are for those that wait when others of them end with a reset', async () => {
    const all = await connect(6);
    await Promise.all(all.map((client) => client.subscribe('t')));
    const sizes = Array.from({ length: 12 }, () => MIB);
    const wrong = all.map((client) => checkPatterns(client, sizes));
    for (const client of all) client.pause();
    for (let i = 0; i < 12; i++) {
      all[0]!.tell({ ask: 'publishLarge', topic: 't', size: MIB, seed: i + 1 });
    }
    await until(() => server.stats().total.delivered >= 12 * 24, 'all is on its way');
    all.forEach((client, i) => {
      if (i % 2 === 1) client.reset();
    });
    await until(() => server.stats().total.sockets === 12, 'half are gone');
    const left = all.filter((_, i) => i % 2 === 0);
    for (const client of left) client.resume();
    await until(() => left.every(({ count }) => count === 12), 'all have come');
    expect(wrong.map((count) => count())).toEqual(all.map(() => 0));
  });
});

test('publishes while the server drains and after it are in vain, and no error', async () => {
  const draining = await serve({
    app: new URL('../fixtures/topics-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: 2,
  });
  const guests = await TopicClient.connectAll(10, draining.port, '/presence');
  const watchers = await TopicClient.connectAll(10, draining.port);
  await Promise.all(watchers.map((client) => client.subscribe('t', 'presence')));
  let isClosed = false;
  const closing = draining.close({ drain: 2000 }).then(() => {
    isClosed = true;
  });
  while (!isClosed) {
    draining.publish('t', 'while it drains');
    draining.publish('t', pattern(100_000), true);
    await sleep(1);
  }
  await closing;
  await Promise.all([...guests, ...watchers].map(({ closed }) => closed));
  expect(draining.publish('t', 'after it')).toBe(false);
  expect(draining.numSubscribers('t')).toBe(0);
});

describe('a subscriber that does not read', () => {
  /** One on every shard does not read, the others do. Returns both. */
  async function slowAndQuick(path: string): Promise<[TopicClient[], TopicClient[]]> {
    const [slow, quick] = [await connect(1, path), await connect(5)];
    await Promise.all([...slow, ...quick].map((client) => client.subscribe('t')));
    for (const client of slow) client.pause();
    return [slow, quick];
  }

  const COUNT = 16_000;
  const SIZE = 1024;

  function checkNumbers(client: TopicClient): { wrong: number; numbers: number[] } {
    const state = { wrong: 0, numbers: [] as number[] };
    client.onMessage = (payload) => {
      const number = Number(payload.toString('latin1', 2).trim());
      if (number <= (state.numbers.at(-1) ?? -1)) state.wrong++;
      state.numbers.push(number);
    };
    return state;
  }

  test('loses what is above its limit, in order, and nobody else loses anything', async () => {
    const before = server.stats().total.dropped;
    const [slow, quick] = await slowAndQuick('/limited');
    const states = quick.map(checkNumbers);
    const slowStates = slow.map(checkNumbers);
    await quick[0]!.ask({ ask: 'publishMany', topic: 't', name: 'n', count: COUNT, every: 100, size: SIZE });
    await until(() => quick.every(({ count }) => count === COUNT), 'all have come to those that read');
    for (const { wrong, numbers } of states) expect([wrong, numbers.length]).toEqual([0, COUNT]);
    for (const client of quick) {
      // The limit, or a batch that the kernel took in part; and one message more.
      const { most } = await client.ask({ ask: 'buffered' });
      expect(most).toBeGreaterThan(32 * 1024);
      expect(most).toBeLessThan(64 * 1024 + 2 * SIZE);
    }
    for (const client of slow) client.resume();
    const dropped = server.stats().total.dropped - before;
    expect(dropped).toBeGreaterThan(SHARDS * 1000);
    await until(() => slow.reduce((sum, { count }) => sum + count, dropped) === SHARDS * COUNT, 'the rest');
    for (const { wrong } of slowStates) expect(wrong).toBe(0);
    // From here on they are like all others.
    server.publish('t', 'n 99999');
    await until(() => slowStates.every(({ numbers }) => numbers.at(-1) === 99_999), 'a message gets through');
  });

  test('is closed where the route says so, and nobody else loses anything', async () => {
    const [slow, quick] = await slowAndQuick('/strict');
    const states = quick.map(checkNumbers);
    await quick[0]!.ask({ ask: 'publishMany', topic: 't', name: 'n', count: COUNT, every: 100, size: SIZE });
    await until(() => quick.every(({ count }) => count === COUNT), 'all have come to those that read');
    for (const { wrong, numbers } of states) expect([wrong, numbers.length]).toEqual([0, COUNT]);
    expect(server.numSubscribers('t')).toBe(quick.length);
    for (const client of slow) client.resume();
    await Promise.all(slow.map(({ closed }) => closed));
  });
});
