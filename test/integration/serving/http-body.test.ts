import { createHash } from 'node:crypto';
import { request as nodeRequest } from 'node:http';
import { Client } from 'undici';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { chunked, exchange, requestText, sized } from '../../support/clients/http-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { twoWayCuts } from '../../support/protocol/chunked.ts';
import { HOST, MODES, type Running, startApp, startModule } from '../../support/servers/server.ts';
import { sleep, until, within } from '../../support/tools/deadline.ts';
import { pattern } from '../fixtures/bodies-app.js';

const HELLO = requestText('GET', '/hello');

describe.each(MODES)('request bodies in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'bodies-app.js');
  });
  afterAll(() => running.stop());

  const all = (pieces: readonly string[], count: number) => exchange(running.port, pieces, count);
  const bodies = async (pieces: readonly string[], count: number) =>
    (await all(pieces, count)).map(({ body }) => body);

  test.each([
    ['with a length', sized('/echo', 'twelve bytes')],
    ['in chunks', chunked('/echo', ['tw', 'elve', ' bytes'], 'X-Trailer: yes\r\n')],
    ['without bytes', sized('/echo', '')],
    ['in no chunk', chunked('/echo', [])],
  ])('a body %s arrives whole, however it is cut, and the next request behind it', async (_name, text) => {
    const expected = [text.includes('bytes') || text.includes('elve') ? 'twelve bytes' : '', 'hello'];
    const stream = text + HELLO;
    const cuts = mode === 'one thread' ? twoWayCuts(stream.length) : [1, 20, text.length - 3, text.length];
    const wrong: number[] = [];
    await Promise.all(
      cuts.map(async (cut) => {
        const got = await bodies([stream.slice(0, cut), stream.slice(cut)], 2);
        if (got.join('|') !== expected.join('|')) wrong.push(cut);
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('byte by byte', async () => {
    const stream = sized('/echo', 'body one') + chunked('/echo', ['body', ' two']) + HELLO;
    expect(await bodies(Array.from(stream), 3)).toEqual(['body one', 'body two', 'hello']);
  });

  test('requests with and without bodies are answered in order on one connection', async () => {
    const texts: string[] = [];
    const expected: string[] = [];
    const add = (text: string, body: string): void => {
      texts.push(text);
      expected.push(body);
    };
    for (let i = 0; i < 40; i++) {
      add(sized('/echo', `sized ${i}`), `sized ${i}`);
      add(HELLO, 'hello');
      add(chunked('/echo', ['chunked ', String(i)]), `chunked ${i}`);
      add(sized(`/late/${i % 3}`, `late ${i}`), `late ${i}`);
      add(sized('/unread', `unread ${i}`), 'not read');
      add(sized('/unread-later', `unread ${i}`), 'not read');
      add(chunked('/unread', ['unread', String(i)]), 'not read');
    }
    expect(await bodies([texts.join('')], texts.length)).toEqual(expected);
  });

  test('collectBody gives the whole body, or null when it is longer than allowed', async () => {
    expect(await bodies([sized('/collect/5', '12345')], 1)).toEqual(['12345']);
    expect(await bodies([chunked('/collect/5', ['12', '345'])], 1)).toEqual(['12345']);
    const [tooLong] = await all([sized('/collect/5', '123456')], 1);
    expect(tooLong).toMatchObject({ status: 413, body: 'too much' });
    // Announced is enough.
    const [announced] = await all([requestText('POST', '/collect/5', { 'Content-Length': 99_999 }, '1')], 1);
    expect(announced).toMatchObject({ status: 413 });
    const [inChunks, behind] = await all([chunked('/collect/5', ['123', '456']) + HELLO], 2);
    expect(inChunks).toMatchObject({ status: 413 });
    expect(behind).toMatchObject({ body: 'hello' });
    expect(await bodies([requestText('GET', '/collect/5')], 1)).toEqual(['']);
  });

  test('onDataV2 tells how much is to come, 0 with the last piece', async () => {
    expect(await bodies([sized('/remaining', '1234567')], 1)).toEqual(['7+0']);
    const [head, body] = sized('/remaining', '1234567').split('\r\n\r\n');
    const client = await RawClient.connect(running.port);
    client.write(`${head}\r\n\r\n${body!.slice(0, 3)}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
    client.write(body!.slice(3));
    expect((await client.response()).body).toBe('3+4 4+0');
    client.destroy();
    const unknown = String(2n ** 64n - 1n);
    expect(await bodies([chunked('/remaining', ['abc', 'de'])], 1)).toEqual([
      `3+${unknown} 2+${unknown} 0+0`,
    ]);
    expect(await bodies([requestText('GET', '/remaining')], 1)).toEqual(['0+0']);
  });

  test('large bodies arrive with pauses in between, and nobody else waits', async () => {
    const body = pattern(1, 5_000_000);
    const digest = createHash('sha256').update(body).digest('hex');
    const upload = (duplex: 'sized' | 'chunked') =>
      within(
        new Promise<string>((resolve, reject) => {
          const headers = duplex === 'sized' ? { 'Content-Length': body.length } : {};
          const outgoing = nodeRequest(
            { host: HOST, port: running.port, path: '/digest', method: 'POST', headers },
            (incoming) => {
              let text = '';
              incoming.setEncoding('utf8').on('data', (piece: string) => (text += piece));
              incoming.on('end', () => {
                resolve(text);
              });
            },
          ).on('error', reject);
          for (let at = 0; at < body.length; at += 70_001) outgoing.write(body.subarray(at, at + 70_001));
          outgoing.end();
        }),
        'an upload',
      );
    const uploads = Promise.all([upload('sized'), upload('chunked'), upload('sized'), upload('chunked')]);
    expect(await bodies([HELLO], 1)).toEqual(['hello']);
    expect(await uploads).toEqual([digest, digest, digest, digest]);
  });

  test('Expect: 100-continue is answered before the handler', async () => {
    const client = await RawClient.connect(running.port);
    client.write(requestText('POST', '/echo', { 'Content-Length': 5, Expect: '100-continue' }));
    expect(await client.response()).toMatchObject({ status: 100, statusText: 'Continue' });
    client.write(`later${HELLO}`);
    expect((await client.response()).body).toBe('later');
    expect((await client.response()).body).toBe('hello');
    client.destroy();
  });

  test('a short body that nobody reads is forgotten; a long one ends the connection', async () => {
    const short = await RawClient.connect(running.port);
    short.write(requestText('POST', '/unread', { 'Content-Length': 100_000 }));
    expect((await short.response()).headers.has('connection')).toBe(false);
    short.write('x'.repeat(100_000) + HELLO);
    expect((await short.response()).body).toBe('hello');
    short.destroy();

    const long = await RawClient.connect(running.port);
    long.write(requestText('POST', '/unread', { 'Content-Length': 1_000_000_000 }));
    expect((await long.response()).headers.get('connection')).toBe('close');
    expect(await long.readToEnd()).toHaveLength(0);
    long.destroy();

    const endless = await RawClient.connect(running.port);
    endless.write(requestText('POST', '/unread', { 'Transfer-Encoding': 'chunked' }));
    expect((await endless.response()).body).toBe('not read');
    const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`;
    for (let i = 0; i < 16; i++) endless.write(chunk);
    expect(await endless.readToEnd()).toHaveLength(0);
    endless.destroy();
  });

  test.each([
    ['a chunk size that is no number', 'zz\r\n', 400],
    ['a chunk longer than its size', '3\r\nabcdef\r\n', 400],
    ['a bare line feed', '3\nabc\r\n', 400],
    ['trailers that change the request', '0\r\nContent-Length: 5\r\n\r\n', 400],
  ])('%s is answered %i when nothing was sent yet, and what follows is not served', async (_name, body) => {
    const client = await RawClient.connect(running.port);
    client.write(requestText('POST', '/echo', { 'Transfer-Encoding': 'chunked' }, body) + HELLO);
    expect(await client.response()).toMatchObject({ status: 400 });
    expect(await client.readToEnd()).toHaveLength(0);
    client.destroy();
  });

  test('an error in a reader is answered 500', async () => {
    // The shards print it themselves.
    const print = vi.spyOn(console, 'error').mockImplementation(() => {});
    const [response] = await all([sized('/throws', 'x')], 1);
    expect(response).toMatchObject({ status: 500 });
    if (mode === 'one thread') expect(String(print.mock.calls[0])).toContain('threw: Error: in onData\n');
    print.mockRestore();
  });

  test('undici reuses its connection behind every kind of request', async () => {
    const client = new Client(running.http('').replace(/\/$/, ''), { pipelining: 4 });
    const post = async (path: string, body: string | Buffer | null) => {
      const response = await client.request({ path, method: body === null ? 'GET' : 'POST', body });
      return response.body.text();
    };
    let connects = 0;
    client.on('connect', () => connects++);
    const results = await within(
      Promise.all([
        post('/echo', 'one'),
        post('/hello', null),
        post('/late/5', 'two'),
        post('/unread', 'three'),
        post('/collect/10', 'four'),
        post('/chunks/3/2', null),
        post('/stream/sized', null),
        post('/echo', pattern(2, 300_000)),
      ]),
      'the responses',
    );
    expect(results.slice(0, 5)).toEqual(['one', 'hello', 'two', 'not read', 'four']);
    expect(results[6]).toBe('hello wörl');
    expect(connects).toBe(1);
    await client.close();
  });
});

test('a paused reader gets nothing until it resumes, not even what was read already', async () => {
  const seen: string[] = [];
  let resume: () => void = () => {};
  const running = startApp((app) => {
    app.post('/', (res) => {
      res.onAborted(() => {});
      resume = () => {
        res.resume();
      };
      res.onData((chunk, isLast) => {
        seen.push(Buffer.from(chunk).toString());
        if (isLast) res.end(seen.join(''));
        else res.pause();
      });
    });
    app.get('/hello', (res) => void res.end('hello'));
  });
  const client = await RawClient.connect(running.port);
  client.write(chunked('/', ['one ', 'two ', 'three']) + HELLO);
  for (const expected of [['one '], ['one ', 'two '], ['one ', 'two ', 'three']]) {
    await until(() => seen.length === expected.length, 'the next piece');
    await sleep(10);
    expect(seen).toEqual(expected);
    resume();
  }
  await until(() => seen.length === 4, 'the end');
  expect((await client.response()).body).toBe('one two three');
  expect((await client.response()).body).toBe('hello');
  client.destroy();
  await running.stop();
});
