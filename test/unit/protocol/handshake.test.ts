import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  acceptValue,
  checkUpgrade,
  type HandshakeRequest,
  isHandshakeKey,
  isUpgradeRequest,
  type Sha1Port,
} from '../../../src/protocol/handshake.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

const sha1: Sha1Port = {
  sha1Base64: (text) => createHash('sha1').update(text, 'latin1').digest('base64'),
};

type Lines = Record<string, string | string[] | undefined>;

const VALID: Lines = {
  host: 'server.example.com',
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-key': KEY,
  'sec-websocket-version': '13',
};

/** The valid handshake with some header lines changed: undefined leaves a header out, a list repeats it. */
function request(changes: Lines = {}, method = 'GET', minorVersion = 1): HandshakeRequest {
  const headers = new Map<string, string[]>();
  for (const [name, value] of Object.entries({ ...VALID, ...changes })) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value : [value]);
  }
  return {
    method,
    minorVersion,
    header: (name) => headers.get(name)?.join(', ') ?? '',
    headerCount: (name) => headers.get(name)?.length ?? 0,
  };
}

function statusOf(changes: Lines): number {
  return checkUpgrade(request(changes))?.status ?? 101;
}

describe('isUpgradeRequest', () => {
  it.each(['websocket', 'WebSocket', 'WEBSOCKET', 'websocket, foo', 'h2c, websocket', ' websocket '])(
    'takes Upgrade: %s for one, good or bad',
    (upgrade) => {
      expect(isUpgradeRequest(request({ upgrade }))).toBe(true);
    },
  );

  it.each([undefined, '', 'h2c', 'TLS/1.0', 'websockets', 'web socket', 'websocket/13'])(
    'leaves Upgrade: %s to plain HTTP',
    (upgrade) => {
      expect(isUpgradeRequest(request({ upgrade }))).toBe(false);
    },
  );
});

