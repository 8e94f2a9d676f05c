import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answers, type EchoServer, send, startEcho } from '../support/servers/http-echo.ts';

/** How long a case waits for what must not come, in ms. */
const WAIT = 500;

const GET = 'GET /hello HTTP/1.1\r\nHost: localhost\r\n';

/** Beginnings of a valid request: the server waits for the rest. */
const LINE = 'GET /hello HTTP/1.1';
const LINE_PREFIXES = `G|GET |GET /hello|GET /hello |GET /hello HTTP|${LINE}|${LINE}\r|${LINE}\r\n`;
const FIELD_PREFIXES =
  'Hos|Host:|Host: |Host: localhost|Host: localhost\r|Host: localhost\r\n|Host: localhost\r\n\r';
const PREFIXES = [
  ...LINE_PREFIXES.split('|'),
  ...FIELD_PREFIXES.split('|').map((rest) => `${LINE}\r\n${rest}`),
];

const post = (fields: string, body: string): string =>
  `POST /hello HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n\r\n${body}`;

const CASES: [name: string, text: string, from: number, to: number, body?: string][] = [
  ['a request line without a version', 'GET / \r\n\r\n', 400, 599],
  ['Expect: 100-continue', `${GET}Expect: 100-continue\r\n\r\n`, 100, 299],
  ['a valid GET', `${GET}\r\n`, 200, 299],
  ['header names in odd cases', 'GET /hello HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n', 200, 299],
  ['a bad header name', `${GET}X-Invalid[]: test\r\n\r\n`, 400, 499],
  ['no Host', 'GET /hello HTTP/1.1\r\n\r\n', 400, 499],
  ['two Hosts', `${GET}Host: localhost\r\n\r\n`, 400, 499],
  ['a length far below zero', post('Content-Length: -123456789123456789123456789', ''), 400, 499],
  ['a length below zero', post('Content-Length: -1234', ''), 400, 499],
  ['an empty header value', `${GET}X-Empty-Header: \r\n\r\n`, 200, 299],
  ['a control in a header value', `${GET}X-Bad: test\x07\r\n\r\n`, 400, 499],
  ['an unknown version', 'GET /hello HTTP/9.9\r\nHost: localhost\r\n\r\n', 400, 599],
  ['text before the request line', 'Extra lineGET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, 599],
  ['a line that ends badly', `${GET}\rSome-Header: Test\r\n\r\n`, 400, 499],
  ['a body with a length', post('Content-Length: 5', 'hello'), 200, 299, 'hello'],
  [
    'a body in chunks',
    post('Transfer-Encoding: chunked', 'c\r\nHellO world1\r\n0\r\n\r\n'),
    200,
    299,
    'HellO world1',
  ],
  [
    'a body with a length and in chunks',
    post('coNtEnt-LenGth: 5\r\ntRanSfer-EnCoding: chunked', 'c\r\nHellO world1\r\n0\r\n\r\n'),
    400,
    499,
  ],
  ['a length that is no number', post('Content-Length: abc', 'hello'), 400, 499],
];

describe('h1spec', () => {
  let server: EchoServer;
  const results = new Map<string, Promise<Answers>>();
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
  // As in h1spec all cases run at a time.
  beforeAll(() => {
    server = startEcho();
    for (const text of [...PREFIXES, ...CASES.map(([, text]) => text)]) {
      results.set(text, send(server.running.port, [bytes(text)], WAIT));
    }
  });
  afterAll(() => server.running.stop());

  it('has 33 cases', () => {
    expect(PREFIXES.length + CASES.length).toBe(33);
  });

  it.each(PREFIXES)('waits for what follows %j', async (text) => {
    expect(await results.get(text)).toEqual({ text: '', hasFin: false, error: '' });
  });

  const named = CASES.map((each) => ({ name: each[0], each }));
  it.each(named)('answers $name', async ({ each: [, text, from, to, body = ''] }) => {
    const { text: answer } = (await results.get(text))!;
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
    expect(status).toBeGreaterThanOrEqual(from);
    expect(status).toBeLessThanOrEqual(to);
    if (body !== '') expect(answer.split('\r\n\r\n')[1]).toBe(body);
  });
});
