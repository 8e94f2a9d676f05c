import type { HttpResponse } from 'millrace';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { exchange, requestText } from '../../support/clients/http-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { MODES, type Running, startApp, startModule } from '../../support/servers/server.ts';
import { tlsMode } from '../../support/tls/tls-mode.ts';
import { sleep, unchanged, until } from '../../support/tools/deadline.ts';
import { pattern } from '../fixtures/bodies-app.js';

const get = (path: string) => requestText('GET', path);
const HELLO = get('/hello');
const MIB = 1024 * 1024;

describe.each(MODES)('streamed responses in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'bodies-app.js');
  });
  afterAll(() => running.stop());

  const all = (text: string, count: number) => exchange(running.port, [text], count);

  test('write sends chunks, or the body as it is behind a Content-Length', async () => {
    const [chunks, sized, behind] = await all(get('/stream/chunks') + get('/stream/sized') + HELLO, 3);
    expect(chunks).toMatchObject({ status: 200, body: 'hello wörl!' });
    expect(chunks!.headers.get('transfer-encoding')).toBe('chunked');
    expect(chunks!.headers.has('content-length')).toBe(false);
    expect(sized).toMatchObject({ body: 'hello wörl' });
    expect(sized!.headers.get('content-length')).toBe('11');
    expect(sized!.headers.has('transfer-encoding')).toBe(false);
    expect(behind).toMatchObject({ body: 'hello' });
  });

  test('a streamed answer to HEAD is its head alone', async () => {
    const client = await RawClient.connect(running.port);
    client.write(requestText('HEAD', '/stream/chunks') + requestText('HEAD', '/stream/sized') + HELLO);
    const chunks = await client.response({ isHead: true });
    expect(chunks.headers.get('transfer-encoding')).toBe('chunked');
    expect((await client.response({ isHead: true })).headers.get('content-length')).toBe('11');
    expect((await client.response()).body).toBe('hello');
    client.destroy();
  });

  test('204 and 304 have no body', async () => {
    const [empty, same, behind] = await all(get('/no-content') + get('/not-modified') + HELLO, 3);
    expect(empty).toMatchObject({ status: 204 });
    expect(empty!.headers.has('content-length')).toBe(false);
    expect(same).toMatchObject({ status: 304 });
    expect(same!.headers.get('content-length')).toBe('77');
    expect(behind).toMatchObject({ body: 'hello' });
  });

  test.each(['/at-once/', '/file/', '/pieces/'])('%s sends every size whole', async (path) => {
    const seed = path === '/file/' ? 7 : path === '/pieces/' ? 9 : 3;
    for (const size of [1, 65_000, 65_536, 65_537, 200_000, 3 * MIB + 1]) {
      const [response, behind] = await all(get(path + size) + HELLO, 2);
      expect(response!.headers.get('content-length')).toBe(String(size));
      expect(response!.bytes.equals(pattern(seed, size)), String(size)).toBe(true);
      expect(behind!.body).toBe('hello');
    }
  });

  test('chunks that wait for a slow reader arrive whole and in order', async () => {
    const client = await RawClient.connect(running.port);
    const stop = client.readSlowly(1);
    client.write(get('/chunks/300/50000') + HELLO);
    const { bytes } = await client.response();
    const expected = Buffer.concat(Array.from({ length: 300 }, (_, i) => pattern(i, 50_000)));
    expect(bytes.equals(expected)).toBe(true);
    expect((await client.response()).body).toBe('hello');
    stop();
    client.destroy();
  });

  test('an error behind the start of a response cuts the connection', async () => {
    const print = vi.spyOn(console, 'error').mockImplementation(() => {});
    const client = await RawClient.connect(running.port);
    client.write(get('/begun') + HELLO);
    expect((await client.readToEnd()).includes('HTTP/1.1 500')).toBe(false);
    client.destroy();
    print.mockRestore();
  });

  test('1,000 requests on one connection', async () => {
    const paths = ['/hello', '/stream/chunks', '/stream/sized', '/at-once/100', '/file/100', '/no-content'];
    const texts = Array.from({ length: 1000 }, (_, i) => get(paths[i % paths.length]!));
    const responses = await all(texts.join(''), 1000);
    expect(responses.filter(({ body }) => body === 'hello')).toHaveLength(167);
    expect(responses.filter(({ status }) => status === 204)).toHaveLength(166);
  });
});

