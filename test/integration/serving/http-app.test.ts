import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import uWS, {
  App,
  DeclarativeResponse,
  H3App,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  ListenOptions,
  type ListenSocket,
  us_listen_socket_close,
  us_socket_local_port,
} from 'millrace';
import { afterEach, describe, expect, test } from 'vitest';
import { exchange, requestText, sized } from '../../support/clients/http-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { HOST, type Running, startApp } from '../../support/servers/server.ts';
import { tlsOptions } from '../../support/tls/tls-mode.ts';
import { until, within } from '../../support/tools/deadline.ts';

const get = (path: string) => requestText('GET', path);
const sharesPorts = (process as unknown as { binding(name: string): { constants: object } })
  .binding('tcp_wrap')
  .constants.hasOwnProperty('UV_TCP_REUSEPORT');

let running: Running;
afterEach(() => running?.stop());

async function body(text: string): Promise<string> {
  return (await exchange(running.port, [text], 1))[0]!.body;
}

describe('routes', () => {
  test('of every method, with and without new, on the default export too', async () => {
    const app = new App();
    expect(typeof new uWS.App().get).toBe('function');
    const methods = ['get', 'post', 'options', 'del', 'patch', 'put', 'head', 'connect', 'trace'] as const;
    for (const method of methods) {
      app[method]('/x', (res, req) => {
        res.writeHeader('X-Method', `${method} ${req.getMethod()} ${req.getCaseSensitiveMethod()}`).end('');
      });
    }
    let port = 0;
    app.listen(HOST, 0, (socket) => (port = us_socket_local_port(socket as ListenSocket)));
    for (const method of methods) {
      const verb = method === 'del' ? 'DELETE' : method.toUpperCase();
      const [response] = await exchange(port, [requestText(verb, '/x')], 1);
      expect(response!.headers.get('x-method')).toBe(`${method} ${verb.toLowerCase()} ${verb}`);
    }
    app.close();
  });

  test('a name goes before a parameter, and that before a wildcard; a method before any', async () => {
    running = startApp((app) => {
      const answer = (text: string) => (res: { end(text: string): unknown }) => void res.end(text);
      app.any('/*', answer('any *'));
      app.get('/*', answer('get *'));
      app.get('/a/:b', answer('parameter'));
      app.any('/a/b', answer('any name'));
      app.get('/a/c', answer('name'));
    });
    expect(await body(get('/a/c'))).toBe('name');
    expect(await body(get('/a/b'))).toBe('parameter');
    expect(await body(requestText('PUT', '/a/b'))).toBe('any name');
    expect(await body(get('/a/b/c'))).toBe('get *');
    expect(await body(requestText('PUT', '/a/x'))).toBe('any *');
  });

  test('null removes a route', async () => {
    running = startApp((app) => {
      app.get('/gone', (res) => void res.end('here'));
      app.any('/gone', (res) => void res.end('any'));
      app.get('/gone', null);
    });
    expect(await body(get('/gone'))).toBe('any');
    running.app!.any('/gone', null);
    expect(await body(get('/gone'))).toContain('File Not Found');
  });

  test('an ArrayBuffer is a declarative response', async () => {
    running = startApp((app) => {
      app.get(
        '/fixed',
        new DeclarativeResponse().writeStatus('201 Created').writeHeader('a', 'b').end('fixed'),
      );
      app.get(
        '/hi/:name',
        new DeclarativeResponse()
          .write('hi ')
          .writeParameterValue('name')
          .write(' ')
          .writeQueryValue('q')
          .write(' ')
          .writeHeaderValue('host')
          .end('!'),
      );
      app.post('/echo', new DeclarativeResponse().write('<').writeBody().end('>'));
    });
    const [fixed] = await exchange(running.port, [get('/fixed')], 1);
    expect(fixed).toMatchObject({ status: 201, body: 'fixed' });
    expect(fixed!.headers.get('a')).toBe('b');
    expect(await body(get('/hi/you?q=a%20b'))).toBe('hi you a b server.test!');
    expect(await body(sized('/echo', 'body'))).toBe('<body>');
    expect((await exchange(running.port, [sized('/echo', 'x'.repeat(2 ** 20 + 1))], 1))[0]!.status).toBe(413);
    expect(() => running.app!.get('/', new ArrayBuffer(2))).toThrow('DeclarativeResponse');
  });

  test('what a handler wrote before it passed the request on is kept', async () => {
    running = startApp((app) => {
      app.get('/x', (res, req) => {
        res.writeHeader('X-First', 'yes');
        res['user'] = { name: 'me' };
        req.setYield(true);
      });
      app.any('/x', (res) => {
        const { user } = res as unknown as { user: { name: string } };
        res.end(user.name);
      });
    });
    const [response] = await exchange(running.port, [get('/x')], 1);
    expect([response!.headers.get('x-first'), response!.body]).toEqual(['yes', 'me']);
  });

  test('a domain has routes of its own', async () => {
    running = startApp((app) => {
      app.get('/', (res) => void res.end('default'));
      app.domain('one.test').get('/', (res) => void res.end('one'));
      app.domain('*.two.test').get('/', (res) => void res.end('two'));
      app.domain('').get('/more', (res) => void res.end('more'));
    });
    const at = (host: string, path = '/') => body(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect(await at('other.test')).toBe('default');
    expect(await at('one.test')).toBe('one');
    expect(await at('ONE.test:8080')).toBe('one');
    expect(await at('a.two.test')).toBe('two');
    expect(await at('two.test')).toBe('default');
    expect(await at('a.b.two.test')).toBe('default');
    expect(await at('[::1]:80')).toBe('default');
    expect(await at('one.test', '/more')).toContain('File Not Found');
    expect(await at('other.test', '/more')).toBe('more');
  });

  test('a domain goes with its server name, and comes back without its routes', async () => {
    running = startApp((app) => {
      app.get('/', (res) => void res.end('default'));
      app.domain('one.test').get('/', (res) => void res.end('one'));
      app.domain('*.two.test').get('/', (res) => void res.end('two'));
    });
    const app = running.app!;
    const at = (host: string) => body(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    app.removeServerName('ONE.test');
    expect([await at('one.test'), await at('a.two.test')]).toEqual(['default', 'two']);
    app.removeServerName('*.two.test').removeServerName('never.test');
    expect(await at('a.two.test')).toBe('default');
    app.addServerName('one.test', tlsOptions());
    expect(await at('one.test')).toBe('default');
    app.domain('one.test').get('/', (res) => void res.end('anew'));
    expect(await at('one.test')).toBe('anew');
  });

  test('a request of HTTP/1.0 without a Host may name its domain in the target', async () => {
    running = startApp((app) => {
      app.get('/', (res) => void res.end('default'));
      app.domain('one.test').get('/', (res) => void res.end('one'));
    });
    expect(await body('GET http://ONE.test:80/ HTTP/1.0\r\n\r\n')).toBe('one');
    expect(await body('GET / HTTP/1.0\r\n\r\n')).toBe('default');
  });
});

describe('listen', () => {
  const app = App().get('/', (res) => void res.end('here'));
  const sockets: ListenSocket[] = [];
  const keep = (socket: ListenSocket | false): void => {
    if (socket !== false) sockets.push(socket);
  };
  afterEach(() => {
    for (const socket of sockets.splice(0)) us_listen_socket_close(socket);
  });

  test('takes all four forms, and calls back before it returns', async () => {
    app.listen(0, keep);
    app.listen(0, LIBUS_LISTEN_EXCLUSIVE_PORT, keep);
    app.listen(HOST, 0, keep);
    app.listen(HOST, 0, ListenOptions.LIBUS_LISTEN_DEFAULT, keep);
    expect(sockets).toHaveLength(4);
    for (const socket of sockets) {
      const [response] = await exchange(us_socket_local_port(socket), [get('/')], 1);
      expect(response!.body).toBe('here');
    }
  });

  test('an exclusive port is not shared; others are where Node.js can', () => {
    app.listen(HOST, 0, LIBUS_LISTEN_EXCLUSIVE_PORT, keep);
    const exclusive = us_socket_local_port(sockets[0]!);
    const results: boolean[] = [];
    const note = (socket: ListenSocket | false): void => {
      results.push(socket !== false);
      keep(socket);
    };
    App().listen(HOST, exclusive, note);
    App().listen(HOST, exclusive, LIBUS_LISTEN_EXCLUSIVE_PORT, note);
    app.listen(HOST, 0, keep);
    App().listen(HOST, us_socket_local_port(sockets.at(-1)!), note);
    expect(results).toEqual([false, false, sharesPorts]);
  });

  test('a port that another program has is false', async () => {
    const server = createServer().listen(0, HOST);
    await new Promise((resolve) => server.on('listening', resolve));
    const { port } = server.address() as { port: number };
    let result: unknown;
    app.listen(HOST, port, (socket) => (result = socket));
    expect(result).toBe(false);
    server.close();
  });

  test('wrong arguments are named', () => {
    expect(() => app.listen(0, 7 as never, keep)).toThrow('LIBUS_LISTEN_EXCLUSIVE_PORT');
    expect(() => app.listen('localhost', 'x' as never, keep)).toThrow('port');
    expect(() => us_listen_socket_close(false as never)).toThrow('listen()');
    expect(() => us_socket_local_port(undefined as never)).toThrow('listen()');
    expect(() => H3App()).toThrow(expect.objectContaining({ code: 'MILLRACE_NOT_SUPPORTED' }));
  });
});

test('UWS_HTTP_MAX_HEADERS_SIZE is the default of maxHeadSize', async () => {
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = '300';
  running = startApp((app) => {
    app.get('/', (res) => void res.end('short'));
  });
  delete process.env['UWS_HTTP_MAX_HEADERS_SIZE'];
  expect(await body(get('/'))).toBe('short');
  const [response] = await exchange(
    running.port,
    [requestText('GET', '/', { 'X-Long': 'x'.repeat(300) })],
    1,
  );
  expect(response!.status).toBe(431);
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = 'many';
  expect(() => App()).toThrow('UWS_HTTP_MAX_HEADERS_SIZE');
  delete process.env['UWS_HTTP_MAX_HEADERS_SIZE'];
});

describe('listen_unix', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
  const path = join(folder, 'app.sock');
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test('serves on a path; a stale file is replaced, a living one and a plain file are not', async () => {
    const app = App().get('/', (res) => {
      res.end(`address "${Buffer.from(res.getRemoteAddressAsText()).toString()}" ${res.getRemotePort()}`);
    });
    const results: (ListenSocket | false)[] = [];
    app.listen_unix((socket) => results.push(socket), path);
    expect(results).toHaveLength(1);
    const socket = connect(path);
    socket.write(get('/'));
    const answer = await within(new Promise<Buffer>((resolve) => socket.once('data', resolve)), 'the answer');
    expect(answer.toString()).toContain('address "" 0');
    socket.destroy();

    App().listen_unix((second) => results.push(second), path);
    await until(() => results.length === 2, 'the second was told');
    expect(results[1]).toBe(false);
    expect(us_socket_local_port(results[0] as ListenSocket)).toBe(-1);
    app.close();

    writeFileSync(path, 'a file');
    App().listen_unix((third) => results.push(third), path);
    await until(() => results.length === 3, 'the third was told');
    expect(results[2]).toBe(false);
    App().listen_unix((fourth) => results.push(fourth), join(folder, 'missing', 'app.sock'));
    expect(results[3]).toBe(false);
  });
});

describe('a path that listen_unix cannot have', () => {
  const size = process.platform === 'linux' ? 107 : 103;
  test.each([
    ['', 'the path is empty'],
    [
      `/tmp/${'x'.repeat(size - 4)}`,
      `the path has ${size + 1} bytes; that of a Unix socket may have ${size}`,
    ],
    [`/tmp/${'ü'.repeat(size / 2)}`, `may have ${size}`],
    ['/tmp/a\0b', 'the path has a NUL character in it'],
    [`\0${'x'.repeat(size + 1)}`, 'the path '],
  ])('%j is an error that says why', (path, message) => {
    expect(() => App().listen_unix(() => {}, path)).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_INVALID_ARGUMENT',
        message: expect.stringMatching(/^listen_unix: the path /),
      }),
    );
    expect(() => App().listen_unix(() => {}, path)).toThrow(message);
  });

  test('but the longest one can be had, and is not cut', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
    const path = join(folder, 'x'.repeat(size - 1 - folder.length));
    const app = App();
    const isListening = await new Promise((resolve) => {
      app.listen_unix((socket) => {
        resolve(socket !== false);
      }, path);
    });
    expect([isListening, readdirSync(folder)]).toEqual([true, [basename(path)]]);
    app.close();
    rmSync(folder, { recursive: true });
  });
});

