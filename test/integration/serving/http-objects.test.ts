import type { HttpRequest, HttpResponse, TemplatedApp } from 'millrace';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { exchange, requestText, sized } from '../../support/clients/http-client.ts';
import { CLIENT_KEY, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { type Running, startApp } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

const get = (path: string, headers: Record<string, string> = {}) => requestText('GET', path, headers);
const STALE = expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' }) as unknown;
const MISUSE = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }) as unknown;

let running: Running;
afterEach(async () => {
  vi.restoreAllMocks();
  await running.stop();
});

/** Runs a handler once, and returns the answer with what the handler returned or threw. */
async function once<T>(
  handler: (res: HttpResponse, req: HttpRequest) => T,
  text = get('/x'),
): Promise<{ status: number; body: string; headers: ReadonlyMap<string, string>; result: T }> {
  let result: T | undefined;
  running = startApp((app) => {
    app.any('/*', (res, req) => {
      result = handler(res, req);
    });
  });
  const [response] = await exchange(running.port, [text], 1);
  return { ...response!, result: result! };
}

describe('a request', () => {
  test('forEach without a function is an error that says so', async () => {
    let caught: unknown;
    running = startApp((app) => {
      app.get('/', (res, req) => {
        try {
          req.forEach(undefined as never);
        } catch (error) {
          caught = error;
        }
        res.end();
      });
    });
    await exchange(running.port, [get('/')], 1);
    expect((caught as Error).message).toBe('req.forEach: the callback must be a function; got undefined');
  });

  test('tells its line, headers, parameters and query in all their forms', async () => {
    let seen: unknown;
    running = startApp((app: TemplatedApp) => {
      app.get('/:a/:b/*', (res, req) => {
        const headers: string[] = [];
        req.forEach((key, value) => headers.push(`${key}=${value}`));
        seen = {
          method: [req.getMethod(), req.getCaseSensitiveMethod()],
          url: req.getUrl(),
          parameters: [
            req.getParameter(0),
            req.getParameter('b'),
            req.getParameter(2),
            req.getParameter('c'),
          ],
          query: [
            req.getQuery(),
            req.getQuery('q'),
            req.getQuery('empty'),
            req.getQuery('none'),
            req.getQuery(undefined as never),
          ],
          header: [req.getHeader('x-one'), req.getHeader('X-One'), req.getHeader('none')],
          bytes: [
            req.getHeader(Buffer.from('x-one')),
            req.getParameter(Buffer.from('a')),
            req.getQuery(Buffer.from('q')),
          ],
          headers,
        };
        res.end();
      });
    });
    await exchange(
      running.port,
      [get('/one/two/three%20?q=a%2Bb+c&empty', { 'X-One': '1', 'X-Two': ' 2 ' })],
      1,
    );
    expect(seen).toEqual({
      method: ['get', 'GET'],
      url: '/one/two/three%20',
      parameters: ['one', 'two', '', ''],
      query: ['q=a%2Bb+c&empty', 'a+b c', '', undefined, undefined],
      header: ['1', '', ''],
      bytes: ['1', 'one', 'a+b c'],
      headers: ['host=server.test', 'x-one=1', 'x-two=2'],
    });
  });

  test('cannot be read when its handler has returned, and its response was sent', async () => {
    let kept: HttpRequest | undefined;
    await once((res, req) => {
      kept = req;
      res.end();
    });
    for (const read of [
      () => kept!.getUrl(),
      () => kept!.getHeader('host'),
      () => kept!.getMethod(),
      () => kept!.getQuery(),
      () => kept!.getParameter(0),
      () => kept!.setYield(true),
      () => kept!.forEach(() => {}),
    ]) {
      expect(read).toThrow(STALE);
    }
  });

  test('can be read by an async handler, and when it has answered, whatever others send meanwhile', async () => {
    const kept: HttpRequest[] = [];
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    running = startApp((app) => {
      app.get('/:id', async (res, req) => {
        res.onAborted(() => {});
        kept.push(req);
        await gate;
        res.end(`${req.getParameter('id')} ${req.getHeader('x-id')} ${req.getUrl()} ${req.getQuery('q')}`);
      });
    });
    const clients = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const client = await RawClient.connect(running.port);
        client.write(get(`/${i}?q=${i}`, { 'X-Id': `id-${i}-${'x'.repeat(i)}` }));
        return client;
      }),
    );
    await until(() => kept.length === 8, 'all requests came');
    go();
    for (const [i, client] of clients.entries()) {
      expect((await client.response()).body).toBe(`${i} id-${i}-${'x'.repeat(i)} /${i} ${i}`);
      client.destroy();
    }
    expect(kept.map((request) => request.getUrl())).toEqual(kept.map((_, i) => `/${i}`));
  });

  test('of an upgrade can be read by an async handler too', async () => {
    const opened: string[] = [];
    let kept: HttpRequest | undefined;
    running = startApp((app) => {
      app.ws('/:room', {
        upgrade: async (res, req, context) => {
          res.onAborted(() => {});
          kept = req;
          await Promise.resolve();
          const protocol = req.getHeader('sec-websocket-protocol');
          await new Promise((resolve) => setTimeout(resolve, 5));
          res.upgrade(
            { room: req.getParameter('room') },
            req.getHeader('sec-websocket-key'),
            protocol,
            req.getHeader('sec-websocket-extensions'),
            context,
          );
        },
        open: (ws, req) => {
          opened.push(`${(ws as unknown as { room: string }).room} ${req.getParameter(0)}`);
        },
      });
    });
    const client = await RawClient.webSocket(running.port, '/blue');
    expect(opened).toEqual(['blue blue']);
    expect(kept!.getUrl()).toBe('/blue');
    client.destroy();
  });
});

