import { isIPv6, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressText, ProxyHeaderParser, ProxyStatus } from '../../../src/http/proxy-protocol.ts';

const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
const IPV4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xc8, 0x15, 0x1f, 0x90];
const IPV6 = [
  0x20,
  1,
  0xd,
  0xb8,
  ...new Array<number>(11).fill(0),
  1,
  ...new Array<number>(16).fill(9),
  1,
  2,
  3,
  4,
];

interface Parts {
  signature?: number[];
  command?: number;
  family?: number;
  length?: number;
  rest: number[];
}

function header({ signature = SIGNATURE, command = 0x21, family = 0x11, length, rest }: Parts): number[] {
  const size = length ?? rest.length;
  return [...signature, command, family, size >> 8, size & 255, ...rest];
}

interface Seen {
  status: number;
  reason: string;
  address: string;
  port: number;
  consumed: number;
}

function feedPieces(pieces: readonly number[][], parser = new ProxyHeaderParser()): Seen {
  let before = 0;
  let status: number = ProxyStatus.INCOMPLETE;
  for (const piece of pieces) {
    const bytes = Uint8Array.from([0xaa, ...piece, 0xaa]);
    status = parser.feed(bytes, 1, 1 + piece.length);
    before += parser.consumed - 1;
    bytes.fill(0xbb);
    if (status !== ProxyStatus.INCOMPLETE) break;
    expect(parser.consumed).toBe(1 + piece.length);
  }
  const { reason, sourcePort: port } = parser;
  return { status, reason, address: addressText(parser.sourceAddress), port, consumed: before };
}

/** What is seen, which is the same at every split and byte by byte. */
function read(bytes: number[], maxSize?: number): Seen {
  const whole = feedPieces([bytes], new ProxyHeaderParser(maxSize));
  const reused = new ProxyHeaderParser(maxSize);
  const single = bytes.map((byte) => [byte]);
  expect(feedPieces(single, reused)).toEqual(whole);
  for (let cut = 0; cut < bytes.length; cut++) {
    reused.reset();
    expect(feedPieces([bytes.slice(0, cut), bytes.slice(cut)], reused)).toEqual(whole);
  }
  return whole;
}