describe('checkUpgrade', () => {
  it('accepts the handshake of RFC 6455', () => {
    expect(checkUpgrade(request())).toBeUndefined();
    expect(
      checkUpgrade(request({ 'sec-websocket-protocol': 'chat, superchat', origin: 'http://example.com' })),
    ).toBeUndefined();
  });

  it.each(['POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE'])(
    'answers %s with 405 and Allow',
    (method) => {
      const failure = checkUpgrade(request({}, method));
      expect(failure?.status).toBe(405);
      expect(failure?.headers).toEqual([['Allow', 'GET']]);
    },
  );

  it('refuses HTTP/1.0', () => {
    expect(checkUpgrade(request({}, 'GET', 0))?.status).toBe(400);
  });

  it.each([undefined, '', 'h2c', 'websocket, foo', 'foo, websocket', 'websocket,', 'websocket/13'])(
    'refuses Upgrade: %s',
    (upgrade) => {
      expect(statusOf({ upgrade })).toBe(400);
    },
  );

  it('refuses Upgrade given twice', () => {
    expect(statusOf({ upgrade: ['websocket', 'websocket'] })).toBe(400);
    expect(statusOf({ upgrade: ['websocket', 'h2c'] })).toBe(400);
  });

  it.each(['WebSocket', 'WEBSOCKET'])('accepts Upgrade: %s', (upgrade) => {
    expect(statusOf({ upgrade })).toBe(101);
  });

  it.each(['upgrade', 'keep-alive, Upgrade', 'UPGRADE,keep-alive', 'Upgrade, HTTP2-Settings'])(
    'accepts Connection: %s',
    (connection) => {
      expect(statusOf({ connection })).toBe(101);
    },
  );

  it('accepts the token upgrade in any line of Connection', () => {
    expect(statusOf({ connection: ['keep-alive', 'Upgrade'] })).toBe(101);
  });

  it.each([undefined, '', 'keep-alive', 'close', 'upgraded', 'no-upgrade', '"upgrade"'])(
    'refuses Connection: %s',
    (connection) => {
      expect(statusOf({ connection })).toBe(400);
    },
  );

  it.each([undefined, '', '8', '12', '14', '013', '13, 8', '8, 13', '13.0', ' 13x'])(
    'answers Sec-WebSocket-Version: %s with 426, the version spoken here, and what to upgrade to',
    (version) => {
      const failure = checkUpgrade(request({ 'sec-websocket-version': version }));
      expect(failure?.status).toBe(426);
      expect(failure?.headers).toEqual([
        ['Sec-WebSocket-Version', '13'],
        ['Upgrade', 'websocket'],
      ]);
    },
  );

  it('answers a version given twice with 426', () => {
    expect(statusOf({ 'sec-websocket-version': ['13', '13'] })).toBe(426);
  });

  it('tells a client of another version so before it looks at its key', () => {
    expect(statusOf({ 'sec-websocket-version': '8', 'sec-websocket-key': undefined })).toBe(426);
  });

  it.each([
    undefined,
    '',
    'AAAAAAAAAAAAAAAAAAAA', // 15 bytes
    'dGhlIHNhbXBsZSBub25jZQ=', // 23 characters
    'dGhlIHNhbXBsZSBub25jZQ===', // 25 characters
    'dGhlIHNhbXBsZSBub25jZWU=', // 17 bytes
    'dGhlIHNhbXBsZSBub25jZWVl', // 18 bytes
    'dGhlIHNhbXBsZSBub25j=Q==',
    'dGhlIHNhbXBsZSBub25j-Q==',
    'dGhlIHNhbXBsZSBub25j_Q==',
    'dGhlIHNhbXBsZSBub25j Q==',
    'dGhlIHNhbXBsZSBub25j\u0000Q==',
  ])('refuses Sec-WebSocket-Key: %s', (key) => {
    expect(statusOf({ 'sec-websocket-key': key })).toBe(400);
  });

  it('refuses a key given twice', () => {
    expect(statusOf({ 'sec-websocket-key': [KEY, KEY] })).toBe(400);
    const twice = request({ 'sec-websocket-key': [KEY, KEY] });
    const firstOnly = { ...twice, header: (name: string) => twice.header(name).split(', ')[0]! };
    expect(checkUpgrade(firstOnly)?.status).toBe(400);
  });

  it('refuses a request that announces a body', () => {
    expect(statusOf({ 'content-length': '10' })).toBe(400);
    expect(statusOf({ 'content-length': '00' })).toBe(400);
    expect(statusOf({ 'content-length': '' })).toBe(400);
    expect(statusOf({ 'content-length': ['0', '0'] })).toBe(400);
    expect(statusOf({ 'transfer-encoding': 'chunked' })).toBe(400);
    expect(statusOf({ 'transfer-encoding': '' })).toBe(400);
    expect(statusOf({ 'content-length': '0', 'transfer-encoding': 'chunked' })).toBe(400);
  });

  it('accepts a request that says it has no body', () => {
    expect(statusOf({ 'content-length': '0' })).toBe(101);
  });

  it('refuses malformed subprotocols and extensions', () => {
    expect(statusOf({ 'sec-websocket-protocol': 'a b' })).toBe(400);
    expect(statusOf({ 'sec-websocket-protocol': ['chat', 'chat'] })).toBe(400);
    expect(statusOf({ 'sec-websocket-extensions': 'a; b="\\c' })).toBe(400);
    expect(statusOf({ 'sec-websocket-extensions': ',' })).toBe(400);
  });

  it('accepts subprotocols and extensions over several lines', () => {
    expect(statusOf({ 'sec-websocket-protocol': ['chat', 'superchat'] })).toBe(101);
    expect(statusOf({ 'sec-websocket-extensions': ['foo', 'bar; baz=2'] })).toBe(101);
  });

  it('never throws, and never repeats what the client sent, whatever the headers hold', () => {
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constant(undefined));
    const names = [...Object.keys(VALID), 'sec-websocket-protocol', 'sec-websocket-extensions'] as const;
    fc.assert(
      fc.property(fc.constantFrom(...names), value, (name, text) => {
        const failure = checkUpgrade(request({ [name]: text }));
        if (failure === undefined) return;
        expect([400, 405, 426]).toContain(failure.status);
        expect(failure.reason).toMatch(/^[\x20-\x7e]+$/);
        expect(failure).toBe(checkUpgrade(request({ [name]: text })));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('isHandshakeKey', () => {
  it('accepts 16 bytes in base64, whichever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        expect(isHandshakeKey(Buffer.from(bytes).toString('base64'))).toBe(true);
      }),
    );
  });

  it('agrees with the base64 alphabet on every character', () => {
    const wrong: number[] = [];
    for (let code = 0; code < 65536; code++) {
      const character = String.fromCharCode(code);
      for (const at of [0, 21]) {
        const key = `${KEY.slice(0, at)}${character}${KEY.slice(at + 1)}`;
        if (isHandshakeKey(key) !== /^[A-Za-z0-9+/]$/.test(character)) wrong.push(code);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('acceptValue', () => {
  it('gives the value of the example in RFC 6455', () => {
    expect(acceptValue(KEY, sha1)).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });
});
