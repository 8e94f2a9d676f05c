import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  App,
  type ListenSocket,
  SSLApp,
  serve,
  type TemplatedApp,
  type WebSocket,
  type WebSocketBehavior,
} from 'millrace';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { flushReports } from '../../../dist/src/error-report.js';
import { WAYS, type Way } from '../../support/cases/failures.ts';
import { closeCodeOf, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { text } from '../../support/protocol/frame-bytes.ts';
import { HOST } from '../../support/servers/server.ts';
import { fingerprintFor, SERVER_CERTIFICATE, tlsOptions } from '../../support/tls/tls.ts';
import { until, within } from '../../support/tools/deadline.ts';

/**
 * The callbacks that are no routes and no handlers of a WebSocket route (these are in handler-errors.test.ts): each
 * fails in each way, which costs its own connection at most, and is told.
 */

/** What fails, typed as whatever is wanted. */
// oxlint-disable-next-line typescript/no-explicit-any
type Failing = any;

const uncaught: unknown[] = [];
const note = (error: unknown): void => {
  uncaught.push(error);
};

let log: string[] = [];
beforeEach(() => {
  const lines: string[] = [];
  log = lines;
  vi.spyOn(console, 'error').mockImplementation((line) => {
    lines.push(String(line));
  });
  // What one place has failed with before is counted, and not printed again.
  flushReports();
  lines.splice(0);
  process.on('unhandledRejection', note).on('uncaughtException', note);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.off('unhandledRejection', note).off('uncaughtException', note);
  expect(uncaught.splice(0)).toEqual([]);
});

interface Row {
  readonly name: string;
  readonly routes: (app: TemplatedApp, fails: Failing) => void;
  /** Makes the engine call it; returns what its connection saw. */
  readonly run: (port: number) => Promise<unknown>;
  readonly outcome: unknown;
}

const REPORT = 'onError: the handler failed';
/** A route whose onError writes to the log, for what happens on its connections. */
const TOLD: WebSocketBehavior = {
  onError: (_ws, error) => {
    log.push(`onError: ${(error as Error).message}`);
  },
};

/** Sends a request, and gives the status of what comes back; 0: the connection ends without a response. */
async function statusOf(port: number, request: string): Promise<number> {
  const client = await RawClient.connect(port);
  client.write(request);
  return (await client.response()).status;
}

const POST = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{x';
const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

async function failedBody(port: number): Promise<unknown> {
  return statusOf(port, POST);
}

async function endOfSocket(port: number): Promise<unknown> {
  const client = await RawClient.webSocket(port);
  client.send(text('x'));
  const code = closeCodeOf(await client.frame());
  client.destroy();
  return code;
}

const ROWS: readonly Row[] = [
  {
    name: 'res.onData',
    routes: (app, fails) => app.post('/', (res) => void res.onAborted(() => {}).onData(fails)),
    run: failedBody,
    outcome: 500,
  },
  {
    name: 'res.onDataV2',
    routes: (app, fails) => app.post('/', (res) => void res.onAborted(() => {}).onDataV2(fails)),
    run: failedBody,
    outcome: 500,
  },
  {
    name: 'res.collectBody',
    routes: (app, fails) => app.post('/', (res) => void res.onAborted(() => {}).collectBody(10, fails)),
    run: failedBody,
    outcome: 500,
  },
  {
    name: 'res.collectBody of a body that is too long',
    routes: (app, fails) => app.post('/', (res) => void res.onAborted(() => {}).collectBody(1, fails)),
    run: failedBody,
    outcome: 500,
  },
  {
    name: 'res.onData of a request without a body',
    routes: (app, fails) => app.get('/', (res) => void res.onAborted(() => {}).onData(fails)),
    run: (port) => statusOf(port, GET),
    outcome: 500,
  },
  {
    name: 'res.cork',
    routes: (app, fails) => app.get('/', (res) => void res.onAborted(() => {}).cork(fails)),
    run: (port) => statusOf(port, GET),
    outcome: 500,
  },
  {
    name: 'res.collect',
    routes: (app, fails) => app.get('/', (res) => void res.onAborted(() => {}).collect(fails)),
    run: (port) => statusOf(port, GET),
    outcome: 500,
  },
  {
    name: 'res.cork after the response was begun',
    routes: (app, fails) =>
      app.get('/', (res) => {
        res.onAborted(() => {}).write('part');
        res.cork(fails);
      }),
    run: async (port) => {
      const client = await RawClient.connect(port);
      client.write(GET);
      return (await client.readToEnd()).includes('0\r\n\r\n');
    },
    outcome: false,
  },
  {
    name: 'res.onWritable',
    routes: (app, fails) =>
      app.get('/', (res) => {
        const body = Buffer.alloc(64 * 1024 * 1024);
        res.onAborted(() => {}).onWritable(fails);
        res.tryEnd(body, body.length);
      }),
    run: async (port) => {
      const client = await RawClient.connect(port);
      client.write(GET);
      return (await client.readToEnd()).length < 64 * 1024 * 1024;
    },
    outcome: true,
  },
  {
    name: 'res.onAborted',
    routes: (app, fails) => app.get('/', (res) => void res.onAborted(fails)),
    run: async (port) => {
      const client = await RawClient.connect(port);
      client.write(GET);
      client.end();
      return (await client.readToEnd()).length;
    },
    outcome: 0,
  },
  {
    name: 'res.onAborted, of a handler that fails',
    routes: (app, fails) =>
      app.get('/', (res) => {
        res.onAborted(fails);
        return Promise.reject(new Error('the handler failed'));
      }),
    run: (port) => statusOf(port, GET),
    outcome: 500,
  },
  {
    name: 'res.onAborted, of a handshake',
    routes: (app, fails) => app.ws('/', { ...TOLD, upgrade: (res) => void res.onAborted(fails) }),
    run: async (port) => {
      const client = await RawClient.connect(port);
      client.write(handshakeText());
      client.end();
      return (await client.readToEnd()).length;
    },
    outcome: 0,
  },
  {
    name: 'req.forEach',
    routes: (app, fails) =>
      app.get('/', (res, req) => {
        try {
          req.forEach(fails);
        } catch {
          log.push('Error: the handler failed');
        }
        res.end('fine');
      }),
    run: (port) => statusOf(port, GET),
    outcome: 200,
  },
  {
    name: 'filter, of a new connection',
    routes: (app, fails) =>
      app
        .filter((_res, count) => (count === 1 ? fails() : undefined))
        .get('/', (res) => void res.end('fine')),
    run: (port) => statusOf(port, GET),
    outcome: 200,
  },
  {
    name: 'filter, of a connection that ends',
    routes: (app, fails) =>
      app
        .filter((_res, count) => (count === -1 ? fails() : undefined))
        .get('/', (res) => void res.end('fine', true)),
    run: (port) => statusOf(port, GET),
    outcome: 200,
  },
  {
    name: 'onHttpParsingError',
    routes: (app, fails) => app.onHttpParsingError(fails),
    run: (port) => statusOf(port, 'no request\r\n\r\n'),
    outcome: 400,
  },
  {
    name: 'ws.cork',
    routes: (app, fails) => app.ws('/', { ...TOLD, message: (ws) => void ws.cork(fails) }),
    run: endOfSocket,
    outcome: 1011,
  },
  {
    name: 'ws.cork outside of a handler',
    routes: (app, fails) =>
      app.ws('/', {
        ...TOLD,
        message: (ws) =>
          void setImmediate(() => {
            try {
              ws.cork(fails);
            } catch {
              // It is called by the user himself, who gets what it throws.
              log.push(REPORT);
              ws.end(1011);
            }
          }),
      }),
    run: endOfSocket,
    outcome: 1011,
  },
  {
    name: 'onError',
    routes: (app, fails) =>
      app.ws('/', {
        message: () => {
          throw new Error('another');
        },
        onError: fails,
      }),
    run: endOfSocket,
    outcome: 1011,
  },
  {
    name: 'onError, of a handshake',
    routes: (app, fails) =>
      app.ws('/', {
        upgrade: () => {
          throw new Error('another');
        },
        onError: fails,
      }),
    run: (port) => statusOf(port, handshakeText()),
    outcome: 500,
  },
];

function listening(app: TemplatedApp): number {
  let socket: ListenSocket | false = false;
  app.listen(HOST, 0, (opened) => {
    socket = opened;
  });
  return (socket as unknown as ListenSocket).port;
}

describe.each(Object.keys(WAYS) as Way[])('a callback that %s', (way) => {
  test.each(ROWS)('$name', async ({ routes, run, outcome }) => {
    const app = App();
    app.get('/canary', (res) => void res.end('alive'));
    routes(app, WAYS[way]);
    const port = listening(app);
    expect(await within(run(port), 'what the connection sees')).toEqual(outcome);
    await until(() => log.some((line) => line.includes('the handler failed')), 'a report');
    expect(await statusOf(port, GET.replace('/', '/canary'))).toBe(200);
    app.close();
  });

  test('of listen, later than the call', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-listen-'));
    const path = join(folder, 'taken.sock');
    const other = createServer().listen(path);
    await once(other, 'listening');
    const app = App();
    // Whether somebody listens there is found by connecting, which takes a moment.
    app.listen_unix(WAYS[way], path);
    await until(() => log.some((line) => line.includes('the handler failed')), 'a report');
    expect(log[0]).toContain('the callback of listen');
    app.close();
    other.close();
    rmSync(folder, { recursive: true });
  });

  test('of missingServerName: the client gets the certificate of the App', async () => {
    const app = SSLApp(tlsOptions());
    app.missingServerName(WAYS[way]);
    const port = listening(app);
    const { fingerprint256 } = new X509Certificate(SERVER_CERTIFICATE.cert);
    expect(await fingerprintFor(port, 'unknown.example.com')).toBe(fingerprint256);
    await until(() => log.some((line) => line.includes('the handler failed')), 'a report');
    expect(log[0]).toContain('the missingServerName handler');
    app.close();
  });
});

test('an async callback of listen that rejects is told', async () => {
  const app = App();
  app.listen(HOST, 0, WAYS['rejects later']);
  await until(() => log.length > 0, 'a report');
  expect(log[0]).toMatch(/^millrace: the callback of listen threw: Error: the handler failed\n/);
  app.close();
});

test('what a callback of listen throws is thrown to the caller, as long as that is possible', () => {
  const app = App();
  expect(() => app.listen(HOST, 0, WAYS.throws)).toThrow('the handler failed');
  app.close();
});

test('a failure that comes when the response is sent, or the connection is another, costs nobody anything', async () => {
  const app = App();
  let reject: (error: Error) => void = () => {};
  app.get('/', (res) => {
    res.onAborted(() => {});
    res.cork(() => {
      res.end('first');
      return new Promise<void>((_, no) => {
        reject = no;
      });
    });
  });
  app.get('/second', (res) => {
    res.onAborted(() => {});
    reject(new Error('the handler failed'));
    setImmediate(() => res.end('second'));
  });
  const port = listening(app);
  const client = await RawClient.connect(port);
  client.write(GET);
  expect((await client.response()).status).toBe(200);
  client.write(GET.replace('/', '/second'));
  expect(await client.response()).toMatchObject({ status: 200 });
  await until(() => log.length > 0, 'a report');
  expect(log[0]).toContain('the handler failed');
  app.close();
});

test('a failure of a callback of a handshake is told to the onError of its route, even when it was answered', async () => {
  const errors: [WebSocket | undefined, unknown][] = [];
  const app = App();
  app.ws('/', {
    upgrade: (res, req, context) => {
      res.onAborted(() => {});
      res.cork(async () => {
        res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
        await Promise.resolve();
        throw new Error('the handler failed');
      });
    },
    message: (ws, message) => void ws.send(message),
    onError: (ws, error) => void errors.push([ws, error]),
  });
  const client = await RawClient.webSocket(listening(app));
  client.send(text('still here'));
  expect(await client.text()).toBe('still here');
  expect(errors).toEqual([[undefined, expect.objectContaining({ message: 'the handler failed' })]]);
  app.close();
});

test('a bad body for an async callback costs a shard nothing but its connection', async () => {
  const server = await serve({
    app: new URL('../fixtures/careless-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: 1,
    onCrash: (_shard, error) => log.push(`crash: ${String(error)}`),
  });
  const witness = await RawClient.webSocket(server.port);
  for (const path of ['/data', '/collect']) {
    expect(await statusOf(server.port, POST.replace('/', path))).toBe(500);
  }
  // A promise for each header, of which none answers the request.
  expect(await statusOf(server.port, GET.replace('/', '/headers'))).toBe(200);
  witness.send(text('still here'));
  expect(await witness.text()).toBe('still here');
  expect(server.stats().total.handlerErrors).toBe(3);
  expect(log.filter((line) => line.startsWith('crash'))).toEqual([]);
  witness.destroy();
  await server.close({ drain: 0 });
});
