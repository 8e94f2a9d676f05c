/**
 * Requests that two servers could read in two ways, and requests that look odd and are good. Each row goes to the
 * path `@`, which the tests replace by one that tells the request from all others.
 */

export interface HttpRow {
  readonly name: string;
  /** One character a byte. */
  readonly text: string;
  /** The status of the one answer before the connection ends; of an accepted row, of the first answer. */
  readonly status: number;
  /** The fault is in the body: the handler may have seen the head. */
  readonly inBody?: boolean;
}

const head = (line: string, ...fields: string[]): string => [line, ...fields, '', ''].join('\r\n');
const post = (...fields: string[]): string => head('POST @ HTTP/1.1', 'Host: x', ...fields);
const get = (...fields: string[]): string => head('GET @ HTTP/1.1', ...fields);
const CHUNKED = post('Transfer-Encoding: chunked');

const bad = (name: string, text: string, status = 400): HttpRow => ({ name, text, status });
const badBody = (name: string, text: string, status = 400): HttpRow => ({ name, text, status, inBody: true });
const good = (name: string, text: string): HttpRow => ({ name, text, status: 200 });

/** A value that is shown as JSON. */
const each = (id: string, texts: readonly string[], row: (text: string) => string, status = 400): HttpRow[] =>
  texts.map((text) => bad(`${id} ${JSON.stringify(text.slice(0, 40))}`, row(text), status));

const HOSTS = '|a, b|user@a|a/b|a:b|a b|a:99999|a?b|[::1|%zz'.split('|');
const LENGTHS =
  `+5|-0|-1|0x5|0o5|5 0|5,5|5, 5|00005||5_0|5.0|1e1|abc|${'1'.padEnd(31, '0')}|-123456789123456789123456789|\xb5|5;5|9007199254740992`.split(
    '|',
  );
const ENCODINGS_400 =
  'chunked, gzip|gzip, chunked|chunked,chunked|,chunked|chunked,|chunked;x=1||"chunked"|chunked chunked'.split(
    '|',
  );
const NAMES =
  'Content-Length : 5|Content-Length\t: 5| Content-Length: 5|X[]: a|: a|no colon|\xe9: a|Content Length: 5|Transfer-Encoding : chunked|X(): a|"X": a|X\x7f: a|X\0: a'.split(
    '|',
  );
const VALUES = 'a\0b|a\rb|\rxTransfer-Encoding: chunked|a\x07|a\x7f|\x0bchunked|a\x1b'.split('|');
const LINES = [
  'GET  @ HTTP/1.1|GET @  HTTP/1.1|GET\t@ HTTP/1.1|GET @\tHTTP/1.1|GET @|GET @ | GET @ HTTP/1.1|GET @ http/1.1',
  'GET @ HTTP/01.1|GET @ HTTP/1.10|GET @ HTTP/1|GET @ HTTP/1.1 |GET @ HTTP 1.1|GET @#f HTTP/1.1|GET @\\x HTTP/1.1',
  'GET @\0 HTTP/1.1|GET @\x7f HTTP/1.1|GET x@ HTTP/1.1|G@T @ HTTP/1.1|GET * HTTP/1.1|CONNECT x:80 HTTP/1.1',
  'GET ftp://x/ HTTP/1.1|GET http:/x HTTP/1.1|@ HTTP/1.1|HTTP/1.1 200 OK|PRI * HTTP/2.0',
  `${'G'.repeat(33)} @ HTTP/1.1`,
]
  .join('|')
  .split('|');
const SIZES =
  `g|0x5|+5|-1|5 | 5|5\t|5_0||FFFFFFFFFFFFFFFFF|10000000000000000|20000000000000|5;|5;;a|5;a=|5;a="x|5; a|5 ;a|5;a\x07|${'0'.repeat(65)}`.split(
    '|',
  );

