import { type Duplex, Readable } from 'node:stream';
import { getUws, serverFactory, WebSocketStream } from '@geut/fastify-uws';
import plugin from '@geut/fastify-uws/plugin';
import fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../support/clients/clients.ts';

describe('fastify on @geut/fastify-uws', () => {
  const app = fastify({ serverFactory, bodyLimit: 10_000_000 } as never);
  const closed: number[] = [];
  let base = '';

  beforeAll(async () => {
    await app.register(plugin);
    app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => {
      done(null, body);
    });
    app.addHook('onSend', async (_request, reply) => {
      reply.header('x-hook', 'ran');
    });
    app.get<{ Params: { id: string } }>('/users/:id', async (request) => ({
      id: request.params.id,
      query: request.query,
      name: request.headers['x-name'],
    }));
    app.post('/json', async (request, reply) => reply.code(201).send({ got: request.body }));
    app.post('/bytes', (request) => String((request.body as Buffer).length));
    app.get('/stream', (_request, reply) => {
      const pieces = Array.from({ length: 64 }, (_, i) => Buffer.alloc(32_768, i));
      return reply.type('application/octet-stream').send(Readable.from(pieces));
    });
    app.get('/throws', () => {
      throw new Error('on purpose');
    });
    const uws = app as unknown as WithWebSockets;
    uws.route({
      method: 'GET',
      url: '/room',
      handler: () => 'by HTTP',
      uws: { topics: ['room'] },
      uwsHandler(connection: WebSocketConnection) {
        connection.subscribe('room');
        connection.on('message', (message, isBinary) => {
          const text = Buffer.from(message).toString();
          if (text === 'bye') connection.end(4001, 'bye');
          else if (text.startsWith('all ')) connection.publish('room', text.slice(4));
          else connection.send(message, isBinary);
        });
        connection.on('close', (code) => closed.push(code as unknown as number));
        connection.send('welcome');
      },
    });
    uws.get('/duplex', { uws: true }, (connection: WebSocketConnection) => {
      const stream = new WebSocketStream(connection as never) as unknown as Duplex;
      stream.on('data', (data: ArrayBuffer) => {
        stream.write(Buffer.from(Buffer.from(data).toString().toUpperCase()));
      });
    });
    base = await app.listen({ port: 0, host: '127.0.0.1' });
    expect(getUws(app as never)).toBeDefined();
  });
  afterAll(() => app.close());

  it('routes, with parameters, headers, queries and hooks', async () => {
    const response = await fetch(`${base}/users/7?a=1`, { headers: { 'X-Name': 'Ada' } });
    expect(response.headers.get('x-hook')).toBe('ran');
    expect(await response.json()).toEqual({ id: '7', query: { a: '1' }, name: 'Ada' });
    expect((await fetch(`${base}/nothing`)).status).toBe(404);
    const failed = await fetch(`${base}/throws`);
    expect([failed.status, await failed.json()]).toMatchObject([500, { message: 'on purpose' }]);
  });

  it('reads bodies', async () => {
    const value = { list: Array.from({ length: 50_000 }, (_, i) => i), text: 'Grüße' };
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${base}/json`, { method: 'POST', body: JSON.stringify(value), headers });
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ got: value });
    const bytes = { 'content-type': 'application/octet-stream' };
    const upload = await fetch(`${base}/bytes`, {
      method: 'POST',
      body: new Uint8Array(3_000_000),
      headers: bytes,
    });
    expect(await upload.text()).toBe('3000000');
  });

  it('streams', async () => {
    const bytes = new Uint8Array(await (await fetch(`${base}/stream`)).arrayBuffer());
    expect(bytes.length).toBe(64 * 32_768);
    expect(bytes.every((byte, i) => byte === Math.floor(i / 32_768))).toBe(true);
  });

  it('serves HTTP and WebSocket on one route, with topics', async () => {
    expect(await (await fetch(`${base}/room`)).text()).toBe('by HTTP');
    const url = `${base.replace('http', 'ws')}/room`;
    const [a, b] = [await Client.connect(url), await Client.connect(url)];
    expect([await a.next(), await b.next()]).toEqual(['welcome', 'welcome']);
    expect(await a.ask('Grüße')).toBe('Grüße');
    a.send('all hear');
    expect(await b.next()).toBe('hear');
    b.send('bye');
    expect(await b.closed()).toEqual({ code: 4001, reason: 'bye' });
    await a.close();
    await expect.poll(() => closed.length, { interval: 2 }).toBe(2);
  });

  it('makes a stream of a connection', async () => {
    const client = await Client.connect(`${base.replace('http', 'ws')}/duplex`);
    expect(Buffer.from((await client.ask('shout')) as Uint8Array).toString()).toBe('SHOUT');
    await client.close();
  });
});

/** What a handler of the plugin gets. */
interface WebSocketConnection {
  subscribe(topic: string): void;
  publish(topic: string, message: string): void;
  send(message: ArrayBuffer | string, isBinary?: boolean): void;
  end(code: number, reason: string): void;
  on(event: string, listener: (message: ArrayBuffer, isBinary: boolean) => void): void;
}

/** Its typings do not reach what it adds to fastify. */
interface WithWebSockets {
  route(options: object): void;
  get(path: string, options: object, handler: (connection: WebSocketConnection) => void): void;
}
