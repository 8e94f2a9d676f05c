import type { WebSocket, WebSocketBehavior } from 'millrace';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { flushReports } from '../../../dist/src/error-report.js';
import { WAYS, type Way } from '../../support/cases/failures.ts';
import { closeCodeOf, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { binary, ping, pong, text } from '../../support/protocol/frame-bytes.ts';
import { Route } from '../../support/protocol/route.ts';
import { startApp } from '../../support/servers/server.ts';
import { within } from '../../support/tools/deadline.ts';

interface Case {
  /** The handler that fails. */
  readonly name: keyof WebSocketBehavior;
  /** What makes the engine call it. */
  readonly trigger: (ws: WebSocket, client: RawClient) => void;
}

const CASES: readonly Case[] = [
  { name: 'open', trigger: () => {} },
  { name: 'message', trigger: (_ws, client) => client.send(text('x')) },
  { name: 'messageView', trigger: (_ws, client) => client.send(binary()) },
  { name: 'ping', trigger: (_ws, client) => client.send(ping('x')) },
  { name: 'pong', trigger: (_ws, client) => client.send(pong('x')) },
  { name: 'subscription', trigger: (ws) => ws.subscribe('topic') },
  {
    name: 'dropped',
    trigger: (ws, client) => {
      client.pause();
      while (ws.send('x'.repeat(1_000_000)) !== 2);
      client.resume();
    },
  },
  {
    name: 'drain',
    trigger: (ws, client) => {
      client.pause();
      while (ws.send('x'.repeat(1_000_000)) === 1);
      client.resume();
    },
  },
];

let errors: [unknown, unknown][];
let closes: number[];
let behavior: WebSocketBehavior;
beforeEach(() => {
  // What one place has failed with before is counted, and not printed again.
  flushReports();
  const told: [unknown, unknown][] = [];
  const codes: number[] = [];
  errors = told;
  closes = codes;
  behavior = {
    onError: (ws, error) => {
      told.push([ws, error]);
    },
    close: (_ws, code) => {
      codes.push(code);
    },
  };
});

/** The next frame that is no message: what was under way comes before the Close. */
async function closeFrame(client: RawClient): Promise<number> {
  for (;;) {
    const frame = await client.frame();
    if (frame.opcode === 8) return closeCodeOf(frame);
  }
}

describe.each(Object.keys(WAYS) as Way[])('a handler that %s', (way) => {
  test.each(CASES)('$name: 1011 for that connection, and onError is told', async ({ name, trigger }) => {
    using others = new Route({ message: (ws, message) => void ws.send(message) });
    const canary = await others.pair();
    using route = new Route({ ...behavior, maxBackpressure: 1_000_000, [name]: WAYS[way] });
    const { ws, client } = await route.pair();
    trigger(ws, client);
    expect(await closeFrame(client)).toBe(1011);
    client.send({ opcode: 8, payload: Uint8Array.of(3, 243) });
    await client.closed();
    expect(errors[0]).toEqual([ws, expect.objectContaining({ message: 'the handler failed' })]);
    expect(closes).toEqual([1011]);
    canary.client.send(text('still here'));
    expect(await canary.client.text()).toBe('still here');
  });

  test('in close is told to onError, and nothing else happens', async () => {
    using route = new Route({ ...behavior, close: WAYS[way] });
    const [one, two] = await route.pairs(2);
    one!.ws.end(4000);
    expect(await closeFrame(one!.client)).toBe(4000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(errors).toEqual([[one!.ws, expect.objectContaining({ message: 'the handler failed' })]]);
    two!.ws.send('still here');
    expect(await two!.client.text()).toBe('still here');
  });

  test('in subscription, while the socket closes, is told to onError, and close is called', async () => {
    using route = new Route({
      ...behavior,
      subscription: (_ws, _topic, newCount, oldCount) =>
        newCount < oldCount ? (WAYS[way]() as unknown as void) : undefined,
    });
    const { ws, client } = await route.pair();
    ws.subscribe('a');
    ws.subscribe('b');
    ws.end(4000);
    expect(await closeFrame(client)).toBe(4000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(errors).toHaveLength(2);
    expect(closes).toEqual([4000]);
  });

  test('in upgrade is answered 500, and onError is told', async () => {
    const running = startApp((app) => {
      app.ws('/', {
        ...behavior,
        upgrade: (res) => {
          res.onAborted(() => {});
          return WAYS[way]() as Promise<void>;
        },
      });
    });
    const client = await RawClient.connect(running.port);
    client.write(handshakeText());
    expect(await client.response()).toMatchObject({ status: 500 });
    expect(await client.readToEnd()).toHaveLength(0);
    expect(errors).toEqual([[undefined, expect.objectContaining({ message: 'the handler failed' })]]);
    expect(closes).toEqual([]);
    await running.stop();
  });

  test('in a route of HTTP is answered 500, and printed', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    const running = startApp((app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        return WAYS[way]() as Promise<void>;
      });
      app.get('/fine', (res) => void res.end('fine'));
    });
    const response = await within(fetch(running.http('/')), 'a response');
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('the handler failed');
    expect(await (await fetch(running.http('/fine'))).text()).toBe('fine');
    expect(log).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^millrace: an HTTP handler threw: Error: the handler failed\n {4}at /),
    );
    log.mockRestore();
    await running.stop();
  });
});

describe('onError', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('that is missing: the error is printed', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    using route = new Route({ open: WAYS.throws });
    const { client } = await route.pair();
    expect(await closeFrame(client)).toBe(1011);
    expect(log).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^millrace: a handler of ws\('\/'\) threw: Error: the handler failed\n {4}at /),
    );
  });

  test('that throws itself: both are survived', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    using route = new Route({
      message: WAYS.throws,
      onError: () => {
        throw new Error('onError failed');
      },
    });
    const { client } = await route.pair();
    client.send(text('x'));
    expect(await closeFrame(client)).toBe(1011);
    expect(log).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^millrace: onError of ws\('\/'\) threw: Error: onError failed\n {4}at /),
    );
  });

  test('may use the socket it is given', async () => {
    using route = new Route({
      message: WAYS.throws,
      onError: (ws) => {
        ws!.send('sorry');
        ws!.end(4500, 'my fault');
      },
    });
    const { client } = await route.pair();
    client.send(text('x'));
    expect(await client.text()).toBe('sorry');
    expect(closeCodeOf(await client.frame())).toBe(4500);
  });
});

test('whatever is thrown reaches onError as it is', async () => {
  for (const thrown of [undefined, null, 'a text', 5, Symbol('x'), {}]) {
    using route = new Route({
      ...behavior,
      message: () => {
        throw thrown;
      },
    });
    const { client } = await route.pair();
    client.send(text('x'));
    expect(await closeFrame(client)).toBe(1011);
    expect(errors.at(-1)![1]).toBe(thrown);
  }
});

test('what a handler returns is ignored unless it is a promise', async () => {
  const values = [null, 0, 'text', {}, [], () => 5, Promise.resolve(5)];
  let next = 0;
  using route = new Route({
    ...behavior,
    message: () => values[next++] as never,
    open: () => null as never,
  });
  const { ws, client } = await route.pair();
  for (let i = 0; i < values.length; i++) client.send(text('x'));
  client.send(ping('sync'));
  expect((await client.frame()).opcode).toBe(10);
  ws.send('still here');
  expect(await client.text()).toBe('still here');
  expect([errors, next]).toEqual([[], values.length]);
});