describe('a peer that does not read', () => {
  test('tryEnd takes little more than the kernel does, and goes on when it reads', async () => {
    const size = 64 * MIB;
    const file = pattern(7, size);
    let response: HttpResponse | null = null;
    let calls = 0;
    const blocked: unknown[] = [];
    const running = startApp((app) => {
      app.get('/', (res) => {
        response = res;
        res.onAborted(() => {});
        const [ok, isDone] = res.tryEnd(file, size);
        expect([ok, isDone]).toEqual([false, false]);
        // A call takes so much at most. Once the kernel takes no more, nothing is queued instead.
        for (let taken = -1; taken !== res.getWriteOffset(); ) {
          taken = res.getWriteOffset();
          const result = res.tryEnd(file.subarray(taken), size);
          blocked.splice(0, 2, result, res.getWriteOffset() - taken);
        }
        res.onWritable((offset) => {
          calls++;
          expect(offset).toBe(res.getWriteOffset());
          return res.tryEnd(file.subarray(offset), size)[0];
        });
      });
    });
    const client = await RawClient.connect(running.port);
    client.pause();
    client.write(get('/'));
    await until(() => response !== null, 'the request came');
    expect(blocked).toEqual([[false, false], 0]);
    // What the kernels of both ends take, after which nothing moves.
    expect(await unchanged(() => response!.getWriteOffset(), 'nothing moves')).toBeLessThan(16 * MIB);
    client.resume();
    const { bytes } = await client.response();
    expect(bytes.equals(file)).toBe(true);
    expect(calls).toBeGreaterThan(0);
    expect(() => response!.getWriteOffset()).toThrow(
      expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' }),
    );
    client.destroy();
    await running.stop();
  });

  test('is told to the handler when it leaves in the middle', async () => {
    const events: string[] = [];
    const running = startApp((app) => {
      app.get('/', (res) => {
        res.onAborted(() => events.push('aborted'));
        events.push(String(res.tryEnd(new Uint8Array(64 * MIB), 64 * MIB)[1]));
        res.onWritable(() => false);
      });
    });
    const client = await RawClient.connect(running.port);
    client.pause();
    client.write(get('/'));
    await until(() => events.length > 0, 'the request came');
    client.reset();
    await until(() => events.length > 1, 'the handler was told');
    expect(events).toEqual(['false', 'aborted']);
    await running.stop();
  });

  test('gets no further request answered, so that nothing piles up', async () => {
    let answered = 0;
    const running = startApp((app) => {
      app.get('/', (res) => {
        answered++;
        res.end(new Uint8Array(MIB));
      });
    });
    const client = await RawClient.connect(running.port);
    client.pause();
    client.write(get('/').repeat(300));
    expect(await unchanged(() => answered, 'no more is answered')).toBeLessThan(20);
    client.resume();
    for (let i = 0; i < 300; i++) expect((await client.response()).bytes).toHaveLength(MIB);
    expect(answered).toBe(300);
    client.destroy();
    await running.stop();
  });

  test('that makes headway is left alone, however long it takes', async () => {
    // TLS comes in pieces a quarter as large.
    const size = (tlsMode.isOn ? 10 : 32) * MIB;
    const running = startApp(
      (app) => {
        app.get('/', (res) => {
          res.end(new Uint8Array(size));
        });
      },
      { writeTimeout: 2 },
    );
    const client = await RawClient.connect(running.port);
    client.write(requestText('GET', '/', { Connection: 'close' }));
    const stop = client.readSlowly(10);
    expect((await client.response()).bytes).toHaveLength(size);
    stop();
    client.destroy();
    await running.stop();
  });

  test('is cut off after writeTimeout', async () => {
    const aborted: string[] = [];
    const running = startApp(
      (app) => {
        app.get('/open', (res) => {
          res.onAborted(() => aborted.push('open'));
          res.write(new Uint8Array(64 * MIB));
        });
        app.get('/ended', (res) => {
          res.end(new Uint8Array(64 * MIB));
        });
      },
      { writeTimeout: 1, handshakeTimeout: 1 },
    );
    const clients = await Promise.all(
      ['/open', '/ended'].map(async (path) => {
        const client = await RawClient.connect(running.port);
        client.pause();
        client.write(get(path));
        return client;
      }),
    );
    await until(() => aborted.length > 0, 'the open response was aborted');
    for (const client of clients) {
      client.resume();
      await client.closed();
    }
    await running.stop();
  });
});

