import { SendStatus, type WebSocket } from 'millrace';
import { afterEach, expect, test, vi } from 'vitest';
import { Transport } from '../../../dist/src/net/transport.js';
import { WriteBatch } from '../../../dist/src/net/write-batch.js';
import type { Drainable } from '../../../dist/src/shard/drain.js';
import { RawClient } from '../../support/clients/raw-client.ts';
import { text } from '../../support/protocol/frame-bytes.ts';
import { type Pair, Route } from '../../support/protocol/route.ts';
import { type Running, startApp } from '../../support/servers/server.ts';
import { until, within } from '../../support/tools/deadline.ts';

/** What sockets cork while reads follow one another closely is written together, see WriteBatch. */

const TOPIC = 'all';

afterEach(() => {
  vi.restoreAllMocks();
});

/** From here on the engine takes every read for one of a rush. */
function alwaysRush(): void {
  vi.spyOn(WriteBatch.prototype, 'noteRead').mockReturnValue(true);
}

/** Reads take no time at all. */
function stopClock(): void {
  const now = performance.now();
  vi.spyOn(performance, 'now').mockReturnValue(now);
}

/** A route whose socket number `i` does `acts[i]` with each message it gets. */
class Acting {
  readonly route: Route;
  readonly pairs: Pair[] = [];
  /** Numbers of the sockets in the order in which they were read. */
  readonly order: number[] = [];
  act: (number: number, ws: WebSocket) => void = () => {};
  onClose: (number: number) => void = () => {};
  #awaited = 0;
  #onAllRead: () => void = () => {};

