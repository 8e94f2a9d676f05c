import { describe, expect, it } from 'vitest';
import { StringCache } from '../../../src/http/latin1.ts';
import { ParseStatus, RequestParser } from '../../../src/http/request-parser.ts';
import {
  feedByteByByte,
  feedPieces,
  feedPiecesTo,
  feedSplitAt,
  feedWhole,
  latin1,
  textOf,
} from './feed-head.ts';

const { INCOMPLETE, COMPLETE } = ParseStatus;

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const get = (...lines: string[]) => head('GET /hello HTTP/1.1', 'Host: localhost', ...lines);
const post = (...lines: string[]) => head('POST /hello HTTP/1.1', 'Host: localhost', ...lines);

/** The verdict must not depend on where the bytes were cut. */
function outcomeOf(text: string) {
  const whole = feedWhole(text);
  expect(feedByteByByte(text)).toEqual(whole);
  for (let cut = 0; cut <= text.length; cut++) expect(feedSplitAt(text, cut)).toEqual(whole);
  return whole;
}

const statusOf = (text: string) => outcomeOf(text).status;

function headOf(text: string) {
  const outcome = outcomeOf(text);
  expect(outcome.reason).toBe('');
  expect(outcome.status).toBe(COMPLETE);
  return outcome.head!;
}

describe('the 33 cases of h1spec', () => {
  const line = 'GET /hello HTTP/1.1';
  const prefixes = [
    'G',
    'GET ',
    'GET /hello',
    'GET /hello ',
    'GET /hello HTTP',
    line,
    `${line}\r`,
    `${line}\r\n`,
    `${line}\r\nHos`,
    `${line}\r\nHost:`,
    `${line}\r\nHost: `,
    `${line}\r\nHost: localhost`,
    `${line}\r\nHost: localhost\r`,
    `${line}\r\nHost: localhost\r\n`,
    `${line}\r\nHost: localhost\r\n\r`,
  ];

  it('has 15 prefixes of one valid head', () => {
    expect(new Set(prefixes).size).toBe(15);
    for (const prefix of prefixes) expect(get().startsWith(prefix)).toBe(true);
  });

  it.each(prefixes)('waits after %j', (prefix) => {
    expect(statusOf(prefix)).toBe(INCOMPLETE);
  });

  it.each([
    ['a request line without a version', 'GET / \r\n\r\n', 400],
    ['a header name with brackets', get('X-Invalid[]: test'), 400],
    ['no Host', head('GET / HTTP/1.1'), 400],
    ['two Hosts', get('Host: localhost'), 400],
    ['a huge negative Content-Length', get('Content-Length: -123456789123456789123456789'), 400],
    ['a negative Content-Length', get('Content-Length: -1234'), 400],
    ['a control character in a value', get('X-Bad: te\x07st'), 400],
    ['version 9.9', head('GET / HTTP/9.9', 'Host: localhost'), 505],
    ['text before the request line', `Extra line${get()}`, 400],
    ['a line that ends in CR LF CR', 'GET / HTTP/1.1\r\nHost: localhost\r\n\rSome-Header: Test\r\n\r\n', 400],
    ['Content-Length and Transfer-Encoding', post('coNtEnt-lenGth: 5', 'TRANSFER-encoding: chunkeD'), 400],
    ['a Content-Length of letters', post('Content-Length: abc'), 400],
  ])('refuses %s', (_name, text, status) => {
    expect(statusOf(text)).toBe(status);
  });

  it.each([
    ['an expectation', get('Expect: 100-continue')],
    ['a plain GET', get()],
    [
      'a header name in mixed case, a tab before its value, and a value that is missing',
      head('GET / HTTP/1.1', 'hoSt:\texample.com', 'empty:'),
    ],
    ['an empty value', get('X-Empty-Header: ')],
    ['a POST with a length', `${post('Content-Length: 5')}hello`],
    ['a chunked POST', `${post('Transfer-Encoding: chunked')}c\r\nHellO world1\r\n0\r\n\r\n`],
  ])('accepts %s', (_name, text) => {
    expect(statusOf(text)).toBe(COMPLETE);
  });
});

