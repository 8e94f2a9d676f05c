import type { TemplatedApp, WebSocketBehavior } from 'millrace';
import { SHARED_COMPRESSOR, SHARED_DECOMPRESSOR } from 'millrace';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chunked, requestText } from '../../support/clients/http-client.ts';
import { handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { deflated } from '../../support/protocol/deflated.ts';
import {
  binary,
  close as closeFrame,
  type FrameSpec,
  last,
  more,
  ping,
  SAMPLE_KEY,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { type Running, startApp } from '../../support/servers/server.ts';

/** What one connection may have handled between two turns of the loop, far below what one read brings here. */
const MOST = 70;

let running: Running | null = null;
let clients: RawClient[] = [];
/** Rounds of the event loop since the test began. */
let turn = 0;
let ticker: NodeJS.Immediate;

function tick(): void {
  turn++;
  ticker = setImmediate(tick);
}

beforeEach(() => {
  tick();
});

afterEach(async () => {
  vi.restoreAllMocks();
  clearImmediate(ticker);
  for (const client of clients) client.destroy();
  clients = [];
  await running?.stop();
  running = null;
});

function start(routes: (app: TemplatedApp) => void): number {
  running = startApp(routes);
  return running.port;
}

async function webSocket(
  behavior: WebSocketBehavior,
  headers: Record<string, string> = {},
): Promise<RawClient> {
  const port = start((app) => app.ws('/*', { maxPingsPerSecond: 100_000, ...behavior }));
  const client = await RawClient.webSocket(port, '/', headers);
  clients.push(client);
  return client;
}

async function http(routes: (app: TemplatedApp) => void): Promise<RawClient> {
  const client = await RawClient.connect(start(routes));
  clients.push(client);
  return client;
}

/** Counts calls between two turns. */
class TurnCounter {
  most = 0;
  total = 0;
  #turn = -1;
  #inTurn = 0;

  count(): void {
    if (this.#turn !== turn) this.#inTurn = 0;
    this.#turn = turn;
    this.#inTurn++;
    this.total++;
    this.most = Math.max(this.most, this.#inTurn);
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

/** As long as no connection may be handled before the others. */
function work(): void {
  const end = performance.now() + 1;
  while (performance.now() < end);
}

/**
 * From here on every look at the clock finds the time of a turn over, but not that of any timeout.
 * @param step ms from one look to the next; the more, the sooner there is one for each message
 */
function endEveryTurn(step = 3): void {
  let time = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => (time += step));
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

describe('messages of one read', () => {
  const COUNT = 150;
  const FRAMES = framesBytes(
    numbers(COUNT).map((number) => text(number)),
    SAMPLE_KEY,
  );

  it.each<[string, (counter: TurnCounter) => WebSocketBehavior]>([
    [
      'message',
      (counter) => ({
        message: (ws, message) => {
          counter.count();
          work();
          ws.send(message);
        },
      }),
    ],
    [
      'messageView',
      (counter) => ({
        messageView: (ws, message) => {
          counter.count();
          work();
          ws.send(message);
        },
      }),
    ],
    [
      'an async handler that works behind an await',
      (counter) => ({
        message: async (ws, message) => {
          await Promise.resolve();
          counter.count();
          work();
          ws.send(message);
        },
      }),
    ],
  ])('of a handler that takes long leave the others their turn: %s', async (_name, behavior) => {
    const counter = new TurnCounter();
    const client = await webSocket(behavior(counter));
    client.write(FRAMES);
    const replies = await client.frames(COUNT);
    expect(replies.map(({ payload }) => payload.toString())).toEqual(numbers(COUNT));
    expect(counter.most).toBeLessThan(MOST);
    // The next ones are dealt with one by one.
    const next = new TurnCounter();
    Object.assign(counter, next);
    client.write(FRAMES);
    await client.frames(COUNT);
    expect(counter.most).toBeLessThan(10);
  });

  it('leave the others their turn when they are pings and come in fragments', async () => {
    const counter = new TurnCounter();
    const note = (): void => {
      counter.count();
      work();
    };
    const client = await webSocket({ ping: note, message: note });
    client.write(
      framesBytes(
        numbers(COUNT / 2).flatMap((number) => [ping(number), textStart('a'), last('b')]),
        SAMPLE_KEY,
      ),
    );
    await client.frames(COUNT / 2);
    expect(await client.close()).toBe(1000);
    expect(counter.total).toBe(COUNT);
    expect(counter.most).toBeLessThan(MOST);
  });

  it('come one by one when each uses up a turn, in order, whatever they are', async () => {
    const client = await webSocket(
      {
        compression: SHARED_COMPRESSOR | SHARED_DECOMPRESSOR,
        maxBackpressure: 0,
        message: (ws, message, isBinary) => void ws.send(message, isBinary),
      },
      { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_no_context_takeover' },
    );
    const frames: FrameSpec[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 400; i++) {
      frames.push(text(`t${i}`), textStart(`f${i}`), ping(`p${i}`), more(',more'), last(',last'));
      frames.push(
        binary(Buffer.from(`long ${i} `.padEnd(200 + i, '.'))),
        text(deflated(`deflated ${i}`), { rsv: 4 }),
      );
      expected.push(`1 t${i}`, `10 p${i}`, `1 f${i},more,last`);
      expected.push(`2 ${`long ${i} `.padEnd(200 + i, '.')}`, `1 deflated ${i}`);
    }
    endEveryTurn();
    client.pause();
    // Cut anywhere, also within a frame.
    const bytes = framesBytes(frames, SAMPLE_KEY);
    for (let at = 0; at < bytes.length; at += 50_021) client.write(bytes.subarray(at, at + 50_021));
    client.resume();
    const replies = await client.frames(expected.length);
    expect(replies.map(({ opcode, payload }) => `${opcode} ${payload.toString()}`)).toEqual(expected);
    expect(await client.close()).toBe(1000);
  });

  it.each([
    ['a Close frame', 'close'],
    ['a FIN', 'fin'],
  ])(
    'all come before the end of the connection, to the last await of their handlers: %s',
    async (_name, end) => {
      // Those at the end wait in the kernel while the first have their turns, and the end of the connection behind them.
      const [FIRST, ALL] = [3000, 4000];
      const events: string[] = [];
      let onClosed = (): void => {};
      const closed = new Promise<void>((resolve) => (onClosed = resolve));
      const client = await webSocket({
        message: async (_ws, message) => {
          await Promise.resolve();
          await Promise.resolve();
          events.push(Buffer.from(message).toString());
        },
        close: (_ws, code) => {
          events.push(`closed ${code}`);
          onClosed();
        },
      });
      // Hundreds of messages are a turn's.
      endEveryTurn(0.24);
      const frames = numbers(ALL).map((number) => text(number));
      client.write(framesBytes(frames.slice(0, FIRST), SAMPLE_KEY));
      await until(() => events.length > 0);
      if (end === 'close') frames.push(closeFrame(1000));
      client.write(framesBytes(frames.slice(FIRST), SAMPLE_KEY));
      if (end === 'fin') client.end();
      await closed;
      expect(events).toEqual([...numbers(ALL), `closed ${end === 'close' ? 1000 : 1006}`]);
    },
  );

  it('end where a handler ends the connection', async () => {
    const seen: string[] = [];
    const client = await webSocket({
      message: (ws, message) => {
        seen.push(Buffer.from(message).toString());
        if (seen.length === 100) ws.close();
        if (seen.length === 50) queueMicrotask(() => ws.send('half'));
      },
    });
    endEveryTurn();
    client.write(FRAMES);
    expect(await client.text()).toBe('half');
    await client.closed();
    expect(seen).toEqual(numbers(100));
  });

  it('that came with the handshake wait as well', async () => {
    const counter = new TurnCounter();
    const port = start((app) =>
      app.ws('/*', {
        message: (ws, message) => {
          counter.count();
          ws.send(message);
        },
      }),
    );
    endEveryTurn();
    const client = await RawClient.connect(port);
    clients.push(client);
    client.write(Buffer.concat([Buffer.from(handshakeText()), FRAMES]));
    expect((await client.response()).status).toBe(101);
    const replies = await client.frames(COUNT);
    expect(replies.map(({ payload }) => payload.toString())).toEqual(numbers(COUNT));
    expect(counter.most).toBeLessThan(MOST);
  });
});

describe('messages that came with a handshake which is answered late', () => {
  it('come before those that TLS had in its hands meanwhile', async () => {
    const LATE = 5000;
    const frames = framesBytes(
      numbers(LATE).map((number) => text(number)),
      SAMPLE_KEY,
    );
    const port = start((app) =>
      app.ws('/*', {
        upgrade: (res, req, context) => {
          const fields = [
            req.getHeader('sec-websocket-key'),
            req.getHeader('sec-websocket-protocol'),
            req.getHeader('sec-websocket-extensions'),
          ] as const;
          res.onAborted(() => {});
          setTimeout(() => res.cork(() => res.upgrade({}, ...fields, context)), 20);
        },
        maxBackpressure: 0,
        message: (ws, message) => void ws.send(message),
      }),
    );
    endEveryTurn();
    const client = await RawClient.connect(port);
    clients.push(client);
    // A record of its own, then one of 16 KiB, with which as much waits as may, and those that TLS hands on nevertheless.
    client.write(Buffer.concat([Buffer.from(handshakeText()), frames.subarray(0, 500)]));
    client.write(frames.subarray(500));
    expect((await client.response()).status).toBe(101);
    const replies = await client.frames(LATE);
    expect(replies.map(({ payload }) => payload.toString())).toEqual(numbers(LATE));
  });
});

describe('requests of one read', () => {
  const COUNT = 150;
  const REQUESTS = numbers(COUNT)
    .map((number) => requestText('GET', `/${number}`))
    .join('');

  it.each<[string, (counter: TurnCounter) => (app: TemplatedApp) => void]>([
    [
      'a handler that answers at once',
      (counter) => (app) =>
        app.get('/*', (res, req) => {
          counter.count();
          work();
          res.end(req.getUrl());
        }),
    ],
    [
      'an async one',
      (counter) => (app) =>
        app.get('/*', async (res, req) => {
          const url = req.getUrl();
          res.onAborted(() => {});
          await Promise.resolve();
          counter.count();
          res.cork(() => res.end(url));
        }),
    ],
  ])('leave the others their turn: %s', async (_name, routes) => {
    const counter = new TurnCounter();
    const client = await http(routes(counter));
    client.write(REQUESTS);
    for (const number of numbers(COUNT)) expect((await client.response()).body).toBe(`/${number}`);
    expect(counter.most).toBeLessThan(MOST);
  });

  it.each<[string, (app: TemplatedApp) => void]>([
    ['at once', (app) => app.get('/*', (res, req) => void res.end(req.getUrl()))],
    [
      'behind an await',
      (app) =>
        app.get('/*', async (res, req) => {
          await Promise.resolve();
          await Promise.resolve();
          res.end(req.getUrl());
        }),
    ],
  ])('are all answered when the peer has ended its side: %s', async (_name, routes) => {
    const client = await http(routes);
    endEveryTurn();
    client.write(REQUESTS);
    client.end();
    for (const number of numbers(COUNT)) expect((await client.response()).body).toBe(`/${number}`);
  });

  it('and the chunks of a body leave the others their turn', async () => {
    const counter = new TurnCounter();
    const client = await http((app) =>
      app.post('/*', (res) => {
        let body = '';
        res.onAborted(() => {});
        res.onData((chunk, isLast) => {
          counter.count();
          work();
          body += Buffer.from(chunk).toString();
          if (isLast) res.end(body);
        });
      }),
    );
    client.write(
      chunked(
        '/',
        Array.from({ length: COUNT }, () => 'x'),
      ),
    );
    expect((await client.response()).body).toBe('x'.repeat(COUNT));
    expect(counter.total).toBeGreaterThan(COUNT - 1);
    expect(counter.most).toBeLessThan(MOST);
  });
});