describe('deadlines of bodies', () => {
  test('a body that comes in drops is answered 408, an upload that makes headway is not', async () => {
    const aborted: string[] = [];
    const running = startApp(
      (app) => {
        app.post('/:how', (res, req) => {
          const how = req.getParameter('how')!;
          res.onAborted(() => aborted.push(how));
          res.onData((_chunk, isLast) => {
            if (isLast) res.end(how);
          });
          if (how === 'paused') {
            res.pause();
            setTimeout(() => {
              res.resume();
            }, 8000);
          }
        });
      },
      { bodyTimeout: 1 },
    );
    const post = async (how: string, size: number): Promise<RawClient> => {
      const client = await RawClient.connect(running.port);
      client.write(requestText('POST', `/${how}`, { 'Content-Length': size }));
      return client;
    };
    const slow = await post('slow', 1000);
    const steady = await post('steady', 32 * 20_000);
    const paused = await post('paused', 10);
    paused.write('0123456789');
    let count = 0;
    const drip = setInterval(() => {
      slow.write('x');
      if (count++ < 32) steady.write('y'.repeat(20_000));
    }, 300);
    expect(await slow.response()).toMatchObject({ status: 408 });
    expect(aborted).toEqual(['slow']);
    expect((await steady.response()).body).toBe('steady');
    expect((await paused.response()).body).toBe('paused');
    clearInterval(drip);
    for (const client of [slow, steady, paused]) client.destroy();
    await running.stop();
  });

  test('an upload that is broken off is told to the handler once', async () => {
    const events: string[] = [];
    const running = startApp((app) => {
      app.post('/', (res) => {
        res.onAborted(() => events.push('aborted'));
        res.onData((chunk, isLast) => events.push(`${chunk.byteLength} ${isLast}`));
      });
    });
    for (const leave of ['end', 'reset'] as const) {
      const client = await RawClient.connect(running.port);
      client.write(requestText('POST', '/', { 'Content-Length': 100 }, 'abc'));
      await until(() => events.length === 1, 'the first piece came');
      client[leave]();
      await until(() => events.length === 2, 'the handler was told');
      await sleep(20);
      expect(events.splice(0)).toEqual(['3 false', 'aborted']);
      client.destroy();
    }
    await running.stop();
  });
});

test('memory does not grow with uploads that wait for a paused reader', async () => {
  const running = startApp((app) => {
    app.post('/', (res) => {
      res.onAborted(() => {});
      res.onData(() => {});
      res.pause();
    });
  });
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(running.port)));
  for (const client of clients) {
    client.write(requestText('POST', '/', { 'Content-Length': 100 * MIB }));
    const { socket } = client;
    const more = (): void => {
      while (socket.write(new Uint8Array(MIB)));
    };
    socket.on('drain', more);
    more();
  }
  const received = (): number => running.app!.stats().bytesIn;
  await until(() => received() > clients.length * 1024, 'all bodies have begun');
  // What waits behind a request, and one read; the rest is in the kernel and in the clients.
  const most = await unchanged(received, 'no more is read', 500);
  expect(most).toBeLessThan(clients.length * (MIB / 2));
  for (const client of clients) client.destroy();
  await running.stop();
});