describe('the parts of a head', () => {
  it('gives method, target, path, query and headers', () => {
    const text = head(
      'PATCH /a/b%20c?x=1&y=?2 HTTP/1.1',
      'Host: example.com:8080',
      'X-A: \t one  two\t ',
      'x-a:three',
    );
    expect(headOf(text)).toEqual({
      method: 'PATCH',
      minorVersion: 1,
      target: '/a/b%20c?x=1&y=?2',
      path: '/a/b%20c',
      query: 'x=1&y=?2',
      headers: [
        ['host', 'example.com:8080'],
        ['x-a', 'one  two'],
        ['x-a', 'three'],
      ],
      contentLength: -1,
      chunked: false,
      hasBody: false,
      keepAlive: true,
      expectContinue: false,
      raw: text,
      consumed: text.length,
    });
  });

  it('finds headers by lower-case name, joins repeated ones and gives an empty string for the rest', () => {
    const parser = new RequestParser();
    const bytes = latin1(get('Accept: a', 'X_Y: 1', 'ACCEPT: b', 'accept: c', 'Empty:'));
    expect(parser.feed(bytes, 0, bytes.length)).toBe(COMPLETE);
    expect(parser.head.header('accept')).toBe('a, b, c');
    expect(parser.head.headerCount('accept')).toBe(3);
    expect(parser.head.header('x_y')).toBe('1');
    expect(parser.head.header('empty')).toBe('');
    expect(parser.head.headerCount('empty')).toBe(1);
    expect(parser.head.header('accep')).toBe('');
    expect(parser.head.headerCount('missing')).toBe(0);
    expect(parser.head.header('Accept')).toBe('');
    expect(parser.head.size).toBe(6);
  });

  it('does not take a byte that differs by 0x20 for the same character of a name', () => {
    const parser = new RequestParser();
    const bytes = latin1(get('a^b: 1', 'a~b: 2'));
    parser.feed(bytes, 0, bytes.length);
    expect(parser.head.header('a^b')).toBe('1');
    expect(parser.head.header('a~b')).toBe('2');
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'])(
    'treats a header named %s as data',
    (name) => {
      const parser = new RequestParser();
      const without = latin1(get());
      parser.feed(without, 0, without.length);
      expect(parser.head.header(name.toLowerCase())).toBe('');
      parser.reset();
      const bytes = latin1(get(`${name}: x`));
      parser.feed(bytes, 0, bytes.length);
      expect(parser.head.header(name.toLowerCase())).toBe('x');
    },
  );

  it('reads bytes above 0x7f of values and targets as UTF-8, and what is none as U+FFFD', () => {
    const utf8 = (text: string) => textOf(Buffer.from(text));
    const parsed = headOf(
      head(
        `GET /${utf8('é☃')}?${utf8('😀')} HTTP/1.1`,
        'Host: a',
        `X: ${utf8('ü')} b`,
        'Y: \x80\xff',
        'Z: z',
      ),
    );
    expect(parsed).toMatchObject({ path: '/é☃', query: '😀', target: '/é☃?😀' });
    expect(parsed.headers.slice(1)).toEqual([
      ['x', 'ü b'],
      ['y', '\ufffd\ufffd'],
      ['z', 'z'],
    ]);
  });

  it('takes no text of one encoding for one of another that was read before', () => {
    const strings = new StringCache();
    const pathOf = (path: string) =>
      feedWhole(head(`GET ${path} HTTP/1.1`, 'Host: a'), { strings }).head?.path;
    expect(pathOf('/\xc3\xa9A')).toBe('/éA');
    expect(pathOf('/\xe9A')).toBe('/\ufffdA');
    expect(pathOf('/\xc3\xa9A')).toBe('/éA');
    expect(pathOf('/eA')).toBe('/eA');
  });

  it('joins the lines of a header by commas, and those of Cookie by semicolons', () => {
    const parser = new RequestParser();
    const bytes = latin1(
      head('GET / HTTP/1.1', 'Host: a', 'X: 1', 'Cookie: a=1', 'x: 2', 'cookie: b=2; c=3'),
    );
    expect(parser.feed(bytes, 0, bytes.length)).toBe(COMPLETE);
    expect(parser.head.header('x')).toBe('1, 2');
    expect(parser.head.header('cookie')).toBe('a=1; b=2; c=3');
  });

  it('leaves what follows the head to the caller', () => {
    const rest = 'GET /next HTTP/1.1\r\n';
    const text = post('Content-Length: 5');
    const parsed = headOf(text + rest);
    expect(parsed.consumed).toBe(text.length);
    expect(parsed.contentLength).toBe(5);
    expect(parsed.hasBody).toBe(true);
  });

  it('does not copy a head that comes in one chunk', () => {
    const parser = new RequestParser();
    const bytes = latin1(`xxx${get()}rest`);
    expect(parser.feed(bytes, 3, bytes.length)).toBe(COMPLETE);
    expect(parser.head.bytes).toBe(bytes);
    expect(parser.head.headStart).toBe(3);
    expect(textOf(bytes.subarray(parser.consumed))).toBe('rest');
  });

  it('gives raw bytes that another parser reads in the same way', () => {
    const first = outcomeOf(`\r\n${get('X: y')}`);
    const second = feedWhole(first.head!.raw);
    expect(second.head).toEqual({ ...first.head!, consumed: first.head!.consumed - 2 });
  });

  it('reads pipelined heads one after the other', () => {
    const texts = [get('A: 1'), head('DELETE /x HTTP/1.1', 'Host: b'), get('C: 3')];
    const bytes = latin1(texts.join(''));
    const parser = new RequestParser();
    const methods: string[] = [];
    for (let at = 0; at < bytes.length; at = parser.consumed) {
      parser.reset();
      expect(parser.feed(bytes, at, bytes.length)).toBe(COMPLETE);
      methods.push(`${parser.head.method} ${parser.head.path} ${parser.head.size}`);
    }
    expect(methods).toEqual(['GET /hello 2', 'DELETE /x 1', 'GET /hello 2']);
  });

  it('shows nothing of an earlier head after a reset, whatever became of it', () => {
    const parser = new RequestParser();
    const target = head('GET /z HTTP/1.1', 'Host: z');
    const fresh = feedWhole(target);
    for (const earlier of [
      head(
        'POST http://a/b?c HTTP/1.1',
        'Host: a',
        'Content-Length: 5',
        'Connection: close',
        'Expect: 100-continue',
      ),
      post('Transfer-Encoding: chunked'),
      get('Bad Name: x'),
      'GET /half HTTP/1.1\r\nHost: h\r\nContent-Length: 1',
      '\r',
    ]) {
      feedPiecesTo(parser, [earlier.slice(0, 5), earlier.slice(5)]);
      parser.reset();
      expect(feedPiecesTo(parser, [target])).toEqual(fresh);
      parser.reset();
    }
  });

  it('tells whether it holds a part of a head', () => {
    const parser = new RequestParser();
    const bytes = latin1(get());
    expect(parser.pending).toBe(false);
    parser.feed(bytes, 0, 1);
    expect(parser.pending).toBe(true);
    parser.feed(bytes, 1, bytes.length);
    expect(parser.pending).toBe(false);
  });

  it('repeats its verdict when it is fed again without a reset', () => {
    const parser = new RequestParser();
    const bytes = latin1(get());
    expect(parser.feed(bytes, 0, bytes.length)).toBe(COMPLETE);
    expect(parser.feed(bytes, 0, bytes.length)).toBe(COMPLETE);
    expect(parser.consumed).toBe(0);
    parser.reset();
    expect(parser.feed(latin1('\n'), 0, 1)).toBe(400);
    expect(parser.feed(bytes, 0, bytes.length)).toBe(400);
  });

  it('decodes through the given port', () => {
    const decoded: string[] = [];
    const port = {
      latin1(bytes: Uint8Array, start: number, end: number) {
        decoded.push(textOf(bytes.subarray(start, end)));
        return `<${decoded.length}>`;
      },
    };
    const parser = new RequestParser({ latin1: port });
    const bytes = latin1(get());
    parser.feed(bytes, 0, bytes.length);
    expect(parser.head.path).toBe(`<${decoded.indexOf('/hello') + 1}>`);
    expect(decoded).toContain('GET');
  });
});

describe('Host', () => {
  it.each([
    'localhost',
    'example.com:443',
    '127.0.0.1:9001',
    '[::1]',
    '[2001:db8::1]:80',
    '[::ffff:1.2.3.4]',
    'a_b',
    'a%2Db',
    'a:',
    'a:65535',
    'xn--nxasmq6b',
    "a!$&'()*+;=b",
  ])('may be %j', (value) => {
    expect(headOf(head('GET / HTTP/1.1', `Host: ${value}`)).headers).toEqual([['host', value]]);
  });

  it.each([
    '',
    ' ',
    'a,b',
    'a, b',
    'a b',
    'user@a',
    'user:pw@a',
    'a/b',
    'a?b',
    'http://a',
    'a:65536',
    'a:-1',
    'a:8x',
    'a:000080',
    ':80',
    '[::1',
    '::1',
    '[]',
    '[:]',
    '[g::1]',
    '[::1]x',
    '[::1%25eth0]',
    'a%2',
    'a%zz',
    'a"b',
    '<a>',
    'a\\b',
    '\xe9',
    'a\tb',
  ])('must not be %j', (value) => {
    expect(statusOf(head('GET / HTTP/1.1', `Host: ${value}`))).toBe(400);
  });

  it('must come exactly once, even with equal values', () => {
    expect(statusOf(get('Host: localhost'))).toBe(400);
    expect(statusOf(get('host: other'))).toBe(400);
    expect(statusOf(head('GET / HTTP/1.1', 'X: y'))).toBe(400);
    expect(statusOf(head('GET / HTTP/1.1', 'Hosts: y', 'ost: h'))).toBe(400);
  });
});

describe('Content-Length', () => {
  it.each([
    ['5', 5],
    ['0', 0],
    ['5\t', 5],
    [' \t 5 ', 5],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('may be %j', (value, expected) => {
    expect(headOf(post(`Content-Length: ${value}`)).contentLength).toBe(expected);
  });

  it.each([
    '',
    '+5',
    '-0',
    '-1',
    '0x5',
    '0o5',
    '5 0',
    '5,5',
    '5, 5',
    '00005',
    '00',
    '1e3',
    '5.0',
    '5_0',
    '٥',
    'NaN',
    'Infinity',
    '9007199254740992',
    '9007199254740993',
    '9999999999999999',
    '10000000000000000',
    `1${'0'.repeat(30)}`,
    '5;',
    '"5"',
  ])('must not be %j', (value) => {
    expect(statusOf(post(`Content-Length: ${value.replace('٥', '\xd9\xa5')}`))).toBe(400);
  });

  it.each([
    ['5', '10'],
    ['5', '5'],
    ['', '31'],
    ['0', '0'],
  ])('must not come twice: %j and %j', (first, second) => {
    expect(statusOf(post(`Content-Length: ${first}`, `content-length: ${second}`))).toBe(400);
  });
});

describe('Transfer-Encoding', () => {
  it.each(['chunked', 'Chunked', 'CHUNKED', ' chunked\t'])('may be %j', (value) => {
    const parsed = headOf(post(`Transfer-Encoding:${value}`));
    expect(parsed.chunked).toBe(true);
    expect(parsed.hasBody).toBe(true);
    expect(parsed.contentLength).toBe(-1);
  });

  it.each([
    ['xchunked', 501],
    ['identity', 501],
    ['gzip', 501],
    ['chunke', 501],
    ['chunked, gzip', 400],
    ['gzip, chunked', 400],
    ['chunked,chunked', 400],
    [',chunked', 400],
    ['chunked,', 400],
    ['chunked;x=1', 400],
    ['', 400],
    ['"chunked"', 400],
    ['\x0bchunked', 400],
    ['chunked\x0c', 400],
    ['chun\0ked', 400],
    ['chunked\x00', 400],
    ['ch\xfcnked', 400],
  ])('must not be %j', (value, status) => {
    expect(statusOf(post(`Transfer-Encoding: ${value}`))).toBe(status);
  });

  it('must come once', () => {
    expect(statusOf(post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'))).toBe(400);
  });

  it.each([
    ['Content-Length: 6', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 6'],
    ['tRANSFER-eNCODING: cHUNKED', 'cONTENT-lENGTH: 0'],
  ])('must not come with a length: %s and %s', (first, second) => {
    expect(statusOf(`${post(first, second)}0\r\n\r\nGET /smuggled HTTP/1.1\r\n`)).toBe(400);
  });

  it('is refused in HTTP/1.0', () => {
    for (const value of ['chunked', 'gzip', '']) {
      expect(statusOf(head('POST / HTTP/1.0', 'Host: a', `Transfer-Encoding: ${value}`))).toBe(400);
    }
  });
});

describe('lines', () => {
  it.each([
    ['a folded line', get('A: b', ' c: d')],
    ['a line folded by a tab', get('A: b', '\tc')],
    ['a folded Transfer-Encoding', post('Transfer-Encoding:', ' chunked')],
    ['a space before the first header', head('GET / HTTP/1.1', ' Host: a')],
    ['LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n'],
    ['LF after a header', 'GET / HTTP/1.1\r\nHost: a\n\r\n'],
    ['LF at the end', 'GET / HTTP/1.1\r\nHost: a\r\n\n'],
    ['LF alone at every line', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['CR alone at every line', 'GET / HTTP/1.1\rHost: a\r\r'],
    ['a bare CR in a value', get('X: \rxTransfer-Encoding: chunked')],
    ['a bare CR at the end of a value', get('X: a\r\r')],
    ['a CR after the head', 'GET / HTTP/1.1\r\nHost: a\r\n\rX'],
    ['a NUL in a value', get('X: a\0b')],
    ['a DEL in a value', get('X: a\x7fb')],
    ['a vertical tab in a value', get('X: \x0b')],
  ])('are refused for %s', (_name, text) => {
    expect(statusOf(text)).toBe(400);
  });

  it.each([
    'Content-Length : 5',
    'Content-Length\t: 5',
    'Content\tLength: 5',
    'Transfer-Encoding : chunked',
    'X[]: a',
    ': a',
    'no colon',
    'N\xe9: a',
    'X\0: a',
    'X\x7f: a',
    'X(a): b',
    'X"a": b',
    'X/Y: b',
    'X@Y: b',
    'X{}: b',
  ])('must not be %j', (line) => {
    expect(statusOf(post(line))).toBe(400);
  });

  it('may have every character of a token in a name', () => {
    expect(headOf(get("!#$%&'*+-.^_`|~09azAZ: v")).headers[1]).toEqual(["!#$%&'*+-.^_`|~09azaz", 'v']);
  });

  it('keep an underscore apart from a hyphen', () => {
    const parsed = headOf(post('Content_Length: 5', 'Transfer_Encoding: chunked'));
    expect(parsed.contentLength).toBe(-1);
    expect(parsed.chunked).toBe(false);
  });

  it('may be empty once before the request, not twice', () => {
    expect(headOf(`\r\n${get()}`).raw).toBe(get());
    expect(statusOf(`\r\n\r\n${get()}`)).toBe(400);
    expect(statusOf(`\n${get()}`)).toBe(400);
    expect(statusOf(`\r${get()}`)).toBe(400);
    expect(statusOf(` ${get()}`)).toBe(400);
  });
});

describe('the request line', () => {
  it.each([
    ['two spaces before the target', 'GET  / HTTP/1.1', 400],
    ['two spaces behind the target', 'GET /  HTTP/1.1', 400],
    ['a space behind the version', 'GET / HTTP/1.1 ', 400],
    ['a tab for a space', 'GET\t/ HTTP/1.1', 400],
    ['a tab behind the target', 'GET /\tHTTP/1.1', 400],
    ['no version', 'GET /', 400],
    ['no target', 'GET HTTP/1.1', 400],
    ['no method', ' / HTTP/1.1', 400],
    ['a method that is not a token', 'G(T / HTTP/1.1', 400],
    ['version 0.9', 'GET / HTTP/0.9', 505],
    ['version 0.1', 'GET / HTTP/0.1', 505],
    ['version 2.0', 'GET / HTTP/2.0', 505],
    ['version 9.9', 'GET / HTTP/9.9', 505],
    ['a version in lower case', 'GET / http/1.1', 400],
    ['version 01.1', 'GET / HTTP/01.1', 400],
    ['version 1.10', 'GET / HTTP/1.10', 400],
    ['version 1.0x', 'GET / HTTP/1.0x', 400],
    ['version 1,1', 'GET / HTTP/1,1', 400],
    ['version x.1', 'GET / HTTP/x.1', 400],
    ['a fragment', 'GET /a#b HTTP/1.1', 400],
    ['a backslash', 'GET /a\\b HTTP/1.1', 400],
    ['a NUL', 'GET /a\0b HTTP/1.1', 400],
    ['a DEL', 'GET /a\x7fb HTTP/1.1', 400],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0', 400],
    ['a target without a slash', 'GET a HTTP/1.1', 400],
    ['a target that is a query', 'GET ?a HTTP/1.1', 400],
    ['an asterisk for GET', 'GET * HTTP/1.1', 400],
    ['an asterisk and more', 'OPTIONS *a HTTP/1.1', 400],
    ['an asterisk with a query', 'OPTIONS *?a HTTP/1.1', 400],
    ['authority-form', 'CONNECT localhost:443 HTTP/1.1', 400],
    ['authority-form of a host in h', 'CONNECT host:443 HTTP/1.1', 400],
    ['absolute-form for CONNECT', 'CONNECT http://localhost/ HTTP/1.1', 400],
    ['another scheme', 'GET ftp://localhost/ HTTP/1.1', 400],
    ['a scheme that begins alike', 'GET httpx://localhost/ HTTP/1.1', 400],
    ['a scheme without slashes', 'GET http:localhost/ HTTP/1.1', 400],
    ['a target that begins like a scheme', 'GET hello HTTP/1.1', 400],
    ['no authority', 'GET http:/// HTTP/1.1', 400],
    ['userinfo', 'GET http://u@localhost/ HTTP/1.1', 400],
    ['another authority than Host', 'GET http://other/ HTTP/1.1', 400],
    ['an authority with the port that Host lacks', 'GET http://localhost:80/ HTTP/1.1', 400],
    ['a shorter authority', 'GET http://localhos/ HTTP/1.1', 400],
  ])('is refused for %s', (_name, line, status) => {
    expect(statusOf(head(line, 'Host: localhost'))).toBe(status);
  });

  it('of HTTP/0.9 is refused', () => {
    expect(statusOf('GET /\r\n')).toBe(400);
  });

  it.each([
    ['http://localhost/a/b?c=/d', '/a/b', 'c=/d'],
    ['HTTPS://LocalHost/', '/', ''],
    ['http://localhost', '/', ''],
    ['https://localhost?q?', '/', 'q?'],
    ['http://localhost//x', '//x', ''],
  ])('may hold the absolute URL %s', (target, path, query) => {
    const parsed = headOf(head(`GET ${target} HTTP/1.1`, 'X: y', 'Host: localhost'));
    expect(parsed).toMatchObject({ target, path, query });
  });

  it.each(['/%00', '/%0d%0a', '//', '/../a', '/%c0%ae', '/%', '/%zz', '/a"<>^`{|}', '/:a*', '/a?', '/?'])(
    'may hold the path %j, which stays as it is',
    (target) => {
      const parsed = headOf(head(`GET ${target} HTTP/1.1`, 'Host: localhost'));
      expect(parsed.target).toBe(target);
      expect(parsed.path).toBe(target.split('?')[0]);
      expect(parsed.query).toBe('');
    },
  );

  it.each(['OPTIONS *', 'TRACE /', 'CONNECT /', 'get /', 'M-SEARCH /', "!#$%&'*+-.^_`|~ /"])(
    'may be %j',
    (line) => {
      const parsed = headOf(head(`${line} HTTP/1.1`, 'Host: localhost'));
      expect(`${parsed.method} ${parsed.path}`).toBe(line);
    },
  );
});

describe('Connection and Expect', () => {
  it.each(['close', 'CLOSE', 'keep-alive, close', 'close ,x', ',,close', '\tclose\t'])(
    'ends the connection for %j',
    (value) => {
      expect(headOf(get(`Connection: ${value}`)).keepAlive).toBe(false);
    },
  );

  it.each(['', 'keep-alive', 'Upgrade', 'closed', 'clos', 'not close', '"close"'])(
    'keeps the connection for %j',
    (value) => {
      expect(headOf(get(`Connection: ${value}`)).keepAlive).toBe(true);
    },
  );

  it('looks at every Connection line', () => {
    expect(headOf(get('Connection: close', 'Connection: keep-alive')).keepAlive).toBe(false);
    expect(headOf(get('Connection: keep-alive', 'connection: Close')).keepAlive).toBe(false);
    expect(headOf(get('Proxy-Connection: close', 'Connectioo: close')).keepAlive).toBe(true);
  });

  it('hears 100-continue in any case, and refuses other expectations', () => {
    expect(headOf(get('eXPECT: 100-Continue')).expectContinue).toBe(true);
    for (const value of ['100-continues', '200-continue', '100-continue, x', 'x, 100-continue', 'x', ',x']) {
      expect(statusOf(get(`Expect: ${value}`))).toBe(417);
    }
    expect(headOf(get('Expecu: 100-continue')).expectContinue).toBe(false);
  });

  it('takes Expect for a list whose empty members mean nothing', () => {
    for (const value of ['', ',', ' , ,']) {
      expect(headOf(get(`Expect: ${value}`)).expectContinue).toBe(false);
    }
    for (const value of [
      '100-continue,',
      ', 100-continue',
      '100-continue, 100-Continue',
      '100-continue ,\t,',
    ]) {
      expect(headOf(get(`Expect: ${value}`)).expectContinue).toBe(true);
    }
    expect(headOf(get('Expect: ', 'Expect: 100-continue', 'Expect: ')).expectContinue).toBe(true);
  });
});

describe('HTTP/1.0', () => {
  const old = (...fields: string[]) => head('GET / HTTP/1.0', ...fields);

  it('is read, with a Host or without one', () => {
    for (const text of [old(), old('Host: a')]) {
      expect(headOf(text)).toMatchObject({ minorVersion: 0, keepAlive: false, path: '/' });
      for (let cut = 1; cut < text.length; cut++) expect(feedSplitAt(text, cut)).toEqual(feedWhole(text));
    }
    expect(statusOf(old('Host: a', 'Host: a'))).toBe(400);
    expect(statusOf(old('Host: a b'))).toBe(400);
  });

  it('may name its host in the target alone', () => {
    const parser = new RequestParser();
    const hostOf = (text: string) => {
      const bytes = latin1(text);
      expect(parser.feed(bytes, 0, bytes.length)).toBe(COMPLETE);
      const { host } = parser.head;
      parser.reset();
      return host;
    };
    expect(hostOf(head('GET http://a:81/b HTTP/1.0'))).toBe('a:81');
    expect(hostOf(head('GET http://a:81/b HTTP/1.0', 'Host: A:81'))).toBe('A:81');
    expect(hostOf(old())).toBe('');
    expect(hostOf(get())).toBe('localhost');
    expect(statusOf(head('GET http://a/ HTTP/1.0', 'Host: b'))).toBe(400);
  });

  it('keeps the connection when it is asked to', () => {
    for (const lines of [
      ['Connection: keep-alive'],
      ['Connection: x, Keep-Alive'],
      ['Connection: x', 'connection: keep-alive'],
    ])
      expect(headOf(old(...lines)).keepAlive).toBe(true);
    for (const lines of [
      ['Connection: close'],
      ['Connection: keep-alive, close'],
      ['Connection: keep-alive', 'Connection: close'],
      ['Connection: close', 'Connection: keep-alive'],
      ['Connection: keep-alives'],
      ['Keep-Alive: timeout=5'],
    ])
      expect(headOf(old(...lines)).keepAlive).toBe(false);
  });

  it('knows no 100', () => {
    expect(headOf(old('Expect: 100-continue')).expectContinue).toBe(false);
  });

  it('leaves no trace in the parser', () => {
    const parser = new RequestParser();
    for (const [text, minor, keeps] of [
      [old(), 0, false],
      [get(), 1, true],
      [old('Connection: close'), 0, false],
      [old('Connection: keep-alive'), 0, true],
    ] as const) {
      const bytes = latin1(text);
      for (let i = 0; i < 3; i++) {
        expect(parser.feed(bytes, 0, bytes.length)).toBe(COMPLETE);
        expect([parser.head.minorVersion, parser.head.keepAlive]).toEqual([minor, keeps]);
        parser.reset();
      }
    }
  });

  it('is not HTTP/1.2, which is read as 1.1', () => {
    for (const minor of [2, 5, 9]) {
      expect(headOf(head(`GET / HTTP/1.${minor}`, 'Host: a'))).toMatchObject({
        minorVersion: 1,
        keepAlive: true,
      });
      expect(statusOf(head(`GET / HTTP/1.${minor}`))).toBe(400);
    }
  });
});

describe('early answers', () => {
  it.each([
    ['a line feed first', '\n'],
    ['a TLS record', '\x16'],
    ['a second empty line', '\r\n\r'],
    ['a target in authority-form', 'CONNECT l'],
    ['a target that is none', 'GET x'],
    ['a scheme that is none', 'GET he'],
    ['a wrong version letter', 'GET / HTTQ'],
    ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\n '],
    ['a space in a name', 'GET / HTTP/1.1\r\nHost '],
    ['a second Host', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n'],
    ['a bad length', 'POST / HTTP/1.1\r\nContent-Length: x\r\n'],
    ['a control in a value', 'GET / HTTP/1.1\r\nX: \x01'],
  ])('come at %s, and not before', (_name, text) => {
    expect(statusOf(text)).toBe(400);
    expect(statusOf(text.slice(0, -1))).toBe(INCOMPLETE);
  });

  it('come at the last digit of a version that is not spoken', () => {
    expect(statusOf('GET / HTTP/2.')).toBe(INCOMPLETE);
    expect(statusOf('GET / HTTP/2.0')).toBe(505);
  });

  it('are never given for a prefix of a valid head', () => {
    const text = head(
      'OPTIONS https://A.b:1/c?d HTTP/1.1',
      'x: y',
      'Content-Length: 10',
      'HOST:a.B:1',
      'Connection: close',
    );
    for (let end = 0; end < text.length; end++)
      expect(feedPieces([text.slice(0, end)]).status).toBe(INCOMPLETE);
    expect(statusOf(text)).toBe(COMPLETE);
  });
});
