import type { HttpResponse, MillraceError, WebSocketBehavior } from 'millrace';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CLIENT_KEY, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { ping, text } from '../../support/protocol/frame-bytes.ts';
import { type Running, startApp } from '../../support/servers/server.ts';
import { Mailbox, until } from '../../support/tools/deadline.ts';

/** An upgrade that the handler has not decided on. */
interface Undecided {
  readonly res: HttpResponse;
  readonly upgrade: () => void;
}

let running: Running;
const errors: unknown[] = [];
const undecided = new Mailbox<Undecided>('an upgrade');
const aborted: HttpResponse[] = [];
let opened = 0;
let closed = 0;

function start(upgrade?: WebSocketBehavior['upgrade']): void {
  errors.length = aborted.length = opened = closed = 0;
  running = startApp((app) => {
    app.ws('/', {
      open: () => {
        opened++;
      },
      close: () => {
        closed++;
      },
      onError: (_ws, error) => {
        errors.push(error);
      },
      upgrade:
        upgrade ??
        ((res, _req, context) => {
          res.onAborted(() => {
            aborted.push(res);
          });
          undecided.put({ res, upgrade: () => res.upgrade({}, CLIENT_KEY, '', '', context) });
        }),
    });
    app.ws('/echo', { message: (ws, message, isBinary) => void ws.send(message, isBinary) });
  });
}
afterEach(() => running.stop());

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect(running.port);
  client.write(handshakeText());
  return client;
}

