import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { handshakeHead } from '../../support/clients/hostile-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { MODES, type Running, startModule } from '../../support/servers/server.ts';

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const old = (path: string, ...lines: string[]) => head(`GET ${path} HTTP/1.0`, ...lines);
const KEEP = 'Connection: keep-alive';

describe.each(MODES)('HTTP/1.0 in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'heads-app.js');
  });
  afterAll(() => running.stop());

  /** All that comes until the server ends the connection. */
  async function whole(...pieces: string[]): Promise<string> {
    const client = await RawClient.connect(running.port);
    for (const piece of pieces) {
      client.write(Buffer.from(piece, 'latin1'));
      if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
    }
    const text = (await client.readToEnd()).toString('latin1');
    client.destroy();
    return text.replaceAll(/Date: [^\r]*\r\n/g, '');
  }

  test.each([
    ['end', 'Content-Length: 4\r\n\r\nbody'],
    ['bytes', 'Content-Length: 4\r\n\r\nbody'],
    ['empty', 'Content-Length: 0\r\n\r\n'],
    ['sized', 'Content-Length: 4\r\n\r\nbody'],
    ['tryEnd', 'Content-Length: 4\r\n\r\nbody'],
    ['later', 'Content-Length: 4\r\n\r\nbody'],
    ['write', '\r\nbody'],
  ])('is answered, and the connection ends behind it: %s', async (way, rest) => {
    const expected = `HTTP/1.1 200 OK\r\nConnection: close\r\n${rest}`;
    expect(await whole(old(`/answer/200/${way}`))).toBe(expected);
    // What is asked behind it is not answered.
    expect(await whole(old(`/answer/200/${way}`) + old('/answer/200/end'))).toBe(expected);
    expect(await whole(old(`/answer/200/${way}`, 'Connection: keep-alive, close'))).toBe(expected);
  });

  test('is answered however it is cut', async () => {
    const text = old('/answer/200/end', 'A: b');
    const expected = await whole(text);
    for (let cut = 1; cut < text.length; cut++) {
      expect(await whole(text.slice(0, cut), text.slice(cut))).toBe(expected);
    }
  });

  test.each(['end', 'bytes', 'sized', 'tryEnd', 'later'])(
    'keeps the connection when it is asked to: %s',
    async (way) => {
      const body = 'Content-Length: 4\r\n\r\nbody';
      const kept = `HTTP/1.1 200 OK\r\n${KEEP}\r\n${body}`;
      const last = `HTTP/1.1 200 OK\r\nConnection: close\r\n${body}`;
      const path = `/answer/200/${way}`;
      expect(await whole(old(path, KEEP) + old(path, KEEP) + old(path))).toBe(kept + kept + last);
    },
  );

  test('has no chunks: a body of unknown length ends with the connection', async () => {
    const expected = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody';
    expect(await whole(old('/answer/200/write', KEEP) + old('/answer/200/end'))).toBe(expected);
    const ofApp = '?headers=Connection:keep-alive|Transfer-Encoding:chunked';
    expect(await whole(old(`/answer/200/write${ofApp}`, KEEP))).toBe(expected);
  });

  test('HEAD, 204 and 304 need no end of the connection', async () => {
    const close = old('/answer/204/end');
    for (const [first, lines] of [
      [head('HEAD /answer/200/write HTTP/1.0', KEEP), `200 OK\r\n${KEEP}`],
      [head('HEAD /answer/200/end HTTP/1.0', KEEP), `200 OK\r\n${KEEP}\r\nContent-Length: 4`],
      [old('/answer/304/write', KEEP), `304 Not Modified\r\n${KEEP}`],
      [old('/answer/204/end', KEEP), `204 No Content\r\n${KEEP}`],
    ] as const) {
      expect(await whole(first + close)).toBe(
        `HTTP/1.1 ${lines}\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n`,
      );
    }
  });

  test("an app's Connection is the only one", async () => {
    const lines = async (value: string, ...fields: string[]) => {
      const request = old(`/answer/200/end?headers=connection:${value}`, ...fields);
      const text = await whole(request + old('/answer/200/end'));
      return text.split('\r\n').filter((line) => /^connection:/i.test(line));
    };
    expect(await lines('x')).toEqual(['connection: x, close']);
    expect(await lines('keep-alive')).toEqual(['connection: close']);
    expect(await lines('x', KEEP)).toEqual(['connection: x, keep-alive', 'Connection: close']);
    expect(await lines('close', KEEP)).toEqual(['connection: close']);
  });

  test('bodies with a length are read, and none is awaited without one', async () => {
    const post = (...lines: string[]) => head('POST /told/ HTTP/1.0', ...lines);
    expect(await whole(`${post('Content-Length: 5')}hello`)).toContain('"body":"hello"');
    expect(await whole(post())).toContain('"body":""');
  });

  test('Expect is ignored: there is no 100', async () => {
    const text = await whole(
      `${head('POST /told/ HTTP/1.0', 'Content-Length: 5', 'Expect: 100-continue')}hello`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).toContain('"body":"hello"');
  });

  test('Transfer-Encoding is refused', async () => {
    const text = await whole(head('POST /told/ HTTP/1.0', KEEP, 'Transfer-Encoding: chunked'), '0\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('what no route takes is answered 404, and goes on when it is asked to', async () => {
    const text = await whole(old('/nowhere', KEEP) + old('/nowhere'));
    expect(text.match(/HTTP\/1\.1 404 File Not Found\r\n/g)).toHaveLength(2);
    expect(text.match(/Connection: [^\r]*/g)).toEqual([KEEP, 'Connection: close']);
  });

  test('an Upgrade is ignored, and refused where there is nothing else', async () => {
    const handshake = (path: string) =>
      handshakeHead(path).toString('latin1').replace(' HTTP/1.1\r\n', ' HTTP/1.0\r\n');
    const refused = await whole(handshake('/ws'));
    expect(refused).toMatch(/^HTTP\/1\.1 400 /);
    expect(refused).toContain('A WebSocket handshake needs HTTP/1.1');
    expect(await whole(handshake('/both'))).toMatch(/^HTTP\/1\.1 200 OK\r\nConnection: close\r\n[^]*plain$/);
  });

  test('other major versions are refused, and higher minor ones are HTTP/1.1', async () => {
    for (const version of ['0.9', '2.0', '9.9']) {
      expect(await whole(head(`GET /answer/200/end HTTP/${version}`, 'Host: x'))).toMatch(/^HTTP\/1\.1 505 /);
    }
    expect(await whole('GET /answer/200/end\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await whole('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    const newer = head('GET /answer/200/write HTTP/1.2', 'Host: x');
    const text = await whole(newer + old('/answer/200/end'));
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\nTransfer-Encoding: chunked\r\n/);
    expect(text.split('HTTP/1.1 200')).toHaveLength(3);
  });
});
