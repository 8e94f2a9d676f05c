import type { WebSocket } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { closeCodeOf, closeReasonOf } from '../../support/clients/raw-client.ts';
import { close, text } from '../../support/protocol/frame-bytes.ts';
import { closeText, Route } from '../../support/protocol/route.ts';
import { until } from '../../support/tools/deadline.ts';

let route: Route;
let closes: string[];
let messages: string[];
beforeEach(() => {
  const told: string[] = [];
  const taken: string[] = [];
  closes = told;
  messages = taken;
  route = new Route({
    message: (_ws, message) => {
      taken.push(Buffer.from(message).toString());
    },
    close: (_ws, code, message) => {
      told.push(`${code} ${closeText(message)}`);
    },
  });
});
afterEach(() => route.stop());

describe('end', () => {
  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    'sends the code %d and the reason, and calls close before it returns',
    async (code) => {
      const client = await Client.connect(route.running.ws());
      const ws = await route.opened();
      ws.end(code, 'because');
      expect(closes).toEqual([`${code} because`]);
      expect(await client.closed()).toEqual({ code, reason: 'because' });
      expect(closes).toHaveLength(1);
    },
  );

  test.each([undefined, null, 0, '0', 1005, 1006])('sends no code for %s', async (code) => {
    const { ws, client } = await route.pair();
    ws.end(code as number, 'not sent');
    expect((await client.frame()).payload).toHaveLength(0);
    client.send(close());
    await client.closed();
  });

  test.each(['4001', ' 4001 ', 4001.7])('takes %j for a code', async (code) => {
    const { ws, client } = await route.pair();
    ws.end(code as number, 'because');
    expect((await client.frame()).payload.subarray(0, 2)).toEqual(Buffer.from([4001 >> 8, 4001 & 255]));
    client.send(close());
    await client.closed();
  });

  test.each([1, 999, 1004, 1015, 1016, 2999, 5000, 65_536 + 1000, -1, Number.NaN, '1', '', true])(
    'throws for %s, which no endpoint may send, and the connection goes on',
    async (code) => {
      const { ws, client } = await route.pair();
      expect(() => {
        ws.end(code as number);
      }).toThrow(
        expect.objectContaining({
          code: 'MILLRACE_INVALID_ARGUMENT',
          message: expect.stringContaining('3000 to 4999'),
        }),
      );
      ws.send('goes on');
      expect(await client.text()).toBe('goes on');
      expect(closes).toEqual([]);
      client.destroy();
    },
  );

  test.each([
    ['a text', 'Grüße', 'Grüße'],
    ['a Buffer', Buffer.from('bytes'), 'bytes'],
    ['a slice of a Buffer', Buffer.from('[bytes]').subarray(1, 6), 'bytes'],
    ['a Float32Array, as far as it is text', Float32Array.of(2, 1.5), '\0\0\0@\0\0'],
    ['200 bytes, cut to 123', 'x'.repeat(200), 'x'.repeat(123)],
    ['a code point across the limit, left out', `${'x'.repeat(122)}€`, 'x'.repeat(122)],
    ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
    ['bytes that are no text, left out', Uint8Array.of(0x61, 0xff, 0x62), 'a'],
    ['nothing', '', ''],
  ])('sends as reason %s', async (_name, reason, sent) => {
    const { ws, client } = await route.pair();
    ws.end(4000, reason);
    const frame = await client.frame();
    expect(closeCodeOf(frame)).toBe(4000);
    expect(closeReasonOf(frame)).toBe(sent);
    client.destroy();
  });

  test('throws a TypeError for a reason that is no text or bytes', async () => {
    const { ws, client } = await route.pair();
    expect(() => {
      ws.end(1000, 5 as never);
    }).toThrow(TypeError);
    ws.send('goes on');
    expect(await client.text()).toBe('goes on');
    client.destroy();
  });

  test('sends what was sent before, then Close, then FIN, and no more', async () => {
    const { ws, client } = await route.pair();
    for (let i = 0; i < 100; i++) ws.send(`message ${i}`);
    ws.end(1000);
    const frames = await client.frames(101);
    expect(frames[99]!.payload.toString()).toBe('message 99');
    expect(closeCodeOf(frames[100]!)).toBe(1000);
    client.send(close(1000));
    expect(await client.framesToEnd()).toEqual({ frames: [], rest: 0 });
    await client.closed();
  });

  test('ignores what the client sends afterwards', async () => {
    const { ws, client } = await route.pair();
    ws.end(1000);
    client.send(text('too late'), text('much too late'));
    await client.frame();
    client.send(close(4001, 'the answer'));
    await client.closed();
    expect(messages).toEqual([]);
    expect(closes).toEqual(['1000 ']);
  });

  test('waits for the Close of the client before it ends the connection', async () => {
    const { ws, client } = await route.pair({ allowHalfOpen: true });
    ws.end(1000);
    await client.frame();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(client.socket.readableEnded).toBe(false);
    client.send(close(1000));
    await client.readToEnd();
    client.end();
    await client.closed();
  });
});

