import { describe, expect, test } from 'vitest';
import { keyOfBytes, parseAddress } from '../../../src/admission/peer-address.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

describe('the key of an address', () => {
  test.each([
    ['192.0.2.1', '::ffff:192.0.2.1'],
    ['192.0.2.1', '::ffff:c000:201'],
    ['192.0.2.1', '0:0:0:0:0:FFFF:192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0:ffff:ffff:ffff:ffff'],
    ['2001:db8::1', '2001:0db8::2'],
    ['fe80::1', 'fe80::2%eth0'],
    ['::1', '::'],
  ])('%s is that of %s', (one, other) => {
    expect(parseAddress(one)).toBeDefined();
    expect(parseAddress(other)).toEqual(parseAddress(one));
  });

  test('tells IPv4 addresses, and the /64 of IPv6 addresses, apart', () => {
    const all = ['192.0.2.1', '192.0.2.2', '1.0.0.0', '2001:db8::1', '2001:db8:0:1::1', '::1', '::1:0:0:0:0'];
    // IPv4 in other forms of IPv6 than ::ffff: is not what it looks like.
    all.push('64:ff9b::192.0.2.1', 'ffff:0:c000:201::');
    expect(new Set(all.map((text) => String(parseAddress(text)))).size).toBe(all.length);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2..4',
    '1.2.3.-4',
    'localhost',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '/run/socket',
  ])('%j has none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('of bytes is that of their text', () => {
    expect(keyOfBytes(bytes('c0000201'))).toEqual(parseAddress('192.0.2.1'));
    expect(keyOfBytes(bytes('00000000000000000000ffffc0000201'))).toEqual(parseAddress('192.0.2.1'));
    expect(keyOfBytes(bytes('20010db8000100020003000400050006'))).toEqual(parseAddress('2001:db8:1:2::'));
    expect(keyOfBytes(bytes(''))).toBeUndefined();
    expect(keyOfBytes(bytes('c00002'))).toBeUndefined();
  });
});
