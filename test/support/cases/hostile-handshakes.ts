import { HANDSHAKE_FIELDS, requestHead } from '../clients/hostile-client.ts';

/** A handshake and what it must be answered with. Names start with the row of the attack table. */
export interface HandshakeRow {
  readonly name: string;
  readonly bytes: Buffer;
  readonly status: number;
  /** Header lines the answer must have. Default: `Connection: close`. */
  readonly fields?: readonly string[];
}

/** A good handshake with header lines left out (by name), and others added at the end. */
export function handshakeWith(
  path: string,
  without: readonly string[],
  extra: readonly string[],
  line = `GET ${path} HTTP/1.1`,
): Buffer {
  const kept = HANDSHAKE_FIELDS.filter(
    (field) => !without.some((name) => field.toLowerCase().startsWith(`${name}:`)),
  );
  return requestHead(line, [...kept, ...extra]);
}

/** A good handshake whose head has exactly this many bytes. */
export function handshakeOfSize(path: string, size: number): Buffer {
  const bare = handshakeWith(path, [], ['X-Pad: ']);
  return handshakeWith(path, [], [`X-Pad: ${'a'.repeat(size - bare.length)}`]);
}

/** A good handshake with exactly this many header lines. */
export function handshakeOfLines(path: string, lines: number): Buffer {
  const extra = Array.from({ length: lines - HANDSHAKE_FIELDS.length }, (_, i) => `X${i}: ${i}`);
  return handshakeWith(path, [], extra);
}

const KEY = 'Sec-WebSocket-Key: ';
const CLOSE = ['Connection: close'];
const VERSION_13 = ['Connection: Upgrade, close', 'Sec-WebSocket-Version: 13', 'Upgrade: websocket'];