/** Rows that are refused by the head alone. */
export function badHeads(): HttpRow[] {
  const folded = head('GET @ HTTP/1.1', 'Host: x', 'A: b', ' c: d');
  const both = [
    post('Content-Length: 5', 'Transfer-Encoding: chunked'),
    post('Transfer-Encoding: chunked', 'Content-Length: 5'),
    post('CONTENT-LENGTH: 5', 'transfer-ENCODING: CHUNKED'),
    post('Content-Length: 0', 'Transfer-Encoding: chunked'),
  ];
  return [
    bad('H03 no Host', get()),
    bad('H03 two Hosts', get('Host: a', 'Host: a')),
    bad('H03 two other Hosts', get('Host: a', 'host: b')),
    ...each('H03 Host', HOSTS, (host) => get(`Host: ${host}`)),
    ...each('H04 Content-Length', LENGTHS, (length) => `${post(`Content-Length: ${length}`)}12345`),
    ...each('H05 two lengths', ['5/10', '10/5', '/31', '31/', '5/5'], (pair) =>
      post(...pair.split('/').map((length) => `Content-Length: ${length}`)),
    ),
    ...each(
      'H06 Transfer-Encoding',
      ENCODINGS_400,
      (value) => `${post(`Transfer-Encoding: ${value}`)}0\r\n\r\n`,
    ),
    ...each(
      'H06 Transfer-Encoding',
      ['xchunked', 'identity', 'gzip', 'chunkedx'],
      (value) => `${post(`Transfer-Encoding: ${value}`)}0\r\n\r\n`,
      501,
    ),
    ...each('H06 Transfer-Encoding', ['\x0bchunked', 'chunked\x0c'], (value) =>
      post(`Transfer-Encoding: ${value}`),
    ),
    bad('H06 two encodings', `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`),
    bad('H06 a folded encoding', `${post('Transfer-Encoding:\r\n chunked')}0\r\n\r\n`),
    ...both.map((text, i) => bad(`H07 both framings, ${i}`, `${text}0\r\n\r\n`)),
    bad('H07 HTTP/1.0 with chunks', head('POST @ HTTP/1.0', 'Host: x', 'Transfer-Encoding: chunked')),
    bad(
      'H07 HTTP/1.0 with chunks that is to go on',
      head('POST @ HTTP/1.0', 'Connection: keep-alive', 'Transfer-Encoding: chunked'),
    ),
    bad('H08 a folded line', folded),
    bad('H08 a line folded by a tab', folded.replace('\r\n c', '\r\n\tc')),
    bad('H08 a bare LF behind the request line', get('Host: x').replace('\r\n', '\n')),
    bad('H08 a bare LF behind a header', get('Host: x', 'A: b').replace('x\r\n', 'x\n')),
    bad('H08 bare LFs at the end', get('Host: x').replace('\r\n\r\n', '\r\n\n')),
    bad('H08 bare CRs', get('Host: x').replaceAll('\r\n', '\r')),
    ...each('H09', NAMES, (line) => get('Host: x', line)),
    ...each('H10 a value', VALUES, (value) => get('Host: x', `X: ${value}`)),
    bad('H10 CR CR LF', get('Host: x').replace('\r\n\r\n', '\r\n\r\r\n')),
    bad('H10 CR X at the end of the head', get('Host: x').replace('\r\n\r\n', '\r\n\rX\r\n\r\n')),
    ...each('H11', LINES, (line) => head(line, 'Host: x')),
    ...each(
      'H11',
      ['GET @ HTTP/0.9', 'GET @ HTTP/2.0', 'GET @ HTTP/9.9'],
      (line) => head(line, 'Host: x'),
      505,
    ),
    bad('H11 two empty lines before the request', `\r\n\r\n${get('Host: x')}`),
    bad('H11 a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03@'),
    ...each(
      'H17 Expect',
      ['200-ok', '100-continue, x', ',x'],
      (value) => post('Content-Length: 5', `Expect: ${value}`),
      417,
    ),
    bad('H18 a head over the limit', get('Host: x', `X: ${'y'.repeat(4096)}`), 431),
    bad('H18 a target over the limit', head(`GET @${'y'.repeat(4096)} HTTP/1.1`, 'Host: x'), 414),
    bad('H18 too many headers', get('Host: x', ...Array.from({ length: 100 }, (_, i) => `X${i}: y`)), 431),
    bad('H34 a target of another host', head('GET http://a@ HTTP/1.1', 'Host: x')),
    bad('H34 a target of another port', head('GET http://x:81@ HTTP/1.1', 'Host: x')),
    bad('H34 a target with a user', head('GET http://u@x@ HTTP/1.1', 'Host: x')),
  ];
}

/** Rows whose head is good and whose body is refused. */
export function badBodies(): HttpRow[] {
  const chunk = (name: string, body: string, status = 400) => badBody(name, `${CHUNKED}${body}`, status);
  const line = (size: string) =>
    chunk(`H12 size ${JSON.stringify(size.slice(0, 30))}`, `${size}\r\nhello\r\n0\r\n\r\n`);
  const ends = ['5;\n', '5;a\rX', '5\n', '5\r', '5;a\n', '\n', '5\r\r\n'];
  const spills = ['helloXX', 'hello\rX', 'helloX\n', 'hello\n', 'helloworld\r\n'];
  const trailers = ['X : y', ': y', 'X', 'X: \0', 'X: a\rb', ' X: y', 'X: y\n', '\xe9: y', 'X: y\r\n z'];
  const forbidden = ['Content-Length: 5', 'Transfer-Encoding: chunked', 'host: y', 'Authorization: z'];
  return [
    ...SIZES.map(line),
    ...ends.map((end) => chunk(`H12 line end ${JSON.stringify(end)}`, `${end}hello\r\n0\r\n\r\n`)),
    chunk('H13 an extension of 64 KiB', `5;a=${'x'.repeat(65_536)}\r\nhello\r\n0\r\n\r\n`),
    chunk('H13 many extensions', `${`1;${'e'.repeat(59)}\r\na\r\n`.repeat(500)}0\r\n\r\n`),
    ...spills.map((data) => chunk(`H14 spilled ${JSON.stringify(data)}`, `5\r\n${data}0\r\n\r\n`)),
    chunk('H14 junk behind the last chunk', '5\r\nhello\r\n0\r\nXX\r\n'),
    chunk('H14 CR junk behind the last chunk', '5\r\nhello\r\n0\r\n\rX'),
    chunk('H14 LF behind the last chunk', '5\r\nhello\r\n0\r\n\n'),
    ...trailers.map((text) =>
      chunk(`H15 trailer ${JSON.stringify(text)}`, `5\r\nhello\r\n0\r\n${text}\r\n\r\n`),
    ),
    ...forbidden.map((text) => chunk(`H15 trailer ${text}`, `5\r\nhello\r\n0\r\n${text}\r\n\r\n`)),
    chunk('H15 10,000 trailers', `5\r\nhello\r\n0\r\n${'X: y\r\n'.repeat(10_000)}\r\n`, 431),
  ];
}