describe('a client that leaves while its upgrade is undecided', () => {
  const LEAVE: Record<string, (client: RawClient) => void> = {
    FIN: (client) => {
      client.end();
    },
    RST: (client) => {
      client.reset();
    },
  };

  test.each(['FIN', 'RST'])('by %s is told to onAborted once, and upgrade() throws then', async (how) => {
    start();
    const client = await connect();
    const { res, upgrade } = await undecided.next();
    expect(res.aborted).toBe(false);
    LEAVE[how]!(client);
    await until(() => aborted.length > 0, 'onAborted was called');
    expect(aborted).toEqual([res]);
    expect(res.aborted).toBe(true);
    for (const act of [
      upgrade,
      () => res.end('x'),
      () => res.cork(() => {}),
      () => res.writeStatus('200 OK'),
    ]) {
      expect(act).toThrow(expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' }));
    }
    await client.closed();
    expect([opened, closed, aborted.length, errors]).toEqual([0, 0, 1, []]);
  });

  test.each(['FIN', 'RST'])('by %s behind frames it sent already is told as well', async (how) => {
    start();
    const client = await connect();
    await undecided.next();
    client.send(text('too early'), ping());
    await new Promise((resolve) => setTimeout(resolve, 20));
    LEAVE[how]!(client);
    await until(() => aborted.length > 0, 'onAborted was called');
    expect([opened, aborted.length]).toEqual([0, 1]);
  });

  test('does no harm to others', async () => {
    start();
    const canary = await RawClient.webSocket(running.port, '/echo');
    for (let i = 0; i < 50; i++) {
      const client = await connect();
      const { upgrade } = await undecided.next();
      if (i % 2 === 0) client.reset();
      else client.end();
      // As the abort may not be known yet, this may go through; then close comes soon.
      if (i % 5 === 0) upgrade();
      canary.send(text(String(i)));
      expect(await canary.text()).toBe(String(i));
    }
    await until(() => aborted.length === 40 && opened === 10 && closed === 10, 'all are over');
    canary.destroy();
  });
});

describe('a response', () => {
  test('upgrades once: upgrade() twice throws, and the connection goes on', async () => {
    start();
    const client = await connect();
    const { upgrade, res } = await undecided.next();
    upgrade();
    expect(upgrade).toThrow(expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' }));
    expect(() => res.end('x')).toThrow(expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' }));
    expect((await client.response()).status).toBe(101);
    expect(await client.close()).toBe(1000);
    expect([opened, closed, aborted.length]).toEqual([1, 1, 0]);
  });

  test('does not upgrade after end()', async () => {
    start();
    const client = await connect();
    const { upgrade, res } = await undecided.next();
    res.writeStatus('403 Forbidden').end();
    expect(upgrade).toThrow(expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' }));
    expect((await client.response()).status).toBe(403);
    client.destroy();
  });

  test('does not upgrade with a key that is none', async () => {
    start((res, _req, context) => {
      res.upgrade({}, 'no key', '', '', context);
    });
    const client = await connect();
    expect((await client.response()).status).toBe(500);
    expect((errors[0] as MillraceError).code).toBe('MILLRACE_INVALID_ARGUMENT');
    client.destroy();
  });

  test('does not upgrade on a route of HTTP', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    running = startApp((app) => {
      app.get('/', (res) => {
        res.upgrade({}, CLIENT_KEY, '', '', {});
      });
    });
    const client = await RawClient.connect(running.port);
    client.write('GET / HTTP/1.1\r\nHost: server.test\r\n\r\n');
    expect((await client.response()).status).toBe(500);
    expect(log).toHaveBeenCalledOnce();
    expect(String(log.mock.calls[0])).toContain('(MILLRACE_APP_STATE)');
    log.mockRestore();
    client.destroy();
  });

  test('takes headers beyond ASCII as UTF-8, and says Connection and Upgrade once', async () => {
    start((res, req, context) => {
      res.writeHeader('X-Name', 'ŵ\u560d\u560aX-Injected: 1').writeHeader('connection', 'keep-alive');
      res.writeHeader('Upgrade', 'websocket').writeHeader('Date', 'mine');
      res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
    });
    const client = await connect();
    const { status, headers } = await client.response();
    expect([status, headers.get('connection'), headers.get('upgrade')]).toEqual([
      101,
      'Upgrade',
      'websocket',
    ]);
    expect(Buffer.from(headers.get('x-name')!, 'latin1').toString()).toBe('ŵ\u560d\u560aX-Injected: 1');
    expect([headers.get('date'), headers.has('x-injected')]).toEqual(['mine', false]);
    client.destroy();
  });

  test('does not take headers or a protocol that would split it', async () => {
    for (const bad of ['a\r\nX-Injected: 1', 'a\nb', 'a\0b', 'a\x7f']) {
      start((res, req, context) => {
        if (req.getHeader('x-how') === 'header') res.writeHeader('X-Name', bad);
        res.upgrade({}, req.getHeader('sec-websocket-key'), bad, '', context);
      });
      for (const how of ['header', 'protocol']) {
        const client = await RawClient.connect(running.port);
        client.write(handshakeText('/', { 'X-How': how }));
        const { status, headers } = await client.response();
        expect([status, headers.has('x-injected')]).toEqual([500, false]);
        client.destroy();
      }
      expect(errors.map((error) => (error as MillraceError).code)).toEqual([
        'MILLRACE_INVALID_ARGUMENT',
        'MILLRACE_INVALID_ARGUMENT',
      ]);
      await running.stop();
    }
  });
});

describe('a handler that returns without an answer and without onAborted', () => {
  test('is answered 500 and reported, and what it does later throws', async () => {
    let later: (() => void) | undefined;
    start(async (res, _req, context) => {
      await new Promise<void>((resolve) => {
        later = resolve;
      });
      res.upgrade({}, CLIENT_KEY, '', '', context);
    });
    const client = await connect();
    expect((await client.response()).status).toBe(500);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({
      code: 'MILLRACE_APP_STATE',
      message: expect.stringContaining('onAborted'),
    });
    later!();
    await until(() => errors.length === 2, 'the rejection is reported');
    expect((errors[1] as MillraceError).code).toBe('MILLRACE_STALE_ACCESS');
    expect(await client.readToEnd()).toHaveLength(0);
    expect(opened).toBe(0);
    client.destroy();
  });
});

describe('a getter of the user data, which is read before anything is sent', () => {
  const ACTS: [name: string, act: (res: HttpResponse) => void, status: number][] = [
    ['answers the handshake', (res) => res.end('no'), 200],
    ['closes the connection', (res) => res.close(), 0],
  ];

  test.each(ACTS)('%s: upgrade() throws, and nothing is opened', async (_name, act, status) => {
    const thrown: unknown[] = [];
    start((res, _req, context) => {
      const userData = {
        get user() {
          act(res);
          return 'Ada';
        },
      };
      try {
        res.upgrade(userData, CLIENT_KEY, '', '', context);
      } catch (error) {
        thrown.push(error);
      }
    });
    const client = await connect();
    if (status !== 0) expect((await client.response()).status).toBe(status);
    else await client.closed();
    expect(thrown).toMatchObject([{ code: 'MILLRACE_APP_STATE' }]);
    expect([opened, closed, errors]).toEqual([0, 0, []]);
    client.destroy();
  });
});