/** Handshakes that are refused. */
export function refusedRows(path: string): HandshakeRow[] {
  const row = (name: string, status: number, bytes: Buffer, fields = CLOSE): HandshakeRow => ({
    name,
    bytes,
    status,
    fields,
  });
  const host = (name: string, ...hosts: string[]): HandshakeRow =>
    row(`H03 ${name}`, 400, handshakeWith(path, ['host'], hosts));
  const version = (name: string, ...versions: string[]): HandshakeRow =>
    row(`H23 ${name}`, 426, handshakeWith(path, ['sec-websocket-version'], versions), VERSION_13);
  const key = (name: string, ...keys: string[]): HandshakeRow =>
    row(`H24 ${name}`, 400, handshakeWith(path, ['sec-websocket-key'], keys));
  const field = (name: string, ...fields: string[]): HandshakeRow =>
    row(name, 400, handshakeWith(path, [], fields));
  const frame = '\x81\x84\0\0\0\0evil';
  const body = (name: string, bytes: string, ...fields: string[]): HandshakeRow =>
    row(`H26 ${name}`, 400, Buffer.concat([handshakeWith(path, [], fields), Buffer.from(bytes, 'latin1')]));
  return [
    host('no Host'),
    host('an empty Host', 'Host: '),
    host('two equal Hosts', 'Host: x', 'Host: x'),
    host('two Hosts', 'Host: x', 'Host: y'),
    host('a list of Hosts', 'Host: x, y'),
    host('a Host with a user', 'Host: me@x'),
    host('a Host with a path', 'Host: x/y'),

    row('H18 a head one byte too long', 431, handshakeOfSize(path, 4097)),
    row('H18 a header of 64 KiB', 431, handshakeOfSize(path, 65_536)),
    row('H18 a target of 8 KiB', 414, handshakeWith(`${path}?${'a'.repeat(8192)}`, [], [])),
    row('H18 101 header lines', 431, handshakeOfLines(path, 101)),
    row('H18 10,000 header lines', 431, handshakeOfLines(path, 10_000)),
    row(
      'H18 a method of 10,000 letters',
      400,
      handshakeWith(path, [], [], `${'A'.repeat(10_000)} ${path} HTTP/1.1`),
    ),

    row('H22 websocket among others', 400, handshakeWith(path, ['upgrade'], ['Upgrade: websocket, foo'])),
    row(
      'H22 websocket in a second line',
      400,
      handshakeWith(path, ['upgrade'], ['Upgrade: foo', 'Upgrade: websocket']),
    ),
    row('H22 no Connection', 400, handshakeWith(path, ['connection'], [])),
    row(
      'H22 Connection without upgrade',
      400,
      handshakeWith(path, ['connection'], ['Connection: keep-alive']),
    ),

    version('no version'),
    version('version 8', 'Sec-WebSocket-Version: 8'),
    version('version 12', 'Sec-WebSocket-Version: 12'),
    version('two versions', 'Sec-WebSocket-Version: 13, 8'),
    version('two lines of version', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version: 13'),

    key('no key'),
    key('an empty key', KEY),
    key('a key of 15 bytes', `${KEY}dGhlIHNhbXBsZSBub25j`),
    key('a key of 23 characters', `${KEY}dGhlIHNhbXBsZSBub25jZQ=`),
    key('a key that is no base64', `${KEY}dGhlIHNhbXBsZSB*b25jZQ==`),
    key('two keys', `${KEY}dGhlIHNhbXBsZSBub25jZQ==`, `${KEY}dGhlIHNhbXBsZSBub25jZQ==`),

    row('H25 POST', 405, handshakeWith(path, [], [], `POST ${path} HTTP/1.1`), [...CLOSE, 'Allow: GET']),
    row('H25 PUT', 405, handshakeWith(path, [], [], `PUT ${path} HTTP/1.1`), [...CLOSE, 'Allow: GET']),
    row('H25 HTTP/1.0', 400, handshakeWith(path, [], [], `GET ${path} HTTP/1.0`)),

    body('a body that is a frame', frame, 'Content-Length: 10'),
    body('a body that is a request', 'GET /hello HTTP/1.1\r\nHost: x\r\n\r\n', 'Content-Length: 32'),
    body('a chunk that is a frame', `a\r\n${frame}\r\n0\r\n\r\n`, 'Transfer-Encoding: chunked'),
    body('a chunk that is a request', 'GET /hello HTTP/1.1\r\nHost: x\r\n\r\n', 'Transfer-Encoding: chunked'),
    body('a length that is no number', frame, 'Content-Length: +10'),
    body('a length twice', frame, 'Content-Length: 0', 'Content-Length: 0'),

    field('H27 a subprotocol with 3,000 spaces', `Sec-WebSocket-Protocol: b${' '.repeat(3000)}x`),
    field('H27 an empty subprotocol', 'Sec-WebSocket-Protocol: a,,b'),
    field('H27 a subprotocol that is no token', 'Sec-WebSocket-Protocol: a, b(c)'),
    field('H27 a subprotocol twice', 'Sec-WebSocket-Protocol: a, b, a'),

    field('H28 an unclosed quote', `Sec-WebSocket-Extensions: a; b="${'\\c'.repeat(1500)}`),
    field(
      'H28 33 offers',
      `Sec-WebSocket-Extensions: ${Array.from({ length: 33 }, (_, i) => `x${i}`).join(', ')}`,
    ),
    field('H28 an empty offer', 'Sec-WebSocket-Extensions: a, , b'),
    field(
      'H28 an empty parameter',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=""',
    ),
    field('H28 a parameter that is no token', 'Sec-WebSocket-Extensions: permessage-deflate; client max=9'),
  ];
}

/** Handshakes that look odd and are good all the same. */
export function acceptedRows(path: string): HandshakeRow[] {
  const row = (name: string, bytes: Buffer): HandshakeRow => ({ name, bytes, status: 101 });
  const field = (name: string, ...fields: string[]): HandshakeRow =>
    row(name, handshakeWith(path, [], fields));
  const deflate = (params: string): HandshakeRow =>
    field(`H28 permessage-deflate${params}`, `Sec-WebSocket-Extensions: permessage-deflate${params}`);
  return [
    row('H02 an ordinary one', handshakeWith(path, [], [])),
    row('H18 a head of 4,095 bytes', handshakeOfSize(path, 4095)),
    row('H18 a head of 4,096 bytes', handshakeOfSize(path, 4096)),
    row('H18 100 header lines', handshakeOfLines(path, 100)),
    field('H21 headers named like properties', '__proto__: 1', 'constructor: 2', 'toString: 3'),
    field('H21 cookies named like properties', 'Cookie: __proto__=1; constructor=2; toString=3'),
    row(
      'H21 a query named like properties',
      handshakeWith(`${path}?__proto__=1&constructor&toString=`, [], []),
    ),
    row(
      'H22 Upgrade among other options',
      handshakeWith(path, ['connection'], ['Connection: keep-alive, Upgrade']),
    ),
    row(
      'H22 other cases',
      handshakeWith(path, ['connection', 'upgrade'], ['CONNECTION: uPGRADE', 'uPGRADE: WebSocket']),
    ),
    field('H26 a body of no bytes', 'Content-Length: 0'),
    field(
      'H27 200 subprotocols',
      `Sec-WebSocket-Protocol: ${Array.from({ length: 200 }, (_, i) => `p${i}`).join(', ')}`,
    ),
    field('H28 an extension named constructor', 'Sec-WebSocket-Extensions: constructor; __proto__=1'),
    deflate('; client_max_window_bits=7'),
    deflate('; client_max_window_bits=16'),
    deflate('; server_max_window_bits=-1'),
    deflate('; server_max_window_bits=08'),
    deflate('; server_max_window_bits=15.5'),
    deflate('; server_max_window_bits=9; server_max_window_bits=10'),
    deflate('; client_no_context_takeover=1'),
  ];
}

/** H32: pages that may connect, by route. */
export function originRows(): HandshakeRow[] {
  const row = (path: string, status: number, ...origins: string[]): HandshakeRow => ({
    name: `H32 ${path} ${origins.join(' and ') || 'no origin'}`,
    status,
    bytes: handshakeWith(
      path,
      [],
      origins.map((origin) => `Origin: ${origin}`),
    ),
  });
  const listed = (status: number, ...origins: string[]): HandshakeRow => row('/origins', status, ...origins);
  const same = (status: number, origin: string): HandshakeRow => row('/same-origin', status, origin);
  return [
    listed(101),
    listed(101, 'https://example.com'),
    listed(101, 'HTTPS://EXAMPLE.COM'),
    listed(101, 'https://example.com:443'),
    listed(101, 'http://localhost:3000'),
    listed(403, 'null'),
    listed(403, 'https://evil.com'),
    listed(403, 'http://example.com'),
    listed(403, 'https://example.com:8443'),
    listed(403, 'https://sub.example.com'),
    listed(403, 'https://example.com.evil.com'),
    listed(403, 'https://evil-example.com'),
    listed(403, 'https://example.com@evil.com'),
    listed(403, 'https://example.com/'),
    listed(403, 'https://example.com.'),
    listed(403, 'https://example.com, https://example.com'),
    listed(403, 'https://example.com', 'https://example.com'),
    listed(403, 'http://localhost'),
    listed(403, 'http://127.0.0.1:3000'),
    same(101, 'http://x'),
    same(101, 'https://x'),
    same(403, 'http://y'),
    same(403, 'http://x:81'),
    same(403, 'null'),
  ];
}
