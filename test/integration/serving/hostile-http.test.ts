import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange } from '../../support/clients/http-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { send } from '../../support/servers/http-echo.ts';
import { type Running, startApp } from '../../support/servers/server.ts';

const get = (target: string, method = 'GET'): string => `${method} ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
const chunked = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('hostile HTTP', () => {
  let running: Running;
  let served: string[] = [];
  beforeAll(() => {
    running = startApp((app) => {
      app.get('/url/*', (res, req) => {
        res.end(JSON.stringify([req.getUrl(), req.getQuery(), req.getQuery('a') ?? null]));
      });
      app.get('/param/:one/:two', (res, req) => {
        res.end(JSON.stringify([req.getParameter(0), req.getParameter('two')]));
      });
      app.get('/late/:ms/:name', (res, req) => {
        const name = req.getParameter('name')!;
        served.push(name);
        res.onAborted(() => {});
        setTimeout(() => res.cork(() => res.end(name)), Number(req.getParameter('ms')));
      });
      app.get('/now/:name', (res, req) => {
        served.push(req.getParameter('name')!);
        res.end(req.getParameter('name'));
      });
      app.post('/echo', (res) => {
        res.onAborted(() => {});
        res.collectBody(20 * 1024 * 1024, (body) => res.end(body ?? 'too much'));
      });
      app.options('/*', (res) => {
        res.end('options');
      });
    });
  });
  afterAll(() => running.stop());

  test('ten megabytes of small chunks are a body, with long extensions they are none (H13)', async () => {
    const chunks = Buffer.from('1\r\na\r\n'.repeat(1_700_000));
    const client = await RawClient.connect(running.port);
    client.write(chunked('/echo', ''));
    client.write(chunks);
    client.write('0\r\n\r\n');
    const answer = await client.response();
    expect([answer.status, answer.bytes.length]).toEqual([200, 1_700_000]);
    client.destroy();

    const noisy = Buffer.from(`1;${'e'.repeat(59)}\r\na\r\n`.repeat(150_000));
    const { text } = await send(running.port, [bytes(chunked('/echo', '')), noisy]);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('pipelined requests are answered in order, however many and late (H16)', async () => {
    for (const count of [1, 2, 7, 64]) {
      served = [];
      const paths = Array.from({ length: count }, (_, i) =>
        i % 3 === 0 ? `/late/${(i * 7) % 5}/r${i}` : `/now/r${i}`,
      );
      const answers = await exchange(running.port, [paths.map((path) => get(path)).join('')], count);
      const names = Array.from({ length: count }, (_, i) => `r${i}`);
      expect(answers.map(({ body }) => body)).toEqual(names);
      expect(served).toEqual(names);
    }
  });

  test('requests that wait for a late answer stop the reading, and are all served in the end (H16)', async () => {
    served = [];
    const count = 3000;
    const names = Array.from({ length: count }, (_, i) => `r${i}`);
    const stream = get('/late/50/first') + names.map((name) => get(`/now/${name}`)).join('');
    const answers = await exchange(running.port, [stream], count + 1);
    expect(answers.map(({ body }) => body)).toEqual(['first', ...names]);
    expect(served).toEqual(['first', ...names]);
  });

  test('the body of a late answer is not the next request (H16)', async () => {
    const inner = get('/now/smuggled');
    served = [];
    const stream = `GET /late/20/outer HTTP/1.1\r\nHost: x\r\nContent-Length: ${inner.length}\r\n\r\n${inner}${get('/now/next')}`;
    for (const cut of [stream.length, 70, stream.length - 20]) {
      const answers = await exchange(running.port, [stream.slice(0, cut), stream.slice(cut)], 2);
      expect(answers.map(({ body }) => body)).toEqual(['outer', 'next']);
    }
    expect(served).not.toContain('smuggled');
  });

  test('a peer that waits gets 100 before it sends its body, and the answer behind it (H17)', async () => {
    const client = await RawClient.connect(running.port);
    const expecting = 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n';
    client.write(expecting);
    expect((await client.response()).status).toBe(100);
    client.write(`hello${get('/now/behind')}`);
    expect((await client.response()).body).toBe('hello');
    expect((await client.response()).body).toBe('behind');
    client.destroy();
  });

  test('targets of other forms get what the RFC says, and none of them a tunnel (H34)', async () => {
    const first = async (text: string) => (await exchange(running.port, [text], 1))[0]!;
    expect(await first(get('*', 'OPTIONS'))).toMatchObject({ status: 200, body: 'options' });
    expect(await first(get('http://X/now/a'))).toMatchObject({ status: 200, body: 'a' });
    const trace = await first(`TRACE /now/a HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n`);
    expect(trace.status).toBe(404);
    expect(trace.body).not.toContain('secret');
    for (const target of ['x:80', '/now/a', 'http://x/now/a']) {
      const { text } = await send(
        running.port,
        [bytes(get(target, 'CONNECT')), bytes(get('/now/tunnelled'))],
        300,
      );
      expect(text).toMatch(/^HTTP\/1\.1 40[04] /);
      expect(text).not.toContain('200 Connection');
    }
  });

  test.each([
    ['/url/%00', '/url/%00'],
    ['/url/%0d%0aX:%20y', '/url/%0d%0aX:%20y'],
    ['/url//a', '/url//a'],
    ['/url/../../etc/passwd', '/url/../../etc/passwd'],
    ['/url/%c0%ae%c0%ae/', '/url/%c0%ae%c0%ae/'],
    ['/url/%', '/url/%'],
    ['/url/%zz', '/url/%zz'],
    ['/url/\xff', '/url/\ufffd'],
    ['/url/\xc0\xaf', '/url/\ufffd\ufffd'],
    ['/url/\xe2\x98\x83', '/url/☃'],
  ])('the path %j reaches the handler as it is (H37)', async (target, path) => {
    const [answer] = await exchange(running.port, [get(target)], 1);
    expect(JSON.parse(answer!.body)).toEqual([path, '', null]);
  });

  test('queries are data, whatever they hold (H37)', async () => {
    const query = async (text: string) => {
      const [answer] = await exchange(running.port, [get(`/url/q?${text}`)], 1);
      return (JSON.parse(answer!.body) as unknown[]).slice(1);
    };
    expect(await query('a=1&a=2')).toEqual(['a=1&a=2', '1']);
    expect(await query('a=%0d%0a')).toEqual(['a=%0d%0a', '\r\n']);
    expect(await query('a=%')).toEqual(['a=%', '%']);
    expect(await query('__proto__=1?a=2')).toEqual(['__proto__=1?a=2', null]);
    const many = `${'b&'.repeat(1900)}a=x`;
    expect(await query(many)).toEqual([many, 'x']);
    const [answer] = await exchange(running.port, [get('/param/%2f/b%00')], 1);
    expect(JSON.parse(answer!.body)).toEqual(['%2f', 'b%00']);
  });
});

describe('a response', () => {
  let running: Running;
  const thrown: unknown[] = [];
  const attempt = (run: () => unknown): void => {
    try {
      run();
      thrown.push('nothing');
    } catch (error) {
      thrown.push((error as { code?: string }).code);
    }
  };
  beforeAll(() => {
    running = startApp((app) => {
      app.get('/split', (res) => {
        for (const text of ['a\r\nX: y', 'a\nb', 'a\0b', 'a\rb', 'a\x7fb']) {
          attempt(() => res.writeStatus(`200 ${text}`));
          attempt(() => res.writeHeader('X-Value', text));
          attempt(() => res.writeHeader(text, 'value'));
        }
        attempt(() => res.writeHeader('snow \u2603', 'value'));
        attempt(() => res.writeHeader('Transfer-Encoding', 'gzip'));
        attempt(() => res.writeHeader('', 'empty'));
        // Cut to a byte each, the first two would be CR and LF.
        res.writeHeader('X-Good', 'é\u560d\u560aX-Split: y').end('whole');
      });
      app.ws('/ws', {
        upgrade: (res, req, context) => {
          const key = req.getHeader('sec-websocket-key');
          attempt(() => res.upgrade({}, key, 'a\r\nX: y', '', context));
          res.upgrade({}, key, '', '', context);
        },
      });
    });
  });
  afterAll(() => running.stop());

  test('cannot be split by what a handler writes into it (H36)', async () => {
    const [answer] = await exchange(running.port, [get('/split')], 1);
    expect(answer).toMatchObject({ status: 200, body: 'whole' });
    expect([...answer!.headers.keys()].filter((name) => name.startsWith('x'))).toEqual(['x-good']);
    expect(Buffer.from(answer!.headers.get('x-good')!, 'latin1').toString()).toBe('é\u560d\u560aX-Split: y');
    expect(thrown).toHaveLength(18);
    expect(new Set(thrown)).toEqual(new Set(['MILLRACE_INVALID_ARGUMENT']));
  });

  test('to a handshake cannot be split by its subprotocol (H36)', async () => {
    thrown.length = 0;
    const client = await RawClient.webSocket(running.port, '/ws');
    expect(thrown).toEqual(['MILLRACE_INVALID_ARGUMENT']);
    client.destroy();
  });
});
