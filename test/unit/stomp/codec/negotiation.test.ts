import { describe, expect, it } from 'vitest';
import { agreedHeartBeat, agreedVersion } from '../../../../src/stomp/codec/negotiation.ts';

describe('agreedVersion', () => {
  it.each<[string | undefined, string, string | null]>([
    ['1.0,1.1,1.2', '', '1.2'],
    ['1.2', '', '1.2'],
    ['1.1,1.0', '', '1.1'],
    [' 1.0 , 1.1 ', '', '1.1'],
    [undefined, '', '1.0'],
    ['', '', null],
    ['1.3,2.0', '', null],
    ['1.20', '', null],
    ['9.9,1.0', '', '1.0'],
    ['1.0,1.1,1.2', 'v11.stomp', '1.1'],
    ['1.0,1.1,1.2', 'v10.stomp', '1.0'],
    ['1.1', 'v12.stomp', '1.1'],
    ['1.2', 'chat', '1.2'],
  ])('of accept-version %j over the subprotocol %j is %j', (accepted, protocol, version) => {
    expect(agreedVersion(accepted, protocol)).toBe(version);
  });
});

describe('agreedHeartBeat', () => {
  const own = { send: 10_000, receive: 20_000 };

  it.each<[string | undefined, { send: number; receive: number } | null]>([
    [undefined, { send: 0, receive: 0 }],
    ['0,0', { send: 0, receive: 0 }],
    ['10000,10000', { send: 10_000, receive: 20_000 }],
    ['30000,30000', { send: 30_000, receive: 30_000 }],
    ['5000,0', { send: 0, receive: 20_000 }],
    ['0,5000', { send: 10_000, receive: 0 }],
    [' 4 , 5 ', { send: 10_000, receive: 20_000 }],
    ['999999999999999,0', { send: 0, receive: 86_400_000 }],
    ['', null],
    ['1000', null],
    ['-1,0', null],
    ['1,x', null],
    ['1,2,3', null],
    ['1.5,1', null],
    [`${'9'.repeat(400)},0`, null],
  ])('of %j', (header, agreed) => {
    expect(agreedHeartBeat(header, own)).toEqual(agreed);
  });

  it('has none where this side offers none', () => {
    expect(agreedHeartBeat('1000,1000', { send: 0, receive: 0 })).toEqual({ send: 0, receive: 0 });
  });
});
