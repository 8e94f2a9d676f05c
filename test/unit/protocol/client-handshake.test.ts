import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../src/errors.ts';
import {
  type ClientRequest,
  checkServerResponse,
  clientRequest,
  type ExpectedResponse,
  type HandshakeResponse,
} from '../../../src/protocol/client-handshake.ts';
import { checkUpgrade, type HandshakeRequest } from '../../../src/protocol/handshake.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const MINIMAL: ClientRequest = { host: 'localhost:9001', target: '/', key: KEY };

/** Reads a request head the slow and obvious way. */
function parseHead(text: string): HandshakeRequest & { target: string; names: string[] } {
  expect(text.endsWith('\r\n\r\n')).toBe(true);
  const [requestLine, ...lines] = text.slice(0, -4).split('\r\n');
  const [method, target, version] = requestLine!.split(' ');
  const pairs = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const values = (name: string): string[] => pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
  return {
    method: method!,
    target: target!,
    minorVersion: Number(version!.slice('HTTP/1.'.length)),
    names: pairs.map((pair) => pair[0]),
    header: (name) => values(name).join(', '),
    headerCount: (name) => values(name).length,
  };
}

function response(
  changes: Record<string, string | string[] | undefined> = {},
  status = 101,
): HandshakeResponse {
  const lines = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': ACCEPT, ...changes };
  const headers = new Map<string, string[]>();
  for (const [name, value] of Object.entries(lines)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value : [value]);
  }
  return {
    status,
    header: (name) => headers.get(name)?.join(', ') ?? '',
    headerCount: (name) => headers.get(name)?.length ?? 0,
  };
}

const invalidArgument = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' });

describe('clientRequest', () => {
  it('writes the smallest request', () => {
    expect(clientRequest(MINIMAL)).toBe(
      'GET / HTTP/1.1\r\nHost: localhost:9001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
  });

  it('writes a request with everything in it, which the server side accepts', () => {
    const text = clientRequest({
      host: '[::1]',
      target: '/chat?room=1&x=%20',
      key: KEY,
      protocols: ['v12.stomp', 'v11.stomp'],
      extensions: [{ name: 'permessage-deflate', params: [{ name: 'client_max_window_bits', value: true }] }],
      origin: 'http://example.com',
      headers: [
        ['Cookie', 'a=1; b=caf\u00e9'],
        ['X-Trace', 'one'],
        ['X-Trace', 'two'],
      ],
    });
    const head = parseHead(text);
    expect(checkUpgrade(head)).toBeUndefined();
    expect(head.target).toBe('/chat?room=1&x=%20');
    expect(head.header('host')).toBe('[::1]');
    expect(head.header('sec-websocket-protocol')).toBe('v12.stomp, v11.stomp');
    expect(head.header('sec-websocket-extensions')).toBe('permessage-deflate; client_max_window_bits');
    expect(head.header('origin')).toBe('http://example.com');
    expect(head.header('cookie')).toBe('a=1; b=caf\u00e9');
    expect(head.header('x-trace')).toBe('one, two');
  });

  it('leaves out the headers of empty lists', () => {
    expect(clientRequest({ ...MINIMAL, protocols: [], extensions: [], headers: [] })).toBe(
      clientRequest(MINIMAL),
    );
  });

  it.each<Partial<ClientRequest>>([
    { host: '' },
    { host: 'a\r\nX: y' },
    { host: 'a\u0000' },
    { target: '' },
    { target: 'chat' },
    { target: '/a b' },
    { target: '/a\r\nX: y' },
    { target: '/a\u0000' },
    { target: '/a#b' },
    { target: '/\u00e9' },
    { target: '/a\u007f' },
    { key: '' },
    { key: `${KEY}\r\n` },
    { key: 'dGhlIHNhbXBsZSBub25j\r\n==' },
    { protocols: ['a b'] },
    { protocols: ['a', 'b\r\nX: y'] },
    { protocols: [''] },
    { protocols: ['a', 'a'] },
    { extensions: [{ name: 'a\r\nX: y', params: [] }] },
    { origin: 'http://a\nX: y' },
    { headers: [['', 'x']] },
    { headers: [['a b', 'x']] },
    { headers: [['a:', 'x']] },
    { headers: [['a\r\nb', 'x']] },
    { headers: [['a', 'x\rX: y']] },
    { headers: [['a', 'x\nX: y']] },
    { headers: [['a', 'x\u0000']] },
  ])('throws for %j', (changes) => {
    expect(() => clientRequest({ ...MINIMAL, ...changes })).toThrow(invalidArgument);
  });

  it.each([
    'Host',
    'UPGRADE',
    'connection',
    'Sec-WebSocket-Key',
    'Content-Length',
    'Transfer-Encoding',
    'Origin',
  ])('throws for the extra header %s, which would contradict its own', (name) => {
    expect(() => clientRequest({ ...MINIMAL, headers: [[name, '0']] })).toThrow(invalidArgument);
  });

  it('writes exactly the header lines meant, or throws, whatever the values', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 10 }),
      fc.string({ unit: fc.constantFrom('a', ' ', '\r', '\n', '\t', '\u0000', '\u00e9', ':'), maxLength: 5 }),
    );
    let written = 0;
    fc.assert(
      fc.property(fc.nat(3), text, (spoilt, anyText) => {
        const [host, target, name, value] = ['a', 'b', 'c', 'd'].map((good, i) =>
          i === spoilt ? anyText : good,
        ) as [string, string, string, string];
        let head: string;
        try {
          head = clientRequest({ host, target: `/${target}`, key: KEY, headers: [[`x${name}`, value]] });
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError);
          return;
        }
        written++;
        expect(Buffer.from(head).toString()).toBe(head);
        const parsed = parseHead(head);
        expect(parsed.target).toBe(`/${target}`);
        expect(parsed.names).toEqual([
          'host',
          'upgrade',
          'connection',
          'sec-websocket-key',
          'sec-websocket-version',
          `x${name}`.toLowerCase(),
        ]);
        expect(parsed.header(`x${name}`.toLowerCase())).toBe(value.trim());
      }),
      { numRuns: 3000 },
    );
    expect(written).toBeGreaterThan(200);
  });
});

