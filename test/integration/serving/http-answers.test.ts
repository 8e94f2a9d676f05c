import { inspect } from 'node:util';
import type { HttpRequest, HttpResponse, TemplatedApp } from 'millrace';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { flushReports } from '../../../dist/src/error-report.js';
import { requestText, sized } from '../../support/clients/http-client.ts';
import { CLIENT_KEY, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { type Running, startApp } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

const get = (path: string) => requestText('GET', path);
const STATE = expect.objectContaining({ code: 'MILLRACE_APP_STATE' }) as unknown;

let running: Running;
let printed: unknown[] = [];
beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation((text) => printed.push(text));
  // What one place has failed with before is counted, and not printed again.
  flushReports();
  printed = [];
});
afterEach(async () => {
  vi.restoreAllMocks();
  await running.stop();
});

function serving(routes: (app: TemplatedApp) => void): void {
  running = startApp((app) => {
    app.get('/ok', (res) => {
      res.end('ok');
    });
    routes(app);
  });
}

/** A connection that has sent these requests. */
async function asking(...requests: readonly string[]): Promise<RawClient> {
  const client = await RawClient.connect(running.port);
  client.write(requests.join(''));
  return client;
}

describe('a response that says Connection: close', () => {
  const WAYS: [string, (res: HttpResponse) => void][] = [
    ['end', (res) => void res.end('ab')],
    ['write and end', (res) => (res.write('a'), void res.end('b'))],
    ['tryEnd', (res) => void res.tryEnd('ab', 2)],
    ['endWithoutBody', (res) => void res.endWithoutBody()],
  ];
  test.each(WAYS)('by %s ends the connection, and no request behind it is served', async (_name, answer) => {
    serving((app) => {
      app.get('/', (res) => {
        res.writeHeader('Connection', 'close');
        answer(res);
      });
    });
    const client = await asking(get('/'), get('/ok'));
    expect((await client.response()).headers.get('connection')).toBe('close');
    expect((await client.readToEnd()).toString()).toBe('');
    client.destroy();
  });
});

describe('endWithoutBody', () => {
  test('says that the body is empty where one could follow', async () => {
    serving((app) => {
      app.get('/', (res) => void res.endWithoutBody());
    });
    const client = await asking(get('/'), get('/ok'));
    expect((await client.response()).headers.get('content-length')).toBe('0');
    expect((await client.response()).body).toBe('ok');
    client.destroy();
  });

  test.each([
    ['is given', (res: HttpResponse) => void res.endWithoutBody(5)],
    ['was written', (res: HttpResponse) => void res.writeHeader('Content-Length', '5').endWithoutBody()],
  ])('ends the connection where a body is awaited whose length %s', async (_name, answer) => {
    serving((app) => void app.get('/', answer));
    const client = await asking(get('/'), get('/ok'));
    const text = (await client.readToEnd()).toString();
    expect(text).toContain('Content-Length: 5\r\n');
    expect(text).toContain('Connection: close\r\n');
    expect(text.split('HTTP/1.1')).toHaveLength(2);
    client.destroy();
  });

  test('to HEAD and with 304 tells the length it is given, or none', async () => {
    serving((app) => {
      app.head('/5', (res) => void res.endWithoutBody(5));
      app.head('/none', (res) => void res.endWithoutBody());
      app.get('/304', (res) => void res.writeStatus('304 Not Modified').endWithoutBody(5));
    });
    const client = await asking(
      requestText('HEAD', '/5'),
      requestText('HEAD', '/none'),
      get('/304'),
      get('/ok'),
    );
    const lengths: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      lengths.push((await client.response({ isHead: true })).headers.get('content-length'));
    }
    expect(lengths).toEqual(['5', undefined, '5']);
    expect((await client.response()).body).toBe('ok');
    client.destroy();
  });
});

test('204 has no Content-Length, even if it is written', async () => {
  serving((app) => {
    app.get('/', (res) => void res.writeStatus('204').writeHeader('Content-Length', '3').end('abc'));
  });
  const client = await asking(get('/'), get('/ok'));
  expect((await client.response()).headers.has('content-length')).toBe(false);
  expect((await client.response()).body).toBe('ok');
  client.destroy();
});

test.each(['100 Continue', '101 Switching Protocols', '103'])(
  'status %s ends no response: it is an error, and answered 500',
  async (status) => {
    serving((app) => {
      app.get('/end', (res) => void res.writeStatus(status).end('x'));
      app.get('/write', (res) => void res.writeStatus(status).write('x'));
    });
    for (const path of ['/end', '/write']) {
      const client = await asking(get(path));
      expect(await client.response()).toMatchObject({ status: 500 });
      client.destroy();
    }
    expect(String(printed[0])).toContain(`${status.slice(0, 3)} is no final status`);
  },
);

