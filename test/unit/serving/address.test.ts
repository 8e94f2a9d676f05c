import { expect, it } from 'vitest';
import { addressAsText, addressBytes } from '../../../src/serving/address.ts';

const hex = (address: string): string => Buffer.from(addressBytes(address)).toString('hex');

it.each([
  ['1.2.3.4', '01020304'],
  ['255.255.255.255', 'ffffffff'],
  ['::', '00000000000000000000000000000000'],
  ['::1', '00000000000000000000000000000001'],
  ['1::', '00010000000000000000000000000000'],
  ['2001:db8::a:1', '20010db80000000000000000000a0001'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
  ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
  ['fe80::1%eth0', 'fe800000000000000000000000000001'],
  // Of a Unix socket, or unknown.
  ['', ''],
  ['localhost', ''],
  ['1.2.3', ''],
])('addressBytes of %j', (address, expected) => {
  expect(hex(address)).toBe(expected);
});

it.each(['1.2.3.4', '0000:0000:0000:0000:0000:0000:0000:0001'])('%s is the same as text again', (text) => {
  expect(Buffer.from(addressAsText(new Uint8Array(addressBytes(text)))).toString()).toBe(text);
});
