import type { WebSocket } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { closeCodeOf, closeReasonOf, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import {
  binaryStart,
  close,
  type FrameSpec,
  frameBytes,
  more,
  pattern,
  ping,
  SAMPLE_KEY,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { closeText, Route } from '../../support/protocol/route.ts';
import { until } from '../../support/tools/deadline.ts';

let route: Route;
let events: string[];
let opened: number;
beforeEach(() => {
  const told: string[] = [];
  events = told;
  opened = 0;
  route = new Route({
    maxPayloadLength: 1000,
    maxFragments: 5,
    maxPingsPerSecond: 50,
    open: () => {
      opened++;
    },
    message: (_ws, message) => void told.push(`message ${closeText(message)}`),
    ping: () => void told.push('ping'),
    close: (_ws, code, message) => void told.push(`close ${code} ${closeText(message)}`),
  });
});
afterEach(() => route.stop());

/** Sends frames and reads to the end. Returns the Close frame that came. */
async function answerTo(
  client: RawClient,
  ...frames: FrameSpec[]
): Promise<{ code: number; reason: string }> {
  client.send(...frames);
  const answer = (await client.framesToEnd()).frames;
  expect(answer.map(({ opcode }) => opcode)).toEqual([8]);
  await client.closed();
  return { code: closeCodeOf(answer[0]!), reason: closeReasonOf(answer[0]!) };
}

describe('a Close frame', () => {
  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    'with code %d is answered with it, and close is told code and reason',
    async (code) => {
      const { client } = await route.pair();
      expect(await answerTo(client, close(code, 'því að'))).toEqual({ code, reason: 'því að' });
      expect(events).toEqual([`close ${code} því að`]);
    },
  );

  test.each([0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])(
    'with code %d, which may not be sent, fails with 1002',
    async (code) => {
      const { client } = await route.pair();
      expect(await answerTo(client, close(code))).toEqual({ code: 1002, reason: '' });
      expect(events).toHaveLength(1);
      expect(events[0]).toMatch(/^close 1006 Received invalid/);
    },
  );

  test('without a code is answered without one, and close is told 1005', async () => {
    const { client } = await route.pair();
    expect((await answerTo(client, close())).code).toBe(1005);
    expect(events).toEqual(['close 1005 ']);
  });

  test('with the longest reason is taken', async () => {
    const { client } = await route.pair();
    expect((await answerTo(client, close(1000, 'x'.repeat(123)))).code).toBe(1000);
    expect(events).toEqual([`close 1000 ${'x'.repeat(123)}`]);
  });

  test.each<[string, FrameSpec, number]>([
    ['one byte', { opcode: 8, payload: Uint8Array.of(3) }, 1002],
    ['more than 125 bytes', { opcode: 8, payload: pattern(126) }, 1002],
    ['a reason that is no UTF-8', close(1000, Uint8Array.of(0xc3, 0x28)), 1007],
    ['a reason that ends inside a code point', close(1000, Uint8Array.of(0xe2, 0x82)), 1007],
  ])('with %s fails the connection', async (_name, frame, code) => {
    const { client } = await route.pair();
    expect((await answerTo(client, frame)).code).toBe(code);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatch(/^close 1006 Received invalid/);
  });

  test('ends it all: data, pings and a second Close behind it are ignored', async () => {
    const { client } = await route.pair();
    expect((await answerTo(client, close(4000), text('late'), ping(), close(4001))).code).toBe(4000);
    expect(events).toEqual(['close 4000 ']);
  });

  test('in the middle of a message drops what came of it', async () => {
    const { client } = await route.pair();
    expect((await answerTo(client, textStart('half'), more('way'), close(4000))).code).toBe(4000);
    expect(events).toEqual(['close 4000 ']);
  });

  test('of a client of ws or undici ends cleanly on both sides', async () => {
    const client = await Client.connect(route.running.ws());
    expect(await client.close(4001, 'enough')).toEqual({ code: 4001, reason: 'enough' });
    const undici = await Client.connectUndici(route.running.ws());
    expect((await undici.close(4002, 'too')).code).toBe(4002);
    expect(events).toEqual(['close 4001 enough', 'close 4002 too']);
  });
});

describe('a broken rule', () => {
  test.each<[string, Uint8Array, number, string]>([
    ['an unmasked frame', frameBytes(text('x')), 1002, 'Received invalid WebSocket frame'],
    [
      'a reserved bit',
      frameBytes(text('x', { rsv: 4 }), SAMPLE_KEY),
      1002,
      'Received invalid WebSocket frame',
    ],
    [
      'a continuation of nothing',
      frameBytes(more('x'), SAMPLE_KEY),
      1002,
      'Received invalid WebSocket frame',
    ],
    [
      'text that is no UTF-8',
      frameBytes(text(Uint8Array.of(0xff)), SAMPLE_KEY),
      1007,
      'Received invalid UTF-8',
    ],
    [
      'a message too big',
      frameBytes({ opcode: 2, payload: new Uint8Array(0), declaredLength: 1001n }, SAMPLE_KEY),
      1009,
      'Received too big message',
    ],
    [
      'too many fragments',
      Buffer.concat(
        [binaryStart(), ...Array.from({ length: 5 }, () => more())].map((f) => frameBytes(f, SAMPLE_KEY)),
      ),
      1008,
      'Received too many fragments or pings',
    ],
  ])(
    '%s: a Close frame with the code goes out, and close is told 1006 and why',
    async (_n, bytes, code, why) => {
      const { client } = await route.pair();
      client.write(bytes);
      const { frames } = await client.framesToEnd();
      expect(frames.map((frame) => closeCodeOf(frame))).toEqual([code]);
      expect(events).toEqual([`close 1006 ${why}`]);
    },
  );
});

test('pings are counted by the second, whatever timers run', async () => {
  using idle = new Route({
    idleTimeout: 0,
    maxPingsPerSecond: 5,
    close: (_ws, code) => void events.push(`${code}`),
  });
  const { client } = await idle.pair();
  for (let second = 0; second < 3; second++) {
    client.send(...Array.from({ length: 4 }, () => ping()));
    await client.frames(4);
    await new Promise((resolve) => setTimeout(resolve, 1100));
  }
  expect(events).toEqual([]);
  client.destroy();
});

describe('the end of a connection without a Close', () => {
  test('by FIN is 1006 with the words of uWebSockets.js; the server ends its direction too', async () => {
    const { client } = await route.pair({ allowHalfOpen: true });
    client.send(text('before'));
    client.end();
    expect(await client.readToEnd()).toHaveLength(0);
    await client.closed();
    expect(events).toEqual(['message before', 'close 1006 Received TCP FIN before WebSocket close frame']);
  });

  test('by FIN in the middle of a frame is the same', async () => {
    const { client } = await route.pair();
    client.write(frameBytes(text('cut off'), SAMPLE_KEY).subarray(0, 9));
    client.end();
    await client.closed();
    expect(events).toEqual(['close 1006 Received TCP FIN before WebSocket close frame']);
  });

  test('by FIN behind our own Close is no second event', async () => {
    const { ws, client } = await route.pair();
    ws.end(4000);
    client.end();
    await client.closed();
    expect(events).toEqual(['close 4000 ']);
  });
});

test('both sides close at the same time: one event each, over and over', async () => {
  for (let i = 0; i < 100; i++) {
    const { ws, client } = await route.pair();
    client.send(close(4001));
    ws.end(4002);
    const frame = await client.frame();
    expect(closeCodeOf(frame)).toBe(4002);
    expect(await client.framesToEnd()).toEqual({ frames: [], rest: 0 });
    await client.closed();
  }
  expect(events).toHaveLength(100);
  expect(new Set(events)).toEqual(new Set(['close 4002 ']));
});

/** Does the handshake and returns the server's end. */
async function open(client: RawClient): Promise<WebSocket> {
  client.write(handshakeText());
  await client.response();
  return route.opened();
}

function closeEvents(): string[] {
  return events.filter((event) => event.startsWith('close'));
}

describe('a reset', () => {
  const STATES: Record<string, (client: RawClient) => Promise<WebSocket | null>> = {
    'after accept': () => Promise.resolve(null),
    'in the middle of the head': (client) => {
      client.write(handshakeText().slice(0, 60));
      return Promise.resolve(null);
    },
    'behind the handshake': (client) => {
      client.write(handshakeText());
      return Promise.resolve(null);
    },
    'when open': (client) => open(client),
    'in the middle of a frame': async (client) => {
      const ws = await open(client);
      client.write(frameBytes(text('x'.repeat(200)), SAMPLE_KEY).subarray(0, 100));
      return ws;
    },
    'in the middle of a message': async (client) => {
      const ws = await open(client);
      client.send(textStart('half'));
      return ws;
    },
    'while the server closes': async (client) => {
      const ws = await open(client);
      ws.end(4000);
      return ws;
    },
    'while bytes wait': async (client) => {
      const ws = await open(client);
      client.pause();
      while (ws.send('x'.repeat(100_000)) === 1);
      return ws;
    },
    'right behind a message': async (client) => {
      const ws = await open(client);
      client.send(text('last words'));
      return ws;
    },
    'behind its Close': async (client) => {
      const ws = await open(client);
      client.send(close(4001));
      return ws;
    },
  };

  test.each(Object.keys(STATES))('%s is one close event for one open, and harms nobody', async (state) => {
    const canary = await RawClient.webSocket(route.port);
    const canaryEnd = await route.opened();
    for (let i = 0; i < 20; i++) {
      const client = await RawClient.connect(route.port);
      await STATES[state]!(client);
      if (i % 2 === 1) await new Promise((resolve) => setTimeout(resolve, 2));
      client.reset();
      await client.closed();
    }
    // All that were opened are closed, but the canary.
    await until(() => closeEvents().length === opened - 1, 'all are closed');
    canaryEnd.send('alive');
    expect(await canary.text()).toBe('alive');
    await canary.close();
    expect(closeEvents()).toHaveLength(opened);
  });
});