describe('an answer to HEAD has no body', () => {
  test('when the handler throws', async () => {
    serving((app) => {
      app.head('/', () => {
        throw new Error('in a handler');
      });
    });
    const client = await asking(requestText('HEAD', '/'));
    expect(await client.response({ isHead: true })).toMatchObject({ status: 500 });
    expect(await client.readToEnd()).toHaveLength(0);
    client.destroy();
  });

  test('when it asks for a WebSocket', async () => {
    serving((app) => void app.ws('/', {}));
    const client = await asking(handshakeText('/').replace('GET', 'HEAD'));
    expect(await client.response({ isHead: true })).toMatchObject({ status: 405 });
    expect(await client.readToEnd()).toHaveLength(0);
    client.destroy();
  });
});

test('a handler that closes the connection can still read its request', async () => {
  let seen: unknown;
  serving((app) => {
    app.get('/path', (res, req) => {
      res.onAborted(() => {});
      res.close();
      seen = [req.getMethod(), req.getUrl(), req.getHeader('host')];
    });
  });
  const client = await asking(get('/path'));
  await client.closed();
  expect(seen).toEqual(['get', '/path', 'server.test']);
});

describe('an error', () => {
  /** Requests whose answer an error prevents, and how. */
  const PLACES: [string, (app: TemplatedApp, fail: () => never, events: string[]) => void, string][] = [
    [
      'in a handler',
      (app, fail, events) => {
        app.post('/', (res) => {
          res.onAborted(() => events.push('aborted'));
          fail();
        });
      },
      sized('/', 'body'),
    ],
    [
      'in a reader of the body',
      (app, fail, events) => {
        app.post('/', (res) => {
          res.onAborted(() => events.push('aborted'));
          res.onData(fail);
        });
      },
      sized('/', 'body'),
    ],
    [
      'in an upgrade handler that waits',
      (app, fail, events) => {
        app.ws('/', {
          upgrade: async (res) => {
            res.onAborted(() => events.push('aborted'));
            await Promise.resolve();
            fail();
          },
        });
      },
      handshakeText('/'),
    ],
  ];

  test.each(PLACES)(
    '%s is told to onAborted, once, before it is answered 500',
    async (_name, route, request) => {
      const events: string[] = [];
      const fail = (): never => {
        throw new Error('on purpose');
      };
      serving((app) => {
        route(app, fail, events);
      });
      const client = await asking(request);
      expect(await client.response()).toMatchObject({ status: 500 });
      await client.readToEnd();
      client.destroy();
      expect(events).toEqual(['aborted']);
    },
  );

  test('that cannot be printed costs nothing but its own request', async () => {
    serving((app) => {
      app.get('/', () => {
        // oxlint-disable-next-line typescript/only-throw-error -- whatever may be thrown
        throw {
          [inspect.custom]() {
            throw new Error('not to be printed');
          },
        };
      });
    });
    const client = await asking(get('/'));
    expect(await client.response()).toMatchObject({ status: 500 });
    client.destroy();
    expect(printed).toEqual(['millrace: an HTTP handler threw: something that cannot be printed (object)']);
  });

  test('in onAborted as well is printed too, and the request is answered', async () => {
    serving((app) => {
      app.get('/', (res) => {
        res.onAborted(() => {
          throw new Error('second');
        });
        throw new Error('first');
      });
    });
    const client = await asking(get('/'));
    expect(await client.response()).toMatchObject({ status: 500 });
    client.destroy();
    expect(printed).toEqual([
      expect.stringMatching(/threw: Error: first\n/),
      expect.stringMatching(/threw: Error: second\n/),
    ]);
  });
});

describe('a reader that comes late', () => {
  test.each([
    ['without a body', get('/')],
    ['with a body', sized('/', 'body')],
  ])('and replaces another is told of the end once, %s', async (_name, request) => {
    const calls: string[] = [];
    serving((app) => {
      app.any('/', async (res) => {
        res.onAborted(() => {});
        await new Promise((resolve) => setTimeout(resolve, 5));
        res.onData(() => calls.push('first'));
        res.onData((chunk, isLast) => calls.push(`second ${chunk.byteLength} ${isLast}`));
        await new Promise((resolve) => setTimeout(resolve, 5));
        res.end();
      });
    });
    const client = await asking(request);
    expect(await client.response()).toMatchObject({ status: 200 });
    client.destroy();
    expect(calls).toEqual([request === get('/') ? 'second 0 true' : 'second 4 true']);
  });
});