describe('a header of the PROXY protocol', () => {
  it('gives the address and port of the client, and leaves what follows', () => {
    const expected = { status: ProxyStatus.COMPLETE, reason: '' };
    const request = Array.from('GET / HTTP/1.1\r\n', (c) => c.charCodeAt(0));
    expect(read([...header({ rest: IPV4 }), ...request])).toEqual({
      ...expected,
      address: '192.0.2.7',
      port: 0xc815,
      consumed: 28,
    });
    expect(read([...header({ family: 0x21, rest: IPV6 }), ...request])).toEqual({
      ...expected,
      address: '2001:0db8:0000:0000:0000:0000:0000:0001',
      port: 0x0102,
      consumed: 52,
    });
  });

  it('may hold type-length-values, which are skipped', () => {
    const tlv = [1, 0, 2, 104, 50];
    const long = new Array<number>(200).fill(0x0d);
    expect(read(header({ rest: [...IPV4, ...tlv] }))).toMatchObject({ address: '192.0.2.7', consumed: 33 });
    expect(read(header({ rest: [...IPV4, ...long] }))).toMatchObject({ address: '192.0.2.7', consumed: 228 });
    expect(read(header({ family: 0x21, rest: [...IPV6, ...long] }))).toMatchObject({
      address: '2001:0db8:0000:0000:0000:0000:0000:0001',
      consumed: 252,
    });
  });

  it.each([
    ['a proxy that speaks for itself', 0x20, 0, []],
    ['a proxy that speaks for itself, with an address to be ignored', 0x20, 0x11, IPV4],
    ['a proxy that speaks for itself, with too short an address', 0x20, 0x21, [1]],
    ['a client of no known family', 0x21, 0x00, []],
    ['a client of no known family, with bytes', 0x21, 0x00, [1, 2, 3]],
    ['a client of UDP', 0x21, 0x12, IPV4],
    ['a client of UDP over IPv6', 0x21, 0x22, IPV6],
    ['a client of a Unix socket', 0x21, 0x31, new Array<number>(216).fill(47)],
  ])('of %s has no address', (_, command, family, rest) => {
    const bytes = header({ command, family, rest });
    const expected = { status: ProxyStatus.COMPLETE, reason: '', address: '', port: 0 };
    expect(read([...bytes, 71])).toEqual({ ...expected, consumed: bytes.length });
  });

  it.each([
    ['version 1', Array.from('PROXY TCP4 192.0.2.7 198.51.100.1 51221 8080\r\n', (c) => c.charCodeAt(0)), 0],
    ['a request', Array.from('GET / HTTP/1.1\r\n\r\n', (c) => c.charCodeAt(0)), 0],
    [
      'a wrong last byte of the signature',
      header({ signature: [...SIGNATURE.slice(0, 11), 13], rest: IPV4 }),
      11,
    ],
    ['version 1 in binary', header({ command: 0x11, rest: IPV4 }), 12],
    ['version 3', header({ command: 0x31, rest: IPV4 }), 12],
    ['an unknown command', header({ command: 0x22, rest: IPV4 }), 12],
    ['an unknown family', header({ family: 0x41, rest: IPV4 }), 13],
    ['an unknown transport', header({ family: 0x13, rest: IPV4 }), 13],
    ['too few bytes for IPv4', header({ length: 11, rest: IPV4 }), 15],
    ['too few bytes for IPv6', header({ family: 0x21, length: 35, rest: IPV6 }), 15],
    ['too few bytes for a Unix socket', header({ family: 0x31, length: 215, rest: [] }), 15],
    ['too great a length', header({ length: 65_535, rest: IPV4 }), 15],
  ])('with %s is refused', (_, bytes, consumed) => {
    expect(read(bytes)).toMatchObject({ status: 400, address: '', port: 0, consumed });
    expect(read(bytes).reason).not.toBe('');
  });

  it('has a limit', () => {
    expect(read(header({ rest: IPV4 }), 28).status).toBe(ProxyStatus.COMPLETE);
    expect(read(header({ rest: IPV4 }), 27).status).toBe(400);
    const longest = header({ length: 4080, rest: [...IPV4, ...new Array<number>(4068).fill(0)] });
    expect(feedPieces([longest])).toMatchObject({ status: ProxyStatus.COMPLETE, consumed: 4096 });
    expect(feedPieces([header({ length: 4081, rest: [] })]).status).toBe(400);
  });

  it('that is not complete has no address yet', () => {
    for (let size = 0; size < 28; size++) {
      const seen = feedPieces([header({ rest: IPV4 }).slice(0, size)]);
      expect(seen).toEqual({
        status: ProxyStatus.INCOMPLETE,
        reason: '',
        address: '',
        port: 0,
        consumed: size,
      });
    }
  });

  it('takes in nothing behind its end or its fault', () => {
    const parser = new ProxyHeaderParser();
    feedPieces([header({ rest: IPV4 })], parser);
    expect(feedPieces([[1, 2]], parser)).toMatchObject({
      status: ProxyStatus.COMPLETE,
      consumed: 0,
      port: 0xc815,
    });
    parser.reset();
    feedPieces([[1]], parser);
    expect(feedPieces([SIGNATURE], parser)).toMatchObject({ status: 400, consumed: 0 });
  });

  it('may be any bytes without a throw, with the same verdict however they are cut', () => {
    const bytes = fc.oneof(
      fc.array(fc.nat(255), { maxLength: 60 }),
      fc
        .record({
          command: fc.constantFrom(0x20, 0x21, 0x21, 0x22),
          family: fc.constantFrom(0x00, 0x11, 0x11, 0x12, 0x21, 0x31, 0x40),
          length: fc.option(fc.nat(300), { nil: undefined }),
          rest: fc.array(fc.nat(255), { maxLength: 300 }),
        })
        .map(({ length, ...parts }) => header(length === undefined ? parts : { ...parts, length })),
    );
    fc.assert(
      fc.property(bytes, fc.nat(400), (list, at) => {
        const whole = feedPieces([list]);
        const cut = at % (list.length + 1);
        expect(feedPieces([list.slice(0, cut), list.slice(cut)])).toEqual(whole);
        expect([ProxyStatus.INCOMPLETE, ProxyStatus.COMPLETE, 400]).toContain(whole.status);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('an address as text', () => {
  it('is dotted for IPv4, and nothing for other lengths', () => {
    expect(addressText(Uint8Array.of(0, 1, 20, 255))).toBe('0.1.20.255');
    expect(addressText(new Uint8Array(0))).toBe('');
    expect(addressText(new Uint8Array(5))).toBe('');
  });

  it('is all groups of IPv6, as uWebSockets.js writes it', () => {
    const group = fc.constantFrom(0, 0, 0, 1, 0xffff, 0xdb8);
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const bytes = Uint8Array.from(groups.flatMap((value) => [value >> 8, value & 255]));
        const text = addressText(bytes);
        expect(isIPv6(text)).toBe(true);
        const full = groups.map((value) => value.toString(16)).join(':');
        expect(new SocketAddress({ address: text, family: 'ipv6' }).address).toBe(
          new SocketAddress({ address: full, family: 'ipv6' }).address,
        );
      }),
    );
    expect(addressText(Uint8Array.from([...new Array<number>(10).fill(0), 255, 255, 127, 0, 0, 1]))).toBe(
      '0000:0000:0000:0000:0000:ffff:7f00:0001',
    );
  });
});