  constructor() {
    this.route = new Route({
      maxBackpressure: 0,
      message: (ws) => {
        const number = this.#numberOf(ws);
        this.order.push(number);
        this.act(number, ws);
        if (this.order.length === this.#awaited) this.#onAllRead();
      },
      close: (ws) => this.onClose(this.#numberOf(ws)),
    });
  }

  /** Opens as many sockets. */
  async start(count: number, act: (number: number, ws: WebSocket) => void): Promise<void> {
    this.pairs.push(...(await this.route.pairs(count)));
    this.act = act;
  }

  /** Every client sends a message before any of them is read. */
  async ask(): Promise<void> {
    this.#awaited = this.order.length + this.pairs.length;
    const allRead = new Promise<void>((resolve) => (this.#onAllRead = resolve));
    for (const { client } of this.pairs) client.send(text('?'));
    await within(allRead, 'every message');
  }

  #numberOf(ws: WebSocket): number {
    return this.pairs.findIndex((pair) => pair.ws === ws);
  }

  [Symbol.dispose](): void {
    this.route[Symbol.dispose]();
  }
}

test('replies to sockets that are read one after the other are written together', async () => {
  stopClock();
  const written = vi.spyOn(Transport.prototype, 'writeBatched');
  using acting = new Acting();
  await acting.start(40, (number, ws) => ws.send(`${number}`));
  const rounds = 10;
  for (let round = 0; round < rounds; round++) {
    await acting.ask();
    for (const [i, { client }] of acting.pairs.entries()) expect(await client.text()).toBe(`${i}`);
  }
  // The first sixteen reads tell that there is a rush. A turn of the test's may be two of the loop's.
  expect(written.mock.calls.length).toBeGreaterThan(40);
  // Eight that were written together lay in eight places of the slab.
  expect(new Set(written.mock.calls.map(([start]) => start)).size).toBe(8);
});

test('a handler that takes its time has nobody wait', async () => {
  const written = vi.spyOn(Transport.prototype, 'writeBatched');
  using acting = new Acting();
  await acting.start(40, (number, ws) => {
    const end = performance.now() + 0.1;
    while (performance.now() < end);
    ws.send(`${number}`);
  });
  for (let round = 0; round < 3; round++) {
    await acting.ask();
    for (const [i, { client }] of acting.pairs.entries()) expect(await client.text()).toBe(`${i}`);
  }
  expect(written).not.toHaveBeenCalled();
});

test('where few sockets are read in a turn hardly any of them waits', async () => {
  stopClock();
  const written = vi.spyOn(Transport.prototype, 'writeBatched');
  using acting = new Acting();
  await acting.start(3, (_, ws) => ws.send('!'));
  const rounds = 400;
  for (let round = 0; round < rounds; round++) {
    await acting.ask();
    for (const { client } of acting.pairs) expect(await client.text()).toBe('!');
  }
  // One turn of 144 reads.
  expect(written.mock.calls.length).toBeGreaterThan(0);
  expect(written.mock.calls.length).toBeLessThan((3 * rounds) / 20);
});

test('whatever a later handler does to a socket whose reply waits, the reply comes first', async () => {
  alwaysRush();
  using acting = new Acting();
  const later: ((ws: WebSocket) => void)[] = [
    (ws) => ws.end(1000, 'ended'),
    (ws) => ws.close(),
    (ws) => ws.send('direct'),
    // More than a queue holds back.
    (ws) => ws.send('x'.repeat(100_000)),
    (ws) => ws.sendFirstFragment('first ') + ws.sendLastFragment('last'),
    (ws) => ws.ping('ping'),
    (ws) => ws.cork(() => ws.send('corked 1') + ws.send('corked 2')),
  ];
  await acting.start(later.length + 1, (number, ws) => {
    ws.send(`reply ${number}`);
    const previous = acting.order.at(-2);
    if (previous !== undefined) later[previous]!(acting.pairs[previous]!.ws);
  });
  await acting.ask();
  // Read in the order they were opened in, as the kernel has it.
  expect(acting.order).toEqual(acting.pairs.map((_, i) => i));
  const clients = acting.pairs.map(({ client }) => client);
  for (const [i, client] of clients.entries()) expect(await client.text()).toBe(`reply ${i}`);
  expect(await clients[0]!.frame()).toMatchObject({ opcode: 8 });
  expect((await clients[1]!.framesToEnd()).frames).toEqual([]);
  expect(await clients[2]!.text()).toBe('direct');
  expect(await clients[3]!.text()).toHaveLength(100_000);
  expect(await clients[4]!.frame()).toMatchObject({ opcode: 1, fin: false });
  expect(await clients[4]!.frame()).toMatchObject({ opcode: 0, fin: true });
  expect(await clients[5]!.frame()).toMatchObject({ opcode: 9 });
  expect(await clients[6]!.text()).toBe('corked 1');
  expect(await clients[6]!.text()).toBe('corked 2');
});

test.each([
  ['short, with those of its turn', 10],
  ['long, at once', 300_000],
])('what is published comes behind a reply that waits: %s', async (_, size) => {
  alwaysRush();
  using acting = new Acting();
  const news = (number: number): string => `news of ${number} `.padEnd(size, '.');
  await acting.start(5, (number, ws) => {
    ws.send(`reply ${number}`);
    acting.route.app.publish(TOPIC, news(number));
    // Brings about that what was published to that socket so far is written.
    if (acting.order.length === 3) acting.pairs[acting.order[0]!]!.ws.send('direct');
  });
  for (const { ws } of acting.pairs) ws.subscribe(TOPIC);
  await acting.ask();
  for (const [i, { client }] of acting.pairs.entries()) {
    // The publishes of handlers that ran before its own, and then of the others.
    const place = acting.order.indexOf(i);
    const expected = acting.order.map(news);
    expected.splice(place, 0, `reply ${i}`);
    if (place === 0) expected.splice(4, 0, 'direct');
    for (const one of expected) expect((await client.text()) === one, one.slice(0, 20)).toBe(true);
  }
});

test('a response that waits arrives before the FIN of its connection', async () => {
  alwaysRush();
  const reading = vi.spyOn(Transport.prototype, 'startReading');
  let requests = 0;
  const server = startApp((app) => {
    app.get('/', (res) => {
      res.end('hello');
      // As a drain does that begins now.
      if (++requests === 5)
        for (const transport of new Set(reading.mock.contexts)) (transport as Transport).end();
    });
  });
  const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(server.port)));
  for (const client of clients) client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  for (const client of clients) expect((await client.readToEnd()).toString()).toMatch(/hello$/);
  await server.stop();
});

const BODY = 'x'.repeat(4000);

function responsesIn(bytes: Buffer): number {
  return bytes.toString('latin1').split(BODY).length - 1;
}

/** A server whose responses have that body. `onRequest` is told how many came. */
function startServing(onRequest: (requests: number) => void): Running {
  let requests = 0;
  return startApp((app) => {
    app.get('/', (res) => {
      res.end(BODY);
      onRequest(++requests);
    });
  });
}

/** Has the connection that was accepted last dismissed when the read under way is done. */
function dismissSoon(reading: { mock: { contexts: unknown[] } }): void {
  const transport = reading.mock.contexts.at(-1) as Transport;
  queueMicrotask(() => (transport.context as unknown as Drainable).dismiss(transport));
}

test('a connection is dismissed behind its last response, even if the kernel does not take that at once', async () => {
  alwaysRush();
  const reading = vi.spyOn(Transport.prototype, 'startReading');
  let requests = 0;
  let dismissAt = -1;
  let onHandled = (): void => {};
  const server = startServing(() => {
    if (++requests === dismissAt) dismissSoon(reading);
    // When this turn is over.
    setImmediate(() => setImmediate(onHandled));
  });
  /** Asks, and does not read, until the connection is blocked or dismissed. */
  const askOften = async (): Promise<RawClient> => {
    requests = 0;
    const client = await RawClient.connect(server.port);
    client.pause();
    for (let isBlocked = false; !isBlocked && requests !== dismissAt; ) {
      const handled = new Promise<void>((resolve) => (onHandled = resolve));
      client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await within(handled, 'the next request');
      isBlocked = (reading.mock.contexts.at(-1) as Transport).blocked;
    }
    return client;
  };
  (await askOften()).reset();
  const last = requests;
  for (dismissAt of [last, last - 1]) {
    const client = await askOften();
    const asked = requests;
    client.resume();
    // The kernel may have taken less than before.
    if (asked !== dismissAt) client.reset();
    else expect(responsesIn(await client.readToEnd()), `dismissed at ${dismissAt} of ${last}`).toBe(asked);
  }
  await server.stop();
});

test('a response that waits for the one before it to be written arrives, though its connection is drained', async () => {
  const reading = vi.spyOn(Transport.prototype, 'startReading');
  const server = startServing((requests) => {
    if (requests === 2) dismissSoon(reading);
  });
  const client = await RawClient.connect(server.port);
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(responsesIn(await client.readToEnd())).toBe(2);
  await server.stop();
});

test('replies that do not fit into the slab, or are long, arrive whole', async () => {
  alwaysRush();
  using acting = new Acting();
  const sizes = [
    0, 1, 125, 126, 4000, 4156, 4157, 4158, 4159, 4160, 4161, 9000, 30_000, 65_532, 65_536, 200_000,
  ];
  const count = 3 * sizes.length;
  const reply = (i: number): string => String.fromCharCode(97 + (i % 26)).repeat(sizes[i % sizes.length]!);
  await acting.start(count, (number, ws) => ws.send(reply(number)));
  for (let round = 0; round < 3; round++) {
    await acting.ask();
    for (const [i, { client }] of acting.pairs.entries()) {
      const got = await client.text();
      expect(got === reply(i), `${got.length} bytes of ${i}`).toBe(true);
    }
  }
});

test('a reply that the kernel takes no more of keeps its bytes, and the others theirs', async () => {
  alwaysRush();
  using acting = new Acting();
  const reply = (number: number, round: number): string =>
    `${number} ${round} `.padEnd(4000, String.fromCharCode(97 + ((number + round) % 26)));
  let round = 0;
  await acting.start(4, (number, ws) => ws.send(reply(number, round)));
  const slow = [1, 2];
  for (const i of slow) acting.pairs[i]!.client.pause();
  const isBlocked = (): boolean => slow.every((i) => acting.pairs[i]!.ws.getBufferedAmount() > 0);
  for (; !isBlocked(); round++) {
    await acting.ask();
    for (const [i, { client }] of acting.pairs.entries()) {
      if (slow.includes(i)) continue;
      expect((await client.text()) === reply(i, round), `round ${round} of ${i}`).toBe(true);
    }
  }
  // Once more, now that both wait.
  await acting.ask();
  for (const i of slow) {
    const { client } = acting.pairs[i]!;
    client.resume();
    for (let past = 0; past <= round; past++) {
      expect((await client.text()) === reply(i, past), `round ${past} of ${i}`).toBe(true);
    }
  }
});

test('a client that vanishes while its reply waits harms nobody', async () => {
  alwaysRush();
  using acting = new Acting();
  const closed: number[] = [];
  acting.onClose = (number) => closed.push(number);
  await acting.start(8, (number, ws) => {
    if (number === 3) acting.pairs[number]!.client.reset();
    expect(ws.send(`${number}`)).toBe(SendStatus.SUCCESS);
  });
  await acting.ask();
  for (const [i, { client }] of acting.pairs.entries()) {
    if (i !== 3) expect(await client.text()).toBe(`${i}`);
  }
  await until(() => closed.length === 1, 'its connection is closed');
  expect(closed).toEqual([3]);
});