describe('res.upgrade', () => {
  /** What an `upgrade` handler passes on. */
  const upgrade = (res: HttpResponse, req: HttpRequest, context: object, userData: unknown): void => {
    res.upgrade(
      userData,
      req.getHeader('sec-websocket-key'),
      req.getHeader('sec-websocket-protocol'),
      req.getHeader('sec-websocket-extensions'),
      context,
    );
  };

  test('behind the start of another response is an error, and cuts the connection', async () => {
    serving((app) => {
      app.ws('/', {
        upgrade: (res, req, context) => {
          res.write('x');
          upgrade(res, req, context, {});
        },
      });
    });
    const client = await asking(handshakeText('/'));
    expect((await client.readToEnd()).toString()).not.toContain('101');
    await client.closed();
    expect(String(printed[0])).toContain('res.upgrade: the head was sent');
  });

  test('chooses among the protocols of the route, when it has some', async () => {
    serving((app) => {
      app.ws('/', {
        protocols: ['chat.v1', 'chat.v2'],
        upgrade: (res, req, context) => {
          upgrade(res, req, context, {});
        },
      });
    });
    for (const [offered, chosen] of [
      ['other, chat.v2, chat.v1', 'chat.v2'],
      ['other', undefined],
    ]) {
      const client = await asking(handshakeText('/', { 'Sec-WebSocket-Protocol': offered! }));
      const { status, headers } = await client.response();
      expect([status, headers.get('sec-websocket-protocol')]).toEqual([101, chosen]);
      client.destroy();
    }
  });

  test('takes no prototype from user data that came as text', async () => {
    let seen: unknown;
    serving((app) => {
      app.ws('/', {
        upgrade: (res, req, context) => {
          upgrade(res, req, context, JSON.parse('{"__proto__":{"admin":true},"name":"a"}'));
        },
        open: (ws) => {
          seen = [Reflect.get(ws, 'name'), Reflect.get(ws, 'admin'), ws.send('hello')];
        },
      });
    });
    const client = await RawClient.webSocket(running.port);
    expect(await client.text()).toBe('hello');
    client.destroy();
    expect(seen).toEqual(['a', undefined, 1]);
  });

  test('of user data whose getter throws is answered 500: nothing was opened', async () => {
    const events: string[] = [];
    serving((app) => {
      app.ws('/', {
        upgrade: (res, req, context) => {
          const userData = {
            get name() {
              throw new Error('in a getter');
            },
          };
          upgrade(res, req, context, userData);
        },
        open: () => void events.push('open'),
        close: () => void events.push('close'),
        onError: (_ws, error) => void events.push(String(error)),
      });
    });
    const client = await asking(handshakeText('/'));
    expect(await client.response()).toMatchObject({ status: 500 });
    await client.readToEnd();
    client.destroy();
    expect(events).toEqual(['Error: in a getter']);
  });

  test('that comes later gives open() the parameters of a domain too', async () => {
    let seen: unknown;
    serving((app) => {
      app.domain('chat.test').ws('/room/:name', {
        upgrade: async (res, req, context) => {
          res.onAborted(() => {});
          await Promise.resolve();
          upgrade(res, req, context, {});
        },
        open: (_ws, req) => {
          seen = [req.getParameter(0), req.getParameter('name')];
        },
      });
    });
    const client = await RawClient.webSocket(running.port, '/room/blue', { Host: 'chat.test' });
    client.destroy();
    expect(seen).toEqual(['blue', 'blue']);
  });
});

test('refusals have a Date, as all but those with 5xx must', async () => {
  serving((app) => void app.ws('/', {}));
  for (const [text, status] of [
    ['GET / HTTP/1.1\r\n\r\n', 400],
    [requestText('POST', '/', { 'Transfer-Encoding': 'gzip' }), 501],
    [handshakeText('/', { 'Sec-WebSocket-Version': '12' }), 426],
    [get('/none'), 404],
  ] as const) {
    const client = await asking(text);
    const response = await client.response();
    expect(response.status).toBe(status);
    expect(Math.abs(Date.parse(response.headers.get('date')!) - Date.now())).toBeLessThan(60_000);
    client.destroy();
  }
});

describe('a filter', () => {
  test('that closes the connection is told of its end behind all others that are told of its start', async () => {
    const events: string[] = [];
    serving((app) => {
      app.filter((res, count) => {
        events.push(`first ${count}`);
        if (count === 1) res.close();
      });
      app.filter((_res, count) => void events.push(`second ${count}`));
    });
    const client = await asking(get('/ok'));
    await client.closed();
    expect(events).toEqual(['first 1', 'second 1', 'first -1', 'second -1']);
  });

  test('cannot answer: there is no request', async () => {
    const errors: unknown[] = [];
    serving((app) => {
      app.filter((res, count) => {
        if (count !== 1) return;
        for (const answer of [
          () => res.end('from a filter'),
          () => res.write('x'),
          () => res.tryEnd('x', 1),
          () => res.pause(),
          () => res.onData(() => {}),
          () => res.upgrade({}, CLIENT_KEY, '', '', {}),
        ]) {
          try {
            answer();
          } catch (error) {
            errors.push(error);
          }
        }
        Reflect.set(res, 'address', res.getRemoteAddress().byteLength);
        errors.push(Reflect.get(res, 'address'));
      });
    });
    const client = await asking(get('/ok'));
    expect((await client.response()).body).toBe('ok');
    client.destroy();
    await until(() => errors.length === 7, 'the filter was told');
    expect(errors).toEqual([STATE, STATE, STATE, STATE, STATE, STATE, 4]);
  });
});