/** An accepted row, and the body the server must have read; HEAD is answered without. */
export interface GoodRow extends HttpRow {
  readonly body: string;
  readonly isHead?: boolean;
}

const LOOKS_LIKE_REQUEST = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

/** Rows that must be served, and the request behind them too. */
export function goodRequests(): GoodRow[] {
  const served = (name: string, text: string, body = ''): GoodRow => ({ ...good(name, text), body });
  const inChunks = (name: string, body: string, data = 'hello') => served(name, `${CHUNKED}${body}`, data);
  const sized = (method: string, body: string, ...fields: string[]) =>
    head(`${method} @ HTTP/1.1`, 'Host: x', `Content-Length: ${body.length}`, ...fields) + body;
  return [
    served('H01 a plain one', get('Host: x')),
    served('H01 an empty line before', `\r\n${get('Host: x')}`),
    served('H01 odd cases and spaces', get('hoSt:\texample.com', 'empty:', 'X-Empty: ', 'y: \t z \t')),
    served('H03 a Host of IPv6', get('Host: [::1]:8080')),
    served('H04 space around a length', post('Content-Length: \t5\t').replace(/$/, 'hello'), 'hello'),
    served(
      'H09 names that look like lengths',
      get('Host: x', 'Content_Length: 5', 'Content-Lengths: 5', '__proto__: 5'),
    ),
    inChunks('H12 chunks', '2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'),
    inChunks(
      'H12 sizes with zeros and in capitals',
      `00A\r\n${'x'.repeat(10)}\r\n000\r\n\r\n`,
      'x'.repeat(10),
    ),
    inChunks('H13 short extensions', '5;a;b=c;d="e;\\"f"\r\nhello\r\n0;x\r\n\r\n'),
    inChunks('H14 data with line ends', '9\r\n\r\n0\r\n\r\n0\r\r\n0\r\n\r\n', '\r\n0\r\n\r\n0\r'),
    inChunks('H15 a trailer', '5\r\nhello\r\n0\r\nX: y\r\nConten-Length: 7\r\n\r\n'),
    served('H16 a body that looks like a request', sized('POST', LOOKS_LIKE_REQUEST), LOOKS_LIKE_REQUEST),
    inChunks(
      'H16 a chunk that looks like a request',
      `23\r\n${LOOKS_LIKE_REQUEST}\r\n0\r\n\r\n`,
      LOOKS_LIKE_REQUEST,
    ),
    ...['GET', 'DELETE', 'OPTIONS', 'PATCH', 'PUT', 'FOO'].map((method) =>
      served(`H17 ${method} with a body`, sized(method, LOOKS_LIKE_REQUEST), LOOKS_LIKE_REQUEST),
    ),
    { ...served('H17 HEAD with a body', sized('HEAD', LOOKS_LIKE_REQUEST)), isHead: true },
    { ...served('H17 HEAD', head('HEAD @ HTTP/1.1', 'Host: x')), isHead: true },
    served('H18 a head of 4,096 bytes', get('Host: x', `X: ${'y'.repeat(4096 - 40)}`)),
    served('H18 100 headers', get('Host: x', ...Array.from({ length: 99 }, (_, i) => `X${i}: y`))),
    served('H21 names of properties', get('Host: x', '__proto__: 1', 'constructor: 2', 'toString: 3')),
    served('H11 a higher minor version', head('GET @ HTTP/1.2', 'Host: x')),
    served('H17 Expect without members', sized('POST', 'hello', 'Expect:', 'Expect: ,'), 'hello'),
    served('H07 HTTP/1.0 that is to go on', head('GET @ HTTP/1.0', 'Connection: keep-alive')),
    served('H34 an absolute target', head('GET http://x@ HTTP/1.1', 'Host: X')),
  ];
}
