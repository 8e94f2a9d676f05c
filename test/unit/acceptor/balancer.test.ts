import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Balancer, cookieValue } from '../../../src/acceptor/balancer.ts';
import type { RequestHead } from '../../../src/http/request-head.ts';
import { type HashKey, newHashKey } from '../../../src/keyed-hash.ts';
import { ControlBlock, Gauge } from '../../../src/metrics/control-block.ts';
import type { Balance } from '../../../src/shard/control-message.ts';

const all = (): boolean => true;
const noAddress = (): string => {
  throw new Error('the address was not needed');
};

function head(path: string, headers: Record<string, string> = {}): RequestHead {
  return { path, header: (name: string) => headers[name] ?? '' } as unknown as RequestHead;
}

function balancer(
  balance: Balance,
  shards: number,
  key: HashKey = [1, 2],
): { balancer: Balancer; control: ControlBlock } {
  const control = new ControlBlock(shards);
  return { balancer: new Balancer(balance, control, key), control };
}

describe('round-robin', () => {
  test('goes around', () => {
    const { balancer: it } = balancer('round-robin', 3);
    const chosen = Array.from({ length: 7 }, () => it.choose(all, null, noAddress));
    expect(chosen).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  test('passes over who takes no connections', () => {
    const { balancer: it } = balancer('round-robin', 3);
    const chosen = Array.from({ length: 6 }, () => it.choose((shard) => shard !== 1, null, noAddress));
    expect(new Set(chosen)).toEqual(new Set([0, 2]));
    expect(it.choose(() => false, null, noAddress)).toBe(-1);
  });
});

describe('least-connections', () => {
  test('chooses one with the fewest among those that take connections', () => {
    const property = fc.property(
      fc.array(fc.record({ live: fc.nat(5), isUp: fc.boolean() }), { minLength: 1, maxLength: 8 }),
      fc.nat(20),
      (shards, turns) => {
        const { balancer: it, control } = balancer('least-connections', shards.length);
        shards.forEach(({ live }, i) => {
          control.setGauge(i, Gauge.LIVE, live);
        });
        const isUp = (shard: number): boolean => shards[shard]!.isUp;
        const fewest = Math.min(...shards.filter((shard) => shard.isUp).map(({ live }) => live));
        for (let i = 0; i <= turns; i++) {
          const chosen = it.choose(isUp, null, noAddress);
          if (shards.every((shard) => !shard.isUp)) expect(chosen).toBe(-1);
          else expect(shards[chosen]).toEqual({ live: fewest, isUp: true });
        }
      },
    );
    fc.assert(property, { numRuns: 200 });
  });

  test('spreads evenly, also when nobody has a connection yet', () => {
    const { balancer: it, control } = balancer('least-connections', 4);
    const ties = new Set(Array.from({ length: 4 }, () => it.choose(all, null, noAddress)));
    expect(ties.size).toBe(4);
    for (let i = 0; i < 100; i++) control.addGauge(it.choose(all, null, noAddress), Gauge.LIVE, 1);
    expect([0, 1, 2, 3].map((shard) => control.gauge(shard, Gauge.LIVE))).toEqual([25, 25, 25, 25]);
  });
});

describe('sticky', () => {
  const requests: [string, Balance, (key: string) => RequestHead | null][] = [
    ['ip', { sticky: 'ip' }, () => head('/')],
    ['url', { sticky: 'url' }, (key) => head(`/${key}`)],
    ['a header', { sticky: { header: 'X-Room' } }, (key) => head('/', { 'x-room': key })],
    ['a cookie', { sticky: { cookie: 'room' } }, (key) => head('/', { cookie: `a=b; room=${key}; c=d` })],
  ];

  test.each(requests)('%s sends the same to the same shard, and different ones to all', (_name, by, ask) => {
    const { balancer: it, control } = balancer(by, 4);
    const chosen = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const key = `key ${i % 200}`;
      const shard = it.choose(all, ask(key), () => key);
      expect(shard).toBe(chosen.get(key) ?? shard);
      chosen.set(key, shard);
      // However full it is.
      control.addGauge(shard, Gauge.LIVE, 1);
    }
    const perShard = [0, 1, 2, 3].map((shard) => [...chosen.values()].filter((s) => s === shard).length);
    for (const count of perShard) expect(count).toBeGreaterThan(20);
  });

  test('goes elsewhere while its shard is down, and back again', () => {
    const { balancer: it } = balancer({ sticky: 'url' }, 3);
    const home = it.choose(all, head('/room'), noAddress);
    const away = it.choose((shard) => shard !== home, head('/room'), noAddress);
    expect(away).not.toBe(home);
    expect(it.choose((shard) => shard !== home, head('/room'), noAddress)).toBe(away);
    expect(it.choose(all, head('/room'), noAddress)).toBe(home);
    expect(it.choose(() => false, head('/room'), noAddress)).toBe(-1);
  });

  test('chooses the shard with the fewest connections when there is no key', () => {
    const { balancer: it, control } = balancer({ sticky: { cookie: 'room' } }, 2);
    control.setGauge(0, Gauge.LIVE, 5);
    expect(it.choose(all, head('/', { cookie: 'other=1' }), noAddress)).toBe(1);
    control.setGauge(1, Gauge.LIVE, 9);
    expect(it.choose(all, head('/'), noAddress)).toBe(0);
  });

  test('chooses other shards with another key, so that nobody can aim at one', () => {
    // All these paths end in the same shard of two by a plain hash: the parity of their bytes is one.
    const paths = Array.from({ length: 100 }, (_, i) => `/${String.fromCharCode(0x41 + (i % 50))}`.repeat(2));
    const choices = (key: HashKey): string => {
      const { balancer: it } = balancer({ sticky: 'url' }, 2, key);
      return paths.map((path) => it.choose(all, head(path), noAddress)).join('');
    };
    expect(choices([1, 2])).toBe(choices([1, 2]));
    expect(choices([1, 3])).not.toBe(choices([1, 2]));
    for (const key of [newHashKey(), newHashKey(), newHashKey()]) {
      expect(new Set(choices(key)).size).toBe(2);
    }
  });

  test('takes the address where no request is read', () => {
    const { balancer: it } = balancer({ sticky: 'url' }, 8);
    const chosen = new Set(Array.from({ length: 100 }, (_, i) => it.choose(all, null, () => `10.0.0.${i}`)));
    expect(chosen.size).toBe(8);
    expect(it.choose(all, null, () => '10.0.0.1')).toBe(it.choose(all, null, () => '10.0.0.1'));
  });
});

describe('the value of a cookie', () => {
  test.each([
    ['room=1', '1'],
    ['a=b; room=1', '1'],
    ['a=b;room=1;c=d', '1'],
    ['  room = 1 ; c=d', '1'],
    ['room=a=b', 'a=b'],
    ['room="quoted"', '"quoted"'],
    ['room=first; room=second', 'first'],
    ['room=', ''],
    ['room', ''],
    ['Room=1', ''],
    ['xroom=1; roomx=2', ''],
    ['=1; ;;;', ''],
    ['', ''],
    ['a; room=1', '1'],
    ['; room=1;', '1'],
  ])('of %j is %j', (header, value) => {
    expect(cookieValue(header, 'room')).toBe(value);
  });

  test('is found in time linear in the header', () => {
    expect(cookieValue(`${'a;'.repeat(500_000)}room=1`, 'room')).toBe('1');
    expect(cookieValue('='.repeat(1_000_000), 'room')).toBe('');
  });
});