describe('filter', () => {
  test('is told of each connection when it is made and when it is over', async () => {
    const events: string[] = [];
    running = startApp((app) => {
      app.filter((res, count) => {
        if (count === 1) res['port'] = res.getRemotePort();
        events.push(`${count} ${res['port'] > 0}`);
      });
      app.get('/', (res) => void res.end('x'));
      app.ws('/ws', {});
    });
    const http = await RawClient.connect(running.port);
    http.write(get('/'));
    await http.response();
    expect(events).toEqual(['1 true']);
    const ws = await RawClient.webSocket(running.port, '/ws');
    expect(events).toEqual(['1 true', '1 true']);
    http.destroy();
    await until(() => events.length === 3, 'the first end');
    ws.destroy();
    await until(() => events.length === 4, 'the second end');
    expect(events.slice(2)).toEqual(['-1 true', '-1 true']);
  });

  test('may close a connection', async () => {
    running = startApp((app) => {
      app.filter((res) => void res.close());
    });
    const client = await RawClient.connect(running.port);
    await client.closed();
  });
});

test('onHttpParsingError is told of what cannot be read', async () => {
  const seen: unknown[] = [];
  running = startApp((app) => {
    app.onHttpParsingError((req, status, message) => {
      seen.push(req, status, Buffer.from(message).toString());
    });
  });
  const [response] = await exchange(running.port, ['HELO x\r\n\r\n'], 1);
  expect([response!.status, ...seen]).toEqual([400, undefined, 400, response!.body]);
});