describe('checkServerResponse', () => {
  const expected: ExpectedResponse = {
    accept: ACCEPT,
    protocols: ['chat', 'superchat'],
    extensions: [{ name: 'permessage-deflate', params: [] }],
  };

  it('accepts the answer of RFC 6455, with or without what was offered', () => {
    expect(checkServerResponse(response(), expected)).toBeUndefined();
    expect(checkServerResponse(response(), { accept: ACCEPT })).toBeUndefined();
    const full = response({
      upgrade: 'WebSocket',
      connection: 'keep-alive, upgrade',
      'sec-websocket-protocol': 'superchat',
      'sec-websocket-extensions': 'permessage-deflate; server_no_context_takeover',
    });
    expect(checkServerResponse(full, expected)).toBeUndefined();
  });

  it.each([100, 200, 302, 400, 401, 426, 503])('says so when the status is %i', (status) => {
    expect(checkServerResponse(response({}, status), expected)).toContain(String(status));
  });

  it.each<[string, Record<string, string | string[] | undefined>]>([
    ['Upgrade', { upgrade: undefined }],
    ['Upgrade', { upgrade: 'h2c' }],
    ['Upgrade', { upgrade: 'websocket, h2c' }],
    ['Connection', { connection: undefined }],
    ['Connection', { connection: 'keep-alive' }],
    ['Sec-WebSocket-Accept', { 'sec-websocket-accept': undefined }],
    ['Sec-WebSocket-Accept', { 'sec-websocket-accept': ACCEPT.toLowerCase() }],
    ['Sec-WebSocket-Accept', { 'sec-websocket-accept': [ACCEPT, ACCEPT] }],
    ['Sec-WebSocket-Protocol', { 'sec-websocket-protocol': 'other' }],
    ['Sec-WebSocket-Protocol', { 'sec-websocket-protocol': 'Chat' }],
    ['Sec-WebSocket-Protocol', { 'sec-websocket-protocol': '' }],
    ['Sec-WebSocket-Protocol', { 'sec-websocket-protocol': ['chat', 'superchat'] }],
    ['Sec-WebSocket-Extensions', { 'sec-websocket-extensions': 'other' }],
    ['Sec-WebSocket-Extensions', { 'sec-websocket-extensions': 'permessage-deflate, other' }],
    ['Sec-WebSocket-Extensions', { 'sec-websocket-extensions': 'permessage-deflate;' }],
  ])('names %s for %j', (header, changes) => {
    expect(checkServerResponse(response(changes), expected)).toMatch(new RegExp(`^${header} `));
  });

  it('refuses a subprotocol or an extension when none was offered', () => {
    const none = { accept: ACCEPT };
    expect(checkServerResponse(response({ 'sec-websocket-protocol': 'chat' }), none)).toBeDefined();
    expect(checkServerResponse(response({ 'sec-websocket-extensions': 'x' }), none)).toBeDefined();
  });
});
