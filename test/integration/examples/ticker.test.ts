import { type Server, serve } from 'millrace';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ClientMessage, Notice, Update } from '../../../examples/ticker.js';
import { expectPageFile, UNSAFE_MARKUP, UNSAFE_SCRIPT } from '../../support/browser/example-page.ts';
import { Client, type Received } from '../../support/clients/clients.ts';
import { EXAMPLES } from '../../support/servers/millrace-process.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const HOST = '127.0.0.1';
const APP = new URL('ticker.js', EXAMPLES);
/** Updates a second of each symbol, as long as nothing else is said. */
const RATE = 50;
const MOST = 8;

function start(rate?: string): Promise<Server> {
  if (rate !== undefined) process.env['TICKER_RATE'] = rate;
  return serve({ app: APP, port: 0, host: HOST, shards: 2 }).finally(() => {
    delete process.env['TICKER_RATE'];
  });
}

/** A client of the ticker that checks the numbers of all it gets. */
class Reader {
  readonly client: Client;
  readonly notices: Notice[] = [];
  /** Updates of each symbol. */
  readonly updates = new Map<string, Update[]>();
  /** Updates that did not come. */
  missing = 0;
  /** What should not be, in words. */
  readonly problems: string[] = [];
  /** Symbols it asked for, and the server has said that it gets. */
  symbols: readonly string[] = [];
  welcome!: Extract<Notice, { type: 'welcome' }>;

  private constructor(client: Client) {
    this.client = client;
  }

  static async open(server: Server): Promise<Reader> {
    const reader = new Reader(await Client.connect(`ws://${HOST}:${server.port}/ticker`));
    const welcome = JSON.parse((await reader.client.next()) as string) as Notice;
    if (welcome.type !== 'welcome') throw new Error(`began with ${welcome.type}`);
    reader.welcome = welcome;
    return reader;
  }

  async subscribe(...symbols: string[]): Promise<void> {
    this.send({ subscribe: symbols });
    const { symbols: taken } = await this.next('subscribed');
    expect(taken).toEqual(symbols);
    this.symbols = taken;
  }

  send(message: ClientMessage): void {
    this.client.send(JSON.stringify(message));
  }