describe('a response', () => {
  test('carries fields of the user, and can do nothing more when it is sent', async () => {
    const kept: HttpResponse[] = [];
    await once((res) => {
      res['count'] = 1;
      res['count'] += 1;
      kept.push(res);
      res.end(String(res['count']));
    });
    const [res] = kept as [HttpResponse];
    expect(res['count']).toBe(2);
    for (const act of [
      () => res.writeStatus('200 OK'),
      () => res.writeHeader('a', 'b'),
      () => res.write('x'),
      () => res.end('x'),
      () => res.endWithoutBody(),
      () => res.tryEnd('x', 1),
      () => res.getWriteOffset(),
      () => res.onWritable(() => true),
      () => res.onAborted(() => {}),
      () => res.onData(() => {}),
      () => res.onDataV2(() => {}),
      () => res.collectBody(1, () => {}),
      () => {
        res.pause();
      },
      () => {
        res.resume();
      },
      () => res.cork(() => {}),
      () => res.collect(() => {}),
      () => res.getRemoteAddress(),
      () => res.getRemoteAddressAsText(),
      () => res.getRemotePort(),
      () => res.getProxiedRemoteAddress(),
      () => res.getProxiedRemoteAddressAsText(),
      () => res.getProxiedRemotePort(),
      () => {
        res.upgrade({}, CLIENT_KEY, '', '', {});
      },
    ]) {
      expect(act).toThrow(STALE);
    }
    expect(res.close()).toBe(res);
  });

  test('its methods return it, so that calls can be chained', async () => {
    const { body, result } = await once((res) => {
      const chained = [
        res.writeStatus('200 OK'),
        res.writeHeader('a', 'b'),
        res.onAborted(() => {}),
        res.onWritable(() => true),
        res.cork(() => {}),
        res.onData(() => {}),
        res.end('done'),
      ];
      return chained.every((one) => one === res);
    });
    expect([body, result]).toEqual(['done', true]);
  });

  test('a status or header behind the first part of a body is refused, and says why', async () => {
    const { body, result } = await once((res) => {
      res.write('begun');
      const errors = [() => res.writeHeader('a', 'b'), () => res.writeStatus('404 Not Found')].map((act) => {
        try {
          act();
          return '';
        } catch (error) {
          return (error as Error).message;
        }
      });
      res.end();
      return errors;
    });
    expect(body).toBe('begun');
    for (const message of result) expect(message).toContain('call it before');
  });

  test.each<[string, (res: HttpResponse) => unknown]>([
    [
      'a body that is not as long as its Content-Length',
      (res) => res.writeHeader('Content-Length', '3').end('four'),
    ],
    ['a total size that is no number', (res) => res.tryEnd('x', 'one' as never)],
    ['a negative total size', (res) => res.tryEnd('x', -1)],
    ['more than the total size', (res) => res.tryEnd('xxx', 2)],
    [
      'a total size beside another Content-Length',
      (res) => res.writeHeader('Content-Length', 5).tryEnd('xx', 2),
    ],
    ['a limit that is no number', (res) => res.collectBody(Number.NaN, () => {})],
    ['a callback that is none', (res) => res.onData(undefined as never)],
    ['a callback that is none', (res) => res.onAborted('x' as never)],
    ['a cork that is none', (res) => res.cork(undefined as never)],
    ['a header with a line break', (res) => res.writeHeader('a', 'b\r\nc: d')],
    ['a header name with a space', (res) => res.writeHeader('a b', 'c')],
    ['a header with NUL', (res) => res.writeHeader('a', 'b\0')],
    ['a status with a line break', (res) => res.writeStatus('200 OK\r\na: b')],
    ['Transfer-Encoding', (res) => res.writeHeader('Transfer-Encoding', 'gzip')],
    ['a length of no body', (res) => res.endWithoutBody('long' as never)],
    ['a length without end', (res) => res.endWithoutBody(Number.POSITIVE_INFINITY)],
    ['a length that is not written in digits', (res) => res.endWithoutBody('1e21' as never)],
    ['a total size that is not written in digits', (res) => res.tryEnd('x', 1e21)],
  ])('%s is an error that can be caught', async (_name, act) => {
    let caught: unknown;
    running = startApp((app) => {
      app.get('/', (res) => {
        try {
          act(res);
        } catch (error) {
          caught = error;
        }
        res.close();
      });
    });
    const client = await RawClient.connect(running.port);
    client.write(get('/'));
    await client.closed();
    expect(caught).toEqual(MISUSE);
  });

  test('values that are no text or bytes are a TypeError as in uWebSockets.js', async () => {
    const { result } = await once((res) => {
      const errors = [null, 5, {}, true].map((value) => {
        try {
          res.write(value as never);
          return '';
        } catch (error) {
          return (error as Error).message;
        }
      });
      res.end();
      return errors;
    });
    for (const message of result) {
      expect(message).toContain(
        'Text and data can only be passed by String, ArrayBuffer or TypedArray. Got ',
      );
    }
  });

  test('undefined is an empty text as in uWebSockets.js', async () => {
    const { body, headers } = await once((res) => {
      res.writeHeader('x-none', undefined as never).write(undefined as never);
      res.end(undefined);
    });
    expect([body, headers.get('x-none'), headers.get('content-length')]).toEqual(['', '', '0']);
  });

  test('a field named aborted is the program’s own once it sets it', async () => {
    const { result } = await once((res) => {
      const before = res.aborted;
      res.aborted = true;
      const set = res.aborted;
      res.aborted = false;
      res.end();
      return [before, set, res.aborted];
    });
    expect(result).toEqual([false, true, false]);
  });

  test('sizes as text, fractions and null', async () => {
    expect((await once((res) => res.tryEnd('abc', '3' as never))).result).toEqual([true, true]);
    expect((await once((res) => res.tryEnd('abc', 3.7))).result).toEqual([true, true]);
    expect((await once((res) => res.tryEnd('abc', null as never))).body).toBe('abc');
    const { headers } = await once((res) =>
      res.writeStatus('304 Not Modified').endWithoutBody('11' as never),
    );
    expect(headers.get('content-length')).toBe('11');
  });

  test('collectBody takes Infinity for no limit', async () => {
    const { body } = await once((res) =>
      res.collectBody(Number.POSITIVE_INFINITY, (whole) => res.end(String(whole?.byteLength))),
    );
    expect(body).toBe('0');
  });

  test('tryEnd: how much of the whole is taken, in parts and at once', async () => {
    const { body, result } = await once((res) => {
      const first = res.tryEnd('hello ', 11);
      const offset = res.getWriteOffset();
      return [first, offset, res.tryEnd('world', 11)];
    });
    expect(body).toBe('hello world');
    expect(result).toEqual([[true, false], 6, [true, true]]);
  });

  test('tryEnd with a total size of 0 is the whole body; to HEAD it answers at once', async () => {
    const whole = await once((res) => res.tryEnd('all', 0));
    expect([whole.body, whole.result]).toEqual(['all', [true, true]]);
    await running.stop();
    let answer: unknown;
    running = startApp((app) => {
      app.head('/', (res) => {
        answer = res.tryEnd('hello', 11);
      });
    });
    const client = await RawClient.connect(running.port);
    client.write(requestText('HEAD', '/'));
    const response = await client.response({ isHead: true });
    expect([answer, response.headers.get('content-length')]).toEqual([[true, true], '11']);
    client.destroy();
  });

  test('onWritable must return true or false', async () => {
    const errors: unknown[] = [];
    vi.spyOn(console, 'error').mockImplementation((text) => errors.push(text));
    running = startApp((app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        res.tryEnd(new Uint8Array(64 * 1024 * 1024), 64 * 1024 * 1024);
        res.onWritable(() => undefined as never);
      });
    });
    const client = await RawClient.connect(running.port);
    client.write(get('/'));
    await client.closed();
    expect(String(errors[0])).toContain('true or false');
  });

  test('a handler that forgets to answer is told, and answered 500', async () => {
    const errors: unknown[] = [];
    vi.spyOn(console, 'error').mockImplementation((text) => errors.push(text));
    const forgot = await once((res) => void res.onData(() => {}), sized('/x', 'body'));
    expect(forgot.status).toBe(500);
    expect(String(errors[0])).toContain('res.onAborted()');
  });

  test('addresses are bytes and text', async () => {
    const { result } = await once((res) => {
      const seen = [
        [...new Uint8Array(res.getRemoteAddress())],
        Buffer.from(res.getRemoteAddressAsText()).toString(),
        res.getRemotePort() > 0,
      ];
      res.end();
      return seen;
    });
    expect(result).toEqual([[127, 0, 0, 1], '127.0.0.1', true]);
  });

  test('what is written later leaves without a cork, and in one piece with one', async () => {
    running = startApp((app) => {
      app.get('/:how', async (res, req) => {
        const how = req.getParameter(0);
        res.onAborted(() => {});
        await new Promise((resolve) => setTimeout(resolve, 2));
        const answer = (): void => {
          res.writeStatus('202 Accepted').writeHeader('X-How', String(how));
          res.write('a');
          res.write('b');
          res.end('c');
        };
        if (how === 'cork') res.cork(answer);
        else if (how === 'collect') res.collect(answer);
        else answer();
      });
    });
    for (const how of ['cork', 'collect', 'plain']) {
      const client = await RawClient.connect(running.port);
      let pieces = 0;
      client.socket.on('data', () => pieces++);
      client.write(get(`/${how}`));
      expect(await client.response()).toMatchObject({ status: 202, body: 'abc' });
      expect(pieces).toBe(1);
      client.destroy();
    }
  });
});

describe('a WebSocket route', () => {
  test('leaves what is no handshake to the routes of HTTP', async () => {
    running = startApp((app) => {
      app.ws('/', { open: (ws) => void ws.send('open') });
      app.any('/', (res, req) => void res.end(`any ${req.getMethod()}`));
      app.ws('/alone', {});
    });
    const ask = async (text: string) => (await exchange(running.port, [text], 1))[0]!;
    expect((await ask(handshakeText('/', { 'Sec-WebSocket-Key': 'short' }))).body).toBe('any get');
    expect((await ask(handshakeText('/', { 'Sec-WebSocket-Key': null }))).body).toBe('any get');
    expect((await ask(handshakeText('/').replace('GET', 'POST'))).body).toBe('any post');
    expect((await ask(handshakeText('/', { 'Sec-WebSocket-Version': '8' }))).status).toBe(426);
    expect((await ask(handshakeText('/alone', { 'Sec-WebSocket-Key': 'short' }))).status).toBe(400);
    expect((await ask(handshakeText('/alone').replace('GET', 'POST'))).status).toBe(405);
    expect((await ask(handshakeText('/'))).status).toBe(101);
  });
});
