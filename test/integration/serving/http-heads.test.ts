import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange, requestText } from '../../support/clients/http-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { MODES, type Running, startModule } from '../../support/servers/server.ts';

const get = (path: string) => requestText('GET', path);
const closing = requestText('GET', '/answer/200/end', { Connection: 'close' });
const query = (headers: string) => `?headers=${encodeURIComponent(headers)}`;

describe.each(MODES)('heads in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'heads-app.js');
  });
  afterAll(() => running.stop());

  /** All that comes for these requests and one that closes, and the lines of the first head. */
  async function answered(...requests: string[]): Promise<{ text: string; lines: string[] }> {
    const client = await RawClient.connect(running.port);
    client.write(Buffer.from(requests.join('') + closing, 'latin1'));
    const text = (await client.readToEnd()).toString('latin1');
    client.destroy();
    return { text, lines: text.split('\r\n\r\n')[0]!.split('\r\n') };
  }
  const named = (lines: string[], name: string) =>
    lines.filter((line) => line.toLowerCase().startsWith(`${name}:`));
  /** The framing of an answer, and what of its body was sent. */
  async function framing(method: string, status: string, way: string, headers = ''): Promise<string> {
    const path = `/answer/${status}/${way}${query(headers)}`;
    const { text, lines } = await answered(requestText(method, path));
    const fields = [...named(lines, 'content-length'), ...named(lines, 'transfer-encoding')];
    const rest = text.slice(lines.join('\r\n').length + 4);
    const next = rest.indexOf('HTTP/1.1 200 OK\r\n');
    return [...fields, next < 0 ? `${rest} and the end` : rest.slice(0, next)].join('; ');
  }

  test.each([
    ['end', ''],
    ['empty', ''],
    ['write', ''],
    ['tryEnd', ''],
    ['tryEndEmpty', ''],
    ['without', ''],
    ['without0', ''],
    ['later', ''],
  ])('204 and 304 announce nothing: %s', async (way, expected) => {
    expect(await framing('GET', '204', way)).toBe(expected);
    expect(await framing('GET', '304', way)).toBe(expected);
    expect(await framing('HEAD', '304', way)).toBe(expected);
  });

  test('a declarative response is framed alike', async () => {
    const declared = async (method: string, status: string) => {
      const { text, lines } = await answered(requestText(method, `/declared/${status}`));
      expect(lines.map((line) => Buffer.from(line, 'latin1').toString())).toContain('X: ☃');
      const rest = text.slice(lines.join('\r\n').length + 4);
      return [...named(lines, 'content-length'), rest.slice(0, rest.indexOf('HTTP/1.1 '))].join('; ');
    };
    expect(await declared('GET', '200')).toBe('Content-Length: 4; body');
    expect(await declared('HEAD', '200')).toBe('Content-Length: 4; ');
    expect(await declared('GET', '204')).toBe('');
    expect(await declared('GET', '205')).toBe('Content-Length: 0; ');
    expect(await declared('GET', '304')).toBe('');
  });

  test('304 announces what it is told to', async () => {
    expect(await framing('GET', '304', 'without4')).toBe('Content-Length: 4; ');
    expect(await framing('GET', '304', 'end', 'Content-Length:4')).toBe('Content-Length: 4; ');
    expect(await framing('GET', '204', 'without4')).toBe('');
    expect(await framing('GET', '204', 'end', 'Content-Length:4')).toBe('');
  });

  test.each(['end', 'empty', 'write', 'sized', 'tryEnd', 'without', 'without4', 'later'])(
    '205 is empty, and says so: %s',
    async (way) => {
      expect(await framing('GET', '205', way)).toBe('Content-Length: 0; ');
    },
  );

  test.each([
    ['end', 'Content-Length: 4; '],
    ['bytes', 'Content-Length: 4; '],
    ['tryEnd', 'Content-Length: 4; '],
    ['sized', 'Content-Length: 4; '],
    ['without4', 'Content-Length: 4; '],
    ['write', 'Transfer-Encoding: chunked; '],
    ['empty', ''],
    ['tryEndEmpty', ''],
    ['without', ''],
  ])('HEAD announces what GET would, and nothing where that is not known: %s', async (way, expected) => {
    expect(await framing('HEAD', '200', way)).toBe(expected);
  });

  test.each([
    ['end', 'Content-Length: 4; body'],
    ['empty', 'Content-Length: 0; '],
    ['without', 'Content-Length: 0; '],
    ['write', 'Transfer-Encoding: chunked; 2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n'],
  ])('200 and 404 are framed: %s', async (way, expected) => {
    expect(await framing('GET', '200', way)).toBe(expected);
    expect(await framing('GET', '404', way)).toBe(expected);
  });

  test('2xx to CONNECT has no length, and the connection ends behind it', async () => {
    expect(await framing('CONNECT', '200', 'end')).toBe('body and the end');
    expect(await framing('CONNECT', '200', 'sized')).toBe('body and the end');
    expect(await framing('CONNECT', '200', 'write')).toBe('body and the end');
    expect(await framing('CONNECT', '404', 'end')).toBe('Content-Length: 4; body');
  });

  test.each([
    ['connection:Upgrade', ['connection: Upgrade'], true],
    ['CONNECTION:keep-alive', ['CONNECTION: keep-alive'], true],
    ['Connection:x|connection:y', ['Connection: x, y'], true],
    ['cOnnection:CLOSE', ['cOnnection: CLOSE'], false],
  ])("an app's %s is the only Connection", async (headers, expected, goesOn) => {
    for (const way of ['end', 'write', 'tryEnd', 'later']) {
      const { text, lines } = await answered(get(`/answer/200/${way}${query(headers)}`));
      expect(named(lines, 'connection')).toEqual(expected);
      expect(text.split('HTTP/1.1 200').length).toBe(goesOn ? 3 : 2);
    }
  });

  test("an app's Connection is true where the connection ends", async () => {
    const headers = query('Connection:keep-alive, Upgrade');
    const request = requestText('GET', `/answer/200/end${headers}`, { Connection: 'close' });
    expect(named((await answered(request)).lines, 'connection')).toEqual(['Connection: Upgrade, close']);
  });

  test('Date and Content-Length come once, and chunked where it is so', async () => {
    const headers = query('date:a|Date:b|transfer-encoding:chunked');
    const { lines, text } = await answered(get(`/answer/200/end${headers}`));
    expect([...named(lines, 'date'), ...named(lines, 'transfer-encoding')]).toEqual(['date: a']);
    expect(named(lines, 'content-length')).toEqual(['Content-Length: 4']);
    expect(text).toContain('\r\n\r\nbodyHTTP/1.1 200');
    const streamed = await answered(get(`/answer/200/write${headers}`));
    expect(named(streamed.lines, 'transfer-encoding')).toEqual(['Transfer-Encoding: chunked']);
    const sized = await answered(get(`/answer/200/end${query('CONTENT-LENGTH:4')}`));
    expect(named(sized.lines, 'content-length')).toEqual(['CONTENT-LENGTH: 4']);
  });

  const told = async (...requests: (string | Buffer)[]) => {
    const texts = requests.map((request) => Buffer.from(request).toString('latin1'));
    const [answer] = await exchange(running.port, texts, 1);
    return JSON.parse(answer!.body) as Record<string, unknown>;
  };

  test('paths, queries and header values are UTF-8, also where a piece ends in a character', async () => {
    const request = Buffer.from('GET /told/é☃😀?q=ü%20☃ HTTP/1.1\r\nHost: x\r\nX: é☃😀\r\n\r\n');
    const expected = {
      url: '/told/é☃😀',
      q: 'ü ☃',
      headers: [
        ['host', 'x'],
        ['x', 'é☃😀'],
      ],
    };
    expect(await told(request)).toMatchObject(expected);
    for (let cut = 10; cut < 22; cut++) {
      expect(await told(request.subarray(0, cut), request.subarray(cut))).toMatchObject(expected);
    }
    const [snow] = await exchange(running.port, [Buffer.from(get('/snow/☃')).toString('latin1')], 1);
    expect(snow!.body).toBe('snow');
  });

  test('bytes that are no UTF-8 become U+FFFD', async () => {
    const request = Buffer.from(
      'GET /told/\xff\xe2\x98?q=%ff\xc0 HTTP/1.1\r\nHost: x\r\nX: a\xffb\r\n\r\n',
      'latin1',
    );
    const { url, q, headers } = await told(request);
    expect([url, q]).toEqual(['/told/\ufffd\ufffd', '\ufffd\ufffd']);
    expect(headers).toContainEqual(['x', 'a\ufffdb']);
  });

  test('header values are sent as UTF-8, and no character becomes a line end', async () => {
    const headers = query('X-Snow:é☃😀|X-Ends:a\u560d\u560aX-Split: b');
    for (const way of ['end', 'bytes', 'write', 'tryEnd', 'later']) {
      const { text, lines } = await answered(get(`/answer/200/${way}${headers}`));
      const decoded = lines.map((line) => Buffer.from(line, 'latin1').toString());
      expect(decoded).toContain('X-Snow: é☃😀');
      expect(decoded).toContain('X-Ends: a\u560d\u560aX-Split: b');
      expect(named(lines, 'x-split')).toEqual([]);
      expect(text.split('HTTP/1.1 200')).toHaveLength(3);
    }
  });

  test('lines of Cookie are joined by semicolons, others by commas', async () => {
    const lines = 'Host: x\r\nCookie: a=1\r\nX: 1\r\ncookie: b=2; c=3\r\nX: 2\r\n';
    expect(await told(`GET /told/ HTTP/1.1\r\n${lines}\r\n`)).toMatchObject({ cookie: 'a=1; b=2; c=3' });
  });

  test('Expect without members expects nothing', async () => {
    const post = (expect: string) =>
      `POST /told/ HTTP/1.1\r\nHost: x\r\nExpect: ${expect}\r\nContent-Length: 1\r\n\r\nx`;
    for (const value of ['', ',', ' ,, ']) expect(await told(post(value))).toMatchObject({ body: 'x' });
    const [answer] = await exchange(running.port, [post(', 100-continue,')], 1);
    expect(answer!.status).toBe(100);
    const [refused] = await exchange(running.port, [post('100-continue, x')], 1);
    expect(refused!.status).toBe(417);
  });
});