describe('the PROXY protocol', () => {
  const header = (hex: string): Buffer => Buffer.from(`0d0a0d0a000d0a515549540a${hex}`, 'hex');

  test('names the client, however it is cut', async () => {
    running = startApp(
      (app) => {
        app.get('/', (res) => {
          const text = Buffer.from(res.getProxiedRemoteAddressAsText()).toString();
          res.end(`${text} ${res.getProxiedRemoteAddress().byteLength} ${res.getProxiedRemotePort()}`);
        });
      },
      { proxyProtocol: true },
    );
    const v4 = Buffer.concat([header('2111000c01020304050607080050270f'), Buffer.from(get('/') + get('/'))]);
    for (const cut of [1, 12, 20, 28, 40, v4.length]) {
      const client = await RawClient.connect(running.port);
      client.write(v4.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.write(v4.subarray(cut));
      expect((await client.response()).body).toBe('1.2.3.4 4 80');
      expect((await client.response()).body).toBe('1.2.3.4 4 80');
      client.destroy();
    }
    const local = await RawClient.connect(running.port);
    local.write(Buffer.concat([header('20000000'), Buffer.from(get('/'))]));
    expect((await local.response()).body).toBe(' 0 0');
    local.destroy();
    const none = await RawClient.connect(running.port);
    none.write(get('/'));
    expect((await none.response()).status).toBe(400);
    none.destroy();
  });

  test('is believed only where it is asked for', async () => {
    running = startApp((app) => {
      app.get('/', (res) => void res.end(String(res.getProxiedRemotePort())));
    });
    expect(await body(get('/'))).toBe('0');
    expect(() => App({ proxyProtocol: 'yes' as never })).toThrow('proxyProtocol');
  });
});

describe('adoptSocket', () => {
  test('serves a connection that another program handed over by its descriptor', async () => {
    const program = `
      import { App } from ${JSON.stringify(new URL('../../../dist/src/index.js', import.meta.url).href)};
      App().get('/', (res) => void res.end('adopted')).adoptSocket(3);
      setInterval(() => {}, 1000);
    `;
    // An extra pipe of a child is a connected socket that Node.js leaves alone there.
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    const socket = child.stdio[3] as Socket;
    socket.write(get('/'));
    const answer = await within(new Promise<Buffer>((resolve) => socket.once('data', resolve)), 'the answer');
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*adopted$/);
    child.kill();
  });

  test.each([-1, 99_999, 1.5, 'x'])('refuses %s, which is none', (fd) => {
    expect(() => App().adoptSocket(fd as never)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
    );
  });
});