describe('close', () => {
  test('ends the connection at once, without a Close frame', async () => {
    const client = await Client.connect(route.running.ws());
    const ws = await route.opened();
    ws.close();
    expect(closes).toEqual(['1006 ']);
    expect((await client.closed()).code).toBe(1006);
    expect(closes).toHaveLength(1);
  });
});

describe('a closed socket', () => {
  const CALLS: Record<string, (ws: WebSocket) => unknown> = {
    send: (ws) => ws.send('x'),
    sendFirstFragment: (ws) => ws.sendFirstFragment('x'),
    sendFragment: (ws) => ws.sendFragment('x'),
    sendLastFragment: (ws) => ws.sendLastFragment('x'),
    ping: (ws) => ws.ping('x'),
    end: (ws) => ws.end(1000),
    close: (ws) => ws.close(),
    subscribe: (ws) => ws.subscribe('x'),
    unsubscribe: (ws) => ws.unsubscribe('x'),
    isSubscribed: (ws) => ws.isSubscribed('x'),
    getTopics: (ws) => ws.getTopics(),
    publish: (ws) => ws.publish('x', 'x'),
    cork: (ws) => ws.cork(() => {}),
    getBufferedAmount: (ws) => ws.getBufferedAmount(),
    getRemoteAddress: (ws) => ws.getRemoteAddress(),
    getRemoteAddressAsText: (ws) => ws.getRemoteAddressAsText(),
    getRemotePort: (ws) => ws.getRemotePort(),
  };
  const ENDS: Record<string, (ws: WebSocket, client: { reset(): void }) => void> = {
    'end()': (ws) => {
      ws.end(1000);
    },
    'close()': (ws) => {
      ws.close();
    },
    'a reset of the client': (_ws, client) => {
      client.reset();
    },
  };

  test.each(Object.keys(ENDS))('throws from every method but getUserData after %s', async (how) => {
    const { ws, client } = await route.pair();
    const others = await route.pair();
    // Over TLS it is a class of its own, for its name.
    const proto = Object.getPrototypeOf(ws) as object;
    const methods =
      ws.constructor.name === 'uWS.SSLWebSocket' ? (Object.getPrototypeOf(proto) as object) : proto;
    expect(Object.getOwnPropertyNames(methods).toSorted()).toEqual(
      ['constructor', 'getUserData', ...Object.keys(CALLS)].toSorted(),
    );
    ENDS[how]!(ws, client);
    await until(() => closes.length === 1, 'close was called');
    for (const [name, call] of Object.entries(CALLS)) {
      expect(() => call(ws), name).toThrow('Invalid access of closed uWS.WebSocket/SSLWebSocket.');
      expect(() => call(ws), name).toThrow(expect.objectContaining({ code: 'MILLRACE_CLOSED_SOCKET' }));
    }
    // Async handlers and timers rely on it.
    expect(ws.getUserData()).toBe(ws);
    others.ws.send('untouched');
    expect(await others.client.text()).toBe('untouched');
    client.destroy();
    others.client.destroy();
  });

  test('never reaches a later connection', async () => {
    const first = await route.pair();
    first.ws.close();
    await first.client.closed();
    const second = await route.pair();
    expect(() => first.ws.send('to whom?')).toThrow();
    second.ws.send('only this');
    expect(await second.client.text()).toBe('only this');
    second.client.destroy();
  });
});