  /** The next notice, which is to be of this type. Updates before it are taken. */
  async next<T extends Notice['type']>(type: T): Promise<Extract<Notice, { type: T }>> {
    const { length } = this.notices;
    while (this.notices.length === length) this.take(await this.client.next());
    const notice = this.notices[length]!;
    if (notice.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(notice)}`);
    return notice as Extract<Notice, { type: T }>;
  }

  /** Takes all that has come so far. */
  async takeAll(): Promise<void> {
    for (let { size } = this.client.messages; size > 0; size--) this.take(await this.client.next());
  }

  take(received: Received): void {
    const message = JSON.parse(received as string) as Update | Notice;
    if (Array.isArray(message)) this.#update(message);
    else this.notices.push(message);
  }

  /** How many updates it got of its symbol with the fewest. */
  get fewest(): number {
    return Math.min(...this.symbols.map((symbol) => this.updates.get(symbol)?.length ?? 0));
  }

  #update(update: Update): void {
    const [symbol, number, price, time] = update;
    let earlier = this.updates.get(symbol);
    if (earlier === undefined) this.updates.set(symbol, (earlier = []));
    const last = earlier.at(-1);
    earlier.push(update);
    if (!(price > 0 && time > 0)) this.problems.push(`price or time of ${JSON.stringify(update)}`);
    if (last === undefined) return;
    if (number <= last[1]) this.problems.push(`${symbol}: ${number} after ${last[1]}`);
    if (time < last[3]) this.problems.push(`${symbol}: ${number} was published before ${last[1]}`);
    this.missing += Math.max(0, number - last[1] - 1);
  }
}

describe('examples/ticker.js', () => {
  let server: Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close({ drain: 0 }));

  test.each([
    ['/', 'text/html; charset=utf-8', 'index.html'],
    ['/client.js', 'text/javascript; charset=utf-8', 'client.js'],
    ['/plot.js', 'text/javascript; charset=utf-8', 'plot.js'],
    ['/style.css', 'text/css; charset=utf-8', 'style.css'],
  ])('%s is served, and may load nothing from elsewhere', async (path, type, file) => {
    const url = `http://${HOST}:${server.port}${path}`;
    const source = await expectPageFile(url, type, `ticker/${file}`);
    expect(source).not.toMatch(UNSAFE_SCRIPT);
    expect(source).not.toMatch(UNSAFE_MARKUP);
  });

  test('no other path is there', async () => {
    for (const path of ['/ticker.js', '/ticker/index.html', '/chat/client.js', '/%2e%2e/package.json']) {
      expect((await fetch(`http://${HOST}:${server.port}${path}`)).status).toBe(404);
    }
  });

  test('a page of another site is refused', async () => {
    const url = `ws://${HOST}:${server.port}/ticker`;
    await expect(Client.connect(url, { origin: 'http://evil.example' })).rejects.toThrow('403');
  });

  test('50 readers on two shards get every update of their symbols, in order, and no others', async () => {
    const readers = await Promise.all(Array.from({ length: 50 }, () => Reader.open(server)));
    const { symbols } = readers[0]!.welcome;
    expect(symbols).toHaveLength(20);
    for (const shard of [0, 1]) {
      expect(readers.filter(({ welcome }) => welcome.shard === shard).length).toBeGreaterThanOrEqual(15);
    }
    for (const [i, reader] of readers.entries()) {
      const mine = Array.from({ length: 1 + (i % MOST) }, (_, k) => symbols[(i + k * 3) % 20]![0]);
      await reader.subscribe(...mine);
    }
    const enough = RATE * 2;
    while (readers.some(({ fewest }) => fewest < enough)) {
      await sleep(20);
      await Promise.all(readers.map((reader) => reader.takeAll()));
    }
    /** Everybody gets the same under one number, on whatever shard. */
    const seen = new Map<string, string>();
    const shared = new Map<string, Set<number>>();
    for (const reader of readers) {
      expect(reader.problems).toEqual([]);
      expect(reader.missing).toBe(0);
      expect(reader.notices).toEqual([{ type: 'subscribed', symbols: reader.symbols }]);
      expect([...reader.updates.keys()].sort()).toEqual([...reader.symbols].sort());
      for (const update of [...reader.updates.values()].flat()) {
        const key = `${update[0]} ${update[1]}`;
        const text = JSON.stringify(update);
        if ((seen.get(key) ?? text) !== text) throw new Error(`${seen.get(key)} and ${text}`);
        seen.set(key, text);
        if (!shared.has(key)) shared.set(key, new Set());
        shared.get(key)!.add(reader.welcome.shard);
      }
    }
    expect([...shared.values()].filter(({ size }) => size === 2).length).toBeGreaterThan(enough * 10);
    await Promise.all(readers.map(({ client }) => client.close()));
  });

  test('who asks anew keeps the symbols named again, without a gap, and loses the others', async () => {
    const reader = await Reader.open(server);
    await reader.subscribe('MILL', 'RACE');
    while (reader.fewest < 10) reader.take(await reader.client.next());
    await reader.subscribe('RACE', 'QUAY');
    const mill = reader.updates.get('MILL')!.length;
    while (reader.fewest < 20) reader.take(await reader.client.next());
    expect(reader.updates.get('MILL')).toHaveLength(mill);
    await reader.subscribe();
    const other = await Reader.open(server);
    await other.subscribe('MILL', 'RACE', 'QUAY');
    while (other.fewest < 5) other.take(await other.client.next());
    await other.client.close();
    expect(reader.client.messages.size).toBe(0);
    expect(reader.missing).toBe(0);
    expect(reader.problems).toEqual([]);
    await reader.client.close();
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /^Send \{"subscribe"/],
    ['no JSON', '{', /^Send/],
    ['binary', new TextEncoder().encode('{"subscribe":["MILL"]}'), /^Send/],
    ['null', 'null', /^Send/],
    ['a list', '["MILL"]', /^Send/],
    ['another key', '{"subscibe":["MILL"]}', /^Send/],
    ['a text for the list', '{"subscribe":"MILL"}', /^Send/],
    ['a list of more than texts', '{"subscribe":["MILL",1]}', /^Send/],
    ['an unknown symbol', '{"subscribe":["MILL","mill"]}', /^There is no symbol "mill"\.$/],
    ['a name of Object', '{"subscribe":["__proto__"]}', /^There is no symbol/],
    [
      'nine symbols',
      '{"subscribe":["MILL","RACE","WEIR","GATE","POND","REED","SILT","FLOW","GEAR"]}',
      /^At most 8/,
    ],
  ])('%s is refused, and changes nothing', async (_what, message, reason) => {
    const reader = await Reader.open(server);
    await reader.subscribe('MILL');
    reader.client.send(message);
    expect((await reader.next('refused')).reason).toMatch(reason);
    const { length } = reader.updates.get('MILL') ?? [];
    while (reader.fewest < length + 3) reader.take(await reader.client.next());
    expect([...reader.updates.keys()]).toEqual(['MILL']);
    expect(reader.missing).toBe(0);
    await reader.client.close();
  });

  test('a symbol named twice counts once', async () => {
    const reader = await Reader.open(server);
    reader.send({ subscribe: Array.from({ length: 20 }, () => 'MILL') });
    expect((await reader.next('subscribed')).symbols).toEqual(['MILL']);
    await reader.client.close();
  });

  test('a message of more than 512 bytes closes the connection with 1009', async () => {
    const reader = await Reader.open(server);
    reader.client.send(`{"subscribe":[]}${' '.repeat(512)}`);
    expect((await reader.client.closed()).code).toBe(1009);
  });

  test('more than 20 messages in a second close the connection with 1008', async () => {
    const reader = await Reader.open(server);
    for (let i = 0; i < 100; i++) reader.send({ subscribe: ['MILL'] });
    expect(await reader.client.closed()).toEqual({ code: 1008, reason: 'too many messages' });
  });

  test('the server survived all of this', () => {
    const { shards } = server.stats();
    for (const { state, handlerErrors } of shards) {
      expect({ state, handlerErrors }).toEqual({ state: 'ready', handlerErrors: 0 });
    }
  });
});

