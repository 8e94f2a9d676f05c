import { afterEach, describe, expect, test } from 'vitest';
import { exchange, requestText, sized } from '../../support/clients/http-client.ts';
import { type Running, startApp } from '../../support/servers/server.ts';

let running: Running;
afterEach(() => running.stop());

/** Answers with what it was asked. */
function startMirror(): void {
  running = startApp((app) => {
    app.any('/*', (res, req) => {
      const lines = [`${req.getCaseSensitiveMethod()} ${req.getUrl()} ${req.getQuery()}`];
      req.forEach((key, value) => lines.push(`${key}=${value}`));
      const seen = lines.join(';');
      if (req.getMethod() === 'get') res.end(seen);
      else {
        res.onAborted(() => {});
        res.collectBody(100, (body) => res.end(`${seen};${Buffer.from(body!).toString('latin1')}`));
      }
    });
  });
}

const get = (path: string, headers: Record<string, string> = {}) => requestText('GET', path, headers);

describe('requests that are the same or nearly the same', () => {
  test('are each answered for what they are, on one connection and one by one', async () => {
    startMirror();
    const texts = [
      ...['/', '/', '/', '/?', '/?a', '/?b', '/a', '/', '/'].map((path) => get(path)),
      ...['1', '1', '2'].map((a) => get('/', { A: a })),
      get('/', { a: '2' }),
      get('/'),
    ];
    const inOneGo = await exchange(running.port, [texts.join('')], texts.length);
    const oneByOne = await exchange(running.port, texts, texts.length);
    const bodies = [
      ...['/ ', '/ ', '/ ', '/ ', '/ a', '/ b', '/a ', '/ ', '/ '].map(
        (url) => `GET ${url};host=server.test`,
      ),
      ...['1', '1', '2', '2'].map((a) => `GET / ;host=server.test;a=${a}`),
      'GET / ;host=server.test',
    ];
    expect(inOneGo.map(({ body }) => body)).toEqual(bodies);
    expect(oneByOne.map(({ body }) => body)).toEqual(bodies);
  });

  test('have each a body of their own', async () => {
    startMirror();
    const texts = ['one', 'two', 'six', '', 'four', 'five', 'one'].map((body) => sized('/x', body));
    const responses = await exchange(running.port, [texts.join('')], texts.length);
    expect(responses.map(({ body }) => body.slice(body.lastIndexOf(';') + 1))).toEqual([
      'one',
      'two',
      'six',
      '',
      'four',
      'five',
      'one',
    ]);
  });

  test('of many connections at once are not mixed up', async () => {
    startMirror();
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const text = get(`/${i % 7}`, { 'X-I': String(i % 3) });
        const responses = await exchange(running.port, [text.repeat(3), text.slice(0, 9), text.slice(9)], 4);
        return responses.map(({ body }) => body);
      }),
    );
    for (const [i, bodies] of answers.entries()) {
      expect(new Set(bodies)).toEqual(new Set([`GET /${i % 7} ;host=server.test;x-i=${i % 3}`]));
    }
  });

  test('a last one that asks for the end of the connection gets it', async () => {
    startMirror();
    const [first, , last] = await exchange(
      running.port,
      [get('/') + get('/') + get('/', { Connection: 'close' })],
      3,
    );
    expect(first!.headers.has('connection')).toBe(false);
    expect(last!.headers.get('connection')).toBe('close');
  });
});

describe('bodies that are the same or nearly the same', () => {
  const short = ['a', 'a', 'a', 'b', 'a', '', '', '', 'ab', 'ab', 'é', 'é', 'e', 'a', '\0', '\x7f', 'a'];
  const long = ['x'.repeat(64), 'x'.repeat(64), 'x'.repeat(65), 'y'.repeat(64), 'x'.repeat(64)];
  const BODIES = [...short, ...long, ...short, 'z'.repeat(9000), ...short];

  test('are sent as they are, with their own length', async () => {
    let next = 0;
    running = startApp((app) => {
      app.get('/', (res) => {
        res.end(BODIES[next++ % BODIES.length]);
      });
    });
    for (const pieces of [[get('/').repeat(BODIES.length)], BODIES.map(() => get('/'))]) {
      const responses = await exchange(running.port, pieces, BODIES.length);
      expect(responses.map(({ body }) => body)).toEqual(BODIES);
      expect(responses.map(({ headers }) => headers.get('content-length'))).toEqual(
        BODIES.map((body) => String(Buffer.byteLength(body))),
      );
    }
  });

  test('come with the date of their own second', async () => {
    running = startApp((app) => {
      app.get('/', (res) => {
        res.end('same');
      });
    });
    const dates: number[] = [];
    for (const end = Date.now() + 2100; Date.now() < end; ) {
      const before = Math.floor(Date.now() / 1000) * 1000;
      const [response] = await exchange(running.port, [get('/')], 1);
      const date = Date.parse(response!.headers.get('date')!);
      // The timer that turns the date may be late on a busy machine.
      expect(date).toBeGreaterThanOrEqual(before - 5000);
      expect(date).toBeLessThanOrEqual(Date.now());
      dates.push(date);
    }
    expect(dates).toEqual([...dates].sort((a, b) => a - b));
    expect(new Set(dates).size).toBeGreaterThanOrEqual(2);
  });
});
