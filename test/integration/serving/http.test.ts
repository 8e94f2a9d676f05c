import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawClient } from '../../support/clients/raw-client.ts';
import { MODES, type Running, startModule } from '../../support/servers/server.ts';
import { within } from '../../support/tools/deadline.ts';

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: server.test\r\n\r\n`;
}

function head(path: string): string {
  return get(path).replace('GET', 'HEAD');
}

describe.each(MODES)('HTTP routes in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'main-app.js');
  });
  afterAll(() => running.stop());

  const ask = (path: string, init?: RequestInit) => within(fetch(running.http(path), init), 'a response');

  test('routes answer by method and path', async () => {
    expect(await (await ask('/')).text()).toBe('home');
    const created = await ask('/things', { method: 'POST' });
    expect([created.status, created.statusText]).toEqual([201, 'Created']);
    expect(created.headers.get('location')).toBe('/things/1');
    expect(await created.text()).toBe('created');
    expect(await (await ask('/any', { method: 'DELETE' })).text()).toBe('any delete');
    expect(await (await ask('/any')).text()).toBe('any get');
  });

  test('a route of the method goes before one of any method', async () => {
    expect(await (await ask('/specific/x')).text()).toBe('get wins');
    expect(await (await ask('/specific/x', { method: 'PUT' })).text()).toBe('any wins');
  });

  test('parameters and query values reach the handler', async () => {
    const response = await ask('/hello/W%C3%B6rld?greeting=hi%20there');
    expect(await response.text()).toBe('hello W%C3%B6rld, hi there');
    expect(response.headers.get('x-second')).toBe('');
  });

  test('a handler that yields leaves the request to the next route', async () => {
    expect(await (await ask('/yield')).text()).toBe('the next route');
    expect((await ask('/yiel')).status).toBe(404);
  });

  test('what no route takes is answered 404, and the connection goes on', async () => {
    const client = await RawClient.connect(running.port);
    client.write(get('/nowhere') + `POST / HTTP/1.1\r\nHost: server.test\r\n\r\n${get('/')}`);
    expect(await client.response()).toMatchObject({ status: 404, statusText: 'File Not Found' });
    expect(await client.response()).toMatchObject({ status: 404 });
    expect(await client.response()).toMatchObject({ status: 200, body: 'home' });
    client.destroy();
  });

  test('a plain GET of a WebSocket route is a request like any other', async () => {
    expect((await ask('/echo')).status).toBe(404);
  });

  test('bodies of bytes and of text arrive as they were', async () => {
    const response = await ask('/bytes');
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([0, 1, 254, 255]);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('content-length')).toBe('4');
    expect(await (await ask('/large')).text()).toBe('x'.repeat(300_000));
  });

  test('HEAD is answered without a body, with the length one would have', async () => {
    const client = await RawClient.connect(running.port);
    client.write(head('/document') + head('/with-body') + get('/'));
    const [document, withBody] = [
      await client.response({ isHead: true }),
      await client.response({ isHead: true }),
    ];
    expect(document.headers.get('content-length')).toBe('1234');
    expect(withBody.headers.get('content-length')).toBe('14');
    expect(await client.response()).toMatchObject({ status: 200, body: 'home' });
    client.destroy();
  });

  test('responses carry a Date', async () => {
    const date = Date.parse((await ask('/')).headers.get('date') ?? '');
    expect(Math.abs(Date.now() - date)).toBeLessThan(60_000);
  });

  test('a handler may answer after it returned', async () => {
    const response = await ask('/later/20');
    expect([response.status, await response.text()]).toEqual([202, '/later/20 later']);
    expect(await (await ask('/async/x')).text()).toBe('async x');
  });

  test('pipelined requests are answered in order, however long each takes', async () => {
    const client = await RawClient.connect(running.port);
    const paths = Array.from({ length: 64 }, (_, i) => {
      if (i % 16 === 3) return `/later/${20 - (i % 20)}`;
      return i % 3 === 0 ? `/async/${i}` : `/hello/${i}`;
    });
    client.write(paths.map(get).join(''));
    for (const [i, path] of paths.entries()) {
      const { body } = await client.response();
      if (path.startsWith('/later')) expect(body).toBe(`${path} later`);
      else expect(body).toBe(path.startsWith('/async') ? `async ${i}` : `hello ${i}, no greeting`);
    }
    client.destroy();
  });

  test('pipelined requests cut anywhere are answered in order', async () => {
    const stream = ['/hello/a', '/later/1', '/async/b', '/hello/c'].map(get).join('');
    for (let cut = 1; cut < stream.length; cut += 7) {
      const client = await RawClient.connect(running.port);
      client.write(stream.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.write(stream.slice(cut));
      const bodies: string[] = [];
      for (let i = 0; i < 4; i++) bodies.push((await client.response()).body);
      expect(bodies).toEqual(['hello a, no greeting', '/later/1 later', 'async b', 'hello c, no greeting']);
      client.destroy();
    }
  });

  test('a connection is kept for the next request', async () => {
    const client = await RawClient.connect(running.port);
    for (let i = 0; i < 5; i++) {
      client.write(get(`/hello/${i}`));
      expect((await client.response()).body).toBe(`hello ${i}, no greeting`);
    }
    client.destroy();
  });

  test('a connection ends when either side asks for it, and what follows is not answered', async () => {
    const byClient = await RawClient.connect(running.port);
    byClient.write(`GET / HTTP/1.1\r\nHost: server.test\r\nConnection: close\r\n\r\n${get('/')}`);
    const byServer = await RawClient.connect(running.port);
    byServer.write(get('/close') + get('/'));
    for (const client of [byClient, byServer]) {
      const { status, headers } = await client.response();
      expect([status, headers.get('connection')]).toEqual([200, 'close']);
      expect(await client.readToEnd()).toHaveLength(0);
      await client.closed();
    }
  });

  test('what is no HTTP is answered 400, and the connection ends', async () => {
    const client = await RawClient.connect(running.port);
    client.write('HELO server.test\r\n\r\n');
    expect((await client.response()).status).toBe(400);
    expect(await client.readToEnd()).toHaveLength(0);
    client.destroy();
  });
});
