import uWS, { type TemplatedApp } from 'uWebSockets.js';
import { type EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

/** What the tests need of its server and of a connection to it. */
interface EngineSocket extends EventEmitter {
  readonly id: string;
  readonly readyState: string;
  readonly transport: { readonly name: string; readonly writable: boolean };
  readonly request: { readonly headers: Record<string, string>; readonly _query: Record<string, string> };
  send(data: string | Buffer): void;
  close(): void;
}
interface EngineServer extends EventEmitter {
  readonly clientsCount: number;
  attach(app: TemplatedApp, options?: object): void;
  use?(
    middleware: (req: EngineSocket['request'], res: EngineResponse, next: (e?: Error) => void) => void,
  ): void;
  close(): void;
}
interface EngineResponse {
  setHeader(name: string, value: string): void;
}

// Before 6.6.12 it reads the request after an await; programs' lock files hold these for years.
const VERSIONS = [
  ['6.4.2', 'socket.io-4.6'],
  ['6.5.5', 'socket.io-4.7'],
  ['6.6.9', 'socket.io-4.8.3'],
  ['6.6.13', 'socket.io'],
] as const;

const here = createRequire(import.meta.url);

describe.each(VERSIONS)('engine.io %s', (version, socketIo) => {
  const path = createRequire(here.resolve(socketIo)).resolve('engine.io');
  const { uServer } = here(path) as { uServer: new (options: object) => EngineServer };
  const app = uWS.App();
  const refused: { code: number; message: string }[] = [];
  let engine: EngineServer;
  let port = 0;

  beforeAll(() => {
    engine = new uServer({
      cookie: { name: 'io', path: '/engine.io', httpOnly: true, sameSite: 'lax' },
      cors: { origin: 'https://page.example', methods: ['GET', 'POST'], credentials: true },
      maxHttpBufferSize: 100_000,
      httpCompression: { threshold: 1024 },
      pingInterval: 25_000,
      async allowRequest(
        req: EngineSocket['request'],
        callback: (error: string | null, ok: boolean) => void,
      ) {
        await Promise.resolve();
        const isBarred = req._query['key'] === 'wrong' || req.headers['x-barred'] !== undefined;
        callback(isBarred ? 'not you' : null, !isBarred);
      },
    });
    engine.on('initial_headers', (headers: Record<string, string>) => (headers['x-first'] = 'yes'));
    engine.on('headers', (headers: Record<string, string>) => (headers['x-each'] = 'always'));
    engine.on('connection_error', (error: { code: number; message: string }) => refused.push(error));
    engine.on('connection', (socket: EngineSocket) => {
      socket.on('message', (data: string | Buffer) => {
        if (data === 'bye') socket.close();
        else if (data === 'large') socket.send('l'.repeat(50_000));
        else socket.send(data);
      });
    });
    engine.use?.((_req, res, next) => {
      res.setHeader('x-middleware', 'ran');
      next();
    });
    engine.attach(app);
    app.any('/*', (res) => {
      res.writeStatus('404 Not Found').end('no engine');
    });
    app.listen('127.0.0.1', 0, (socket) => {
      if (socket) port = uWS.us_socket_local_port(socket);
    });
  });
  afterAll(() => {
    engine.close();
    app.close();
  });

  const url = (query: string): string => `http://127.0.0.1:${port}/engine.io/?EIO=4&${query}`;
  const poll = (sid = '', more: RequestInit = {}): Promise<Response> =>
    fetch(url(`transport=polling${sid === '' ? '' : `&sid=${sid}`}`), more);
  const post = (sid: string, body: string): Promise<Response> => poll(sid, { method: 'POST', body });

  /** Connects by polling. */
  async function open(): Promise<{ sid: string; socket: EngineSocket; response: Response }> {
    const connection = once(engine, 'connection') as Promise<[EngineSocket]>;
    const response = await poll();
    const { sid } = JSON.parse((await response.text()).slice(1)) as { sid: string };
    const [socket] = await connection;
    expect(socket.id).toBe(sid);
    return { sid, socket, response };
  }

  /** The client's poll is at the server, and held. */
  async function polled({ transport }: EngineSocket): Promise<void> {
    await expect.poll(() => transport.writable, { interval: 2 }).toBe(true);
  }

  function webSocket(query: string, headers: Record<string, string> = {}): WebSocket {
    return new WebSocket(url(query).replace('http', 'ws'), { headers });
  }

  async function next(socket: WebSocket): Promise<string> {
    const [data] = (await once(socket, 'message')) as [Buffer];
    return data.toString();
  }

  /** The answer as Node.js reads it: fetch unpacks bodies, and hides cookies. */
  async function raw(query: string, headers: Record<string, string>): Promise<[IncomingMessage, Buffer]> {
    const sent = httpRequest(url(query), { headers }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return [response, Buffer.concat(chunks)];
  }

  it('is the one that is meant', () => {
    const file = join(dirname(dirname(path)), 'package.json');
    expect((JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version).toBe(version);
  });

  it('leaves other paths to the app', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/other`);
    expect([response.status, await response.text()]).toEqual([404, 'no engine']);
  });

  it('opens by polling, with a cookie, headers and CORS', async () => {
    const [response, body] = await raw('transport=polling', { origin: 'https://page.example' });
    expect(response.statusCode).toBe(200);
    expect(JSON.parse(body.toString().slice(1))).toMatchObject({ upgrades: ['websocket'] });
    expect(response.headers['set-cookie']?.[0]).toMatch(
      /^io=[\w-]+; Path=\/engine\.io; HttpOnly; SameSite=Lax$/i,
    );
    expect(response.headers).toMatchObject({
      'access-control-allow-origin': 'https://page.example',
      'access-control-allow-credentials': 'true',
      'content-type': 'text/plain; charset=UTF-8',
      'x-first': 'yes',
      'x-each': 'always',
      'x-middleware': 'ran',
    });
    const { sid } = JSON.parse(body.toString().slice(1)) as { sid: string };
    await post(sid, '4x');
    const [second] = await raw(`transport=polling&sid=${sid}`, {});
    expect([second.headers['x-first'], second.headers['x-each']]).toEqual([undefined, 'always']);
  });

  it('answers a preflight', async () => {
    const headers = { origin: 'https://page.example', 'access-control-request-method': 'POST' };
    const response = await poll('', { method: 'OPTIONS', headers });
    expect([response.status, response.headers.get('access-control-allow-methods')]).toEqual([
      204,
      'GET,POST',
    ]);
  });

  it('carries packets by polling: texts, several at once, bytes and long ones', async () => {
    const { sid } = await open();
    expect(await (await post(sid, '4Grüße\x1e4zwei\x1ebAQID')).text()).toBe('ok');
    const first = await (await poll(sid)).text();
    let rest = first;
    while (!rest.includes('bAQID')) rest += `\x1e${await (await poll(sid)).text()}`;
    expect(rest.split('\x1e')).toEqual(['4Grüße', '4zwei', 'bAQID']);
    await post(sid, `4${'€'.repeat(30_000)}`);
    expect(await (await poll(sid)).text()).toBe(`4${'€'.repeat(30_000)}`);
  });

  it('compresses long answers of polling', async () => {
    const { sid } = await open();
    await post(sid, '4large');
    const [response, body] = await raw(`transport=polling&sid=${sid}`, { 'accept-encoding': 'gzip' });
    expect(response.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(body).toString()).toBe(`4${'l'.repeat(50_000)}`);
  });

  it('holds a poll until there is something to say', async () => {
    const { sid, socket } = await open();
    const answer = poll(sid);
    await polled(socket);
    socket.send('later');
    expect(await (await answer).text()).toBe('4later');
  });

  it('closes a client whose poll is broken off, and one that polls twice', async () => {
    const { sid, socket } = await open();
    const closed = once(socket, 'close');
    const abort = new AbortController();
    const polling = poll(sid, { signal: abort.signal });
    await polled(socket);
    abort.abort();
    await expect(polling).rejects.toThrow();
    expect((await closed)[0]).toBe('transport error');

    const other = await open();
    const otherClosed = once(other.socket, 'close');
    const one = poll(other.sid).catch(() => undefined);
    await polled(other.socket);
    await poll(other.sid).catch(() => undefined);
    expect((await otherClosed)[0]).toBe('transport error');
    await one;
  });

  it('refuses a body that is too long', async () => {
    const { sid } = await open();
    const response = await post(sid, `4${'x'.repeat(200_000)}`).catch(() => undefined);
    expect([413, undefined]).toContain(response?.status);
  });

  it.each([
    ['transport=none', {}, 0],
    ['transport=polling&sid=nobody', {}, 1],
    ['transport=polling', { method: 'PUT' }, 2],
    ['transport=websocket', {}, 3],
    ['transport=polling&key=wrong', {}, 4],
  ] as const)('refuses %s %o with code %i', async (query, init, code) => {
    refused.length = 0;
    const response = await fetch(url(query), init);
    expect(response.status).toBe(code === 4 ? 403 : 400);
    expect(await response.json()).toMatchObject({ code });
    expect(refused.map((error) => error.code)).toEqual([code]);
  });

  it('opens by WebSocket, with headers of its own, and echoes texts and bytes', async () => {
    const connection = once(engine, 'connection') as Promise<[EngineSocket]>;
    const client = webSocket('transport=websocket&room=7', { 'x-client': 'mine' });
    const headers = once(client, 'upgrade') as Promise<[IncomingMessage]>;
    expect(JSON.parse((await next(client)).slice(1))).toMatchObject({ upgrades: [] });
    const [socket] = await connection;
    expect(socket.transport.name).toBe('websocket');
    expect([socket.request.headers['x-client'], socket.request._query['room']]).toEqual(['mine', '7']);
    expect((await headers)[0].statusCode).toBe(101);
    client.send('4Grüße');
    expect(await next(client)).toBe('4Grüße');
    client.send(Buffer.from([1, 2, 255]));
    const [bytes, isBinary] = (await once(client, 'message')) as [Buffer, boolean];
    expect([[...bytes], isBinary]).toEqual([[1, 2, 255], true]);
    const closed = once(socket, 'close');
    client.close();
    expect((await closed)[0]).toBe('transport close');
  });

  it('refuses a WebSocket that is not allowed', async () => {
    refused.length = 0;
    const client = webSocket('transport=websocket', { 'x-barred': '1' });
    const [error] = (await once(client, 'error')) as [Error];
    expect(error.message).toContain('403');
    expect(refused).toMatchObject([{ code: 4 }]);
  });

  it('changes from polling to WebSocket, and loses nothing on the way', async () => {
    const { sid, socket } = await open();
    const client = webSocket(`transport=websocket&sid=${sid}`);
    await once(client, 'open');
    client.send('2probe');
    expect(await next(client)).toBe('3probe');
    socket.send('before');
    const polled = await (await poll(sid)).text();
    expect(polled.split('\x1e')[0]).toMatch(/^(6|4before)$/);
    const upgraded = once(socket, 'upgrade');
    client.send('5');
    await upgraded;
    expect(socket.transport.name).toBe('websocket');
    client.send('4after');
    const seen = [polled, await next(client)];
    while (!seen.at(-1)!.includes('after')) seen.push(await next(client));
    expect(seen.filter((text) => text.includes('4before'))).toHaveLength(1);
    const closed = once(socket, 'close');
    client.close();
    await closed;
  });

  it('is closed by the server', async () => {
    const client = webSocket('transport=websocket');
    await next(client);
    const closed = once(client, 'close');
    client.send('4bye');
    await closed;
    const { sid, socket } = await open();
    const over = once(socket, 'close');
    const answer = poll(sid);
    await post(sid, '4bye');
    expect(await (await answer).text()).toBe('1');
    await over;
  });
});
