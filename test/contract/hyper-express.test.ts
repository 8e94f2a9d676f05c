import { Readable, Writable } from 'node:stream';
import { Server } from 'hyper-express';
import { Server as Server6 } from 'hyper-express-6';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../support/clients/clients.ts';

describe.each([
  ['6', Server6 as unknown as typeof Server],
  ['7', Server],
])('hyper-express %s', (_version, AnyServer) => {
  const server = new AnyServer({ max_body_length: 10_000_000 });
  const seen: string[] = [];
  let port = 0;

  beforeAll(async () => {
    server.use((request, _response, next) => {
      seen.push(`${request.method} ${request.path}`);
      next();
    });
    server.get('/hello/:name', (request, response) => {
      response.header('x-greeting', 'yes').send(`Hello ${request.path_parameters['name']}`);
    });
    server.get('/query', (request, response) => {
      response.json(request.query_parameters);
    });
    server.post('/json', async (request, response) => {
      response.status(201).json({ got: (await request.json()) as unknown });
    });
    server.post('/count', (request, response) => {
      let bytes = 0;
      request.pipe(
        new Writable({
          write(chunk: Buffer, _encoding, done) {
            bytes += chunk.length;
            done();
          },
          final(done) {
            response.send(String(bytes));
            done();
          },
        }),
      );
    });
    server.get('/stream', async (_request, response) => {
      const pieces = Array.from({ length: 64 }, (_, i) => Buffer.alloc(32_768, i));
      await response.stream(Readable.from(pieces), 64 * 32_768);
    });
    server.get('/chunked', (_request, response) => {
      Readable.from(['one,', 'two,', 'three'].map((text) => Buffer.from(text))).pipe(response);
    });
    server.get('/redirect', (_request, response) => response.redirect('/hello/you'));
    server.get('/throws', () => {
      throw new Error('on purpose');
    });
    server.set_error_handler((_request, response, error) => {
      response.status(500).send(`caught ${error.message}`);
    });
    server.set_not_found_handler((_request, response) => {
      response.status(404).send('nothing here');
    });
    server.ws('/ws/:room', { idle_timeout: 60 }, (ws) => {
      ws.subscribe('room');
      ws.on('message', (message) => {
        if (message === 'bye') ws.close(4000, 'bye');
        else
          server.publish(
            'room',
            `${String(ws.is_subscribed('room'))} ${Buffer.from(message as string).toString()}`,
          );
      });
    });
    await server.listen(0, '127.0.0.1');
    port = server.port;
  });
  afterAll(() => {
    server.close();
  });

  const url = (path: string): string => `http://127.0.0.1:${port}${path}`;

  it('listens on a port that it knows', () => {
    expect(port).toBeGreaterThan(0);
  });

  it('routes, with parameters, headers and queries', async () => {
    const response = await fetch(url('/hello/Ada'));
    expect([response.status, response.headers.get('x-greeting')]).toEqual([200, 'yes']);
    expect(await response.text()).toBe('Hello Ada');
    expect(await (await fetch(url('/query?a=1&b=%C3%A4'))).json()).toEqual({ a: '1', b: 'ä' });
    expect(seen).toContain('GET /hello/Ada');
  });

  it('reads bodies', async () => {
    const value = { list: Array.from({ length: 5000 }, (_, i) => i), text: 'Grüße' };
    const response = await fetch(url('/json'), { method: 'POST', body: JSON.stringify(value) });
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ got: value });
  });

  it('streams bodies, by length and chunked', async () => {
    const bytes = new Uint8Array(3_000_000);
    expect(await (await fetch(url('/count'), { method: 'POST', body: bytes })).text()).toBe('3000000');
    const body = Readable.toWeb(Readable.from(Array.from({ length: 30 }, () => bytes.subarray(0, 50_000))));
    const init = { method: 'POST', body, duplex: 'half' } as unknown as RequestInit;
    expect(await (await fetch(url('/count'), init)).text()).toBe('1500000');
  });

  it('streams responses, by length and chunked', async () => {
    const bytes = new Uint8Array(await (await fetch(url('/stream'))).arrayBuffer());
    expect(bytes.length).toBe(64 * 32_768);
    expect(bytes.every((byte, i) => byte === Math.floor(i / 32_768))).toBe(true);
    expect(await (await fetch(url('/chunked'))).text()).toBe('one,two,three');
  });

  it('redirects, reports errors and what is not found', async () => {
    expect(await (await fetch(url('/redirect'))).text()).toBe('Hello you');
    const failed = await fetch(url('/throws'));
    expect([failed.status, await failed.text()]).toEqual([500, 'caught on purpose']);
    const missing = await fetch(url('/missing'));
    expect([missing.status, await missing.text()]).toEqual([404, 'nothing here']);
  });

  it('speaks WebSocket, with topics', async () => {
    const base = `ws://127.0.0.1:${port}/ws/1`;
    const [a, b] = [await Client.connect(base), await Client.connect(base)];
    expect(await a.ask('hello')).toBe('true hello');
    expect(await b.next()).toBe('true hello');
    b.send('bye');
    expect(await b.closed()).toEqual({ code: 4000, reason: 'bye' });
    await a.close();
  });
});