test('a reader that does not read loses updates and is told how many; the others lose none', async () => {
  const server = await start('5000');
  onTestFinished(() => server.close({ drain: 0 }));
  const slow = await Reader.open(server);
  const fast = await Reader.open(server);
  const symbols = slow.welcome.symbols.map(([symbol]) => symbol);
  await slow.subscribe(...symbols.slice(0, MOST));
  await fast.subscribe(symbols[0]!);
  slow.client.socket.pause();
  await until(() => server.stats().total.dropped > 1000, 'updates are dropped', 60_000);
  slow.client.socket.resume();
  let told = 0;
  // The gaps are seen at the next updates.
  while (told === 0 || slow.missing !== told || told !== server.stats().total.dropped) {
    const { length } = slow.notices;
    slow.take(await slow.client.next());
    const notice = slow.notices[length];
    if (notice?.type === 'dropped') told += notice.count;
  }
  expect(slow.problems).toEqual([]);
  await fast.takeAll();
  expect(fast.fewest).toBeGreaterThan(0);
  expect(fast.problems).toEqual([]);
  expect(fast.missing).toBe(0);
});

test.each(['0', '5001', 'fast', ''])('TICKER_RATE=%j is refused', async (rate) => {
  await expect(start(rate)).rejects.toThrow('TICKER_RATE must be 1 to 5000 updates a second');
});
