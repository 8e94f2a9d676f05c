import { describe, expect, it } from 'vitest';
import { type BenchOptions, planOf, rateOf } from '../../../src/load/options.ts';
import { shareOf } from '../../../src/load/thread-message.ts';
import { BENCH_LIMITS } from '../../../src/options/bench-options.ts';

const url = 'ws://localhost:9001';

describe('planOf', () => {
  it('fills in the defaults', () => {
    const plan = planOf({ url });
    for (const [name, limit] of Object.entries(BENCH_LIMITS))
      expect(plan).toHaveProperty(name, limit.default);
    expect(plan).toMatchObject({ scenario: 'echo', binary: true, message: null, protocols: [], headers: [] });
  });

  it('takes the size from the message, and text from a string', () => {
    expect(planOf({ url, message: 'größer' })).toMatchObject({ size: 8, binary: false });
    expect(planOf({ url, message: new Uint8Array(3) })).toMatchObject({ size: 3, binary: true });
    expect(planOf({ url, message: 'x', binary: true }).binary).toBe(true);
  });

  it('takes a rate for each connection or for all', () => {
    expect(rateOf(planOf({ url, connections: 7, connectionRate: 3 }))).toBe(21);
    expect(rateOf(planOf({ url, overallRate: 50 }))).toBe(50);
    expect(rateOf(planOf({ url }))).toBe(0);
  });

  it('stalls half of the connections of the scenario slow', () => {
    expect(planOf({ url, scenario: 'slow', connections: 5 }).stalled).toBe(3);
    expect(planOf({ url, scenario: 'slow', connections: 5, stalled: 1 }).stalled).toBe(1);
  });

  it('sends the name and password of the URL, unless a header does', () => {
    expect(planOf({ url: 'ws://a:b@host' }).headers).toEqual([['Authorization', 'Basic YTpi']]);
    const headers = { authorization: 'Bearer x' };
    expect(planOf({ url: 'ws://a:b@host', headers }).headers).toEqual([['authorization', 'Bearer x']]);
  });

  it('takes numbers as text, and null for what is not given', () => {
    const given = {
      url: 'ws://host',
      connections: '7',
      duration: null,
      size: 0,
      message: null,
      title: null,
    } as never;
    expect(planOf(given)).toMatchObject({ connections: 7, duration: 10, size: 0 });
  });

  const wrong: [options: Partial<BenchOptions>, message: string][] = [
    [{ connections: 0 }, "'connections' must be an integer from 1 to 1000000 (connections); got 0"],
    [{ pipelining: 0.5 }, "'pipelining' must be an integer from 1"],
    [{ pipelining: '0' as never }, "; got '0' (a string)"],
    [{ warmup: 0.5 }, 'or 0 for none; got 0.5'],
    [{ duration: -1 }, "'duration' must be an integer from 1 to 86400 (seconds); got -1"],
    [
      { amount: Number.NaN },
      "'amount' must be an integer from 1 to 1000000000000 (messages), or 0 for as many as",
    ],
    [
      { scenario: 'ehco' as 'echo' },
      "'scenario' must be echo, broadcast, connect, idle, slow, stomp; got 'ehco' (a string)",
    ],
    [{ workers: 3, connections: 2 }, "'workers' must not exceed 'connections'"],
    [{ connectionRate: 1, overallRate: 1 }, "'connectionRate' and 'overallRate' exclude each other"],
    [{ ignoreCoordinatedOmission: true }, "'ignoreCoordinatedOmission' needs a rate"],
    [{ message: new Uint8Array([0xff]), binary: false }, "'message' is not UTF-8"],
    [{ amount: 5, scenario: 'idle' }, "'amount' means nothing to the scenario idle"],
    [{ amount: 5, warmup: 1 }, "'amount' and 'warmup' exclude each other"],
    // A thread without a share would go on for ever.
    [{ amount: 3, workers: 4 }, "'amount' must be at least 1 for each of the 'workers' (4); got 3"],
    [{ overallRate: 5, scenario: 'connect' }, 'the scenario connect sends no messages'],
    [{ scenario: 'slow', connections: 4, stalled: 4 }, "'stalled' must leave one connection that reads"],
    [{ scenario: 'broadcast', size: 15 }, "'size' must be at least 16 bytes"],
    [{ scenario: 'broadcast', connections: 1 }, "needs 'connections' of at least 2"],
    [{ scenario: 'broadcast', message: 'x' }, 'makes its messages itself'],
    [{ scenario: 'stomp', message: 'x' }, 'makes its messages itself'],
    [{ scenario: 'stomp', size: 15 }, "'size' must be at least 16 bytes for the scenario stomp"],
    [{ scenario: 'stomp', connections: 3, publishers: 3 }, 'must be more than the'],
    [{ scenario: 'stomp', connections: 3, publishers: 2, consumers: 2 }, 'must be more than the'],
    [{ scenario: 'stomp', connections: 3, destinations: 3 }, 'must not exceed the subscribers (2)'],
    [{ scenario: 'stomp', consumers: 1, destinations: 3 }, 'must not exceed the consumers (1)'],
    [{ scenario: 'stomp', connections: 200, publishers: 100, pipelining: 60_000 }, 'messages in flight'],
    [{ ackMode: 'some' as 'auto' }, "'ackMode' must be auto, client, client-individual"],
    [{ login: 'a\nb:c' }, "'login' must be a text without line breaks"],
    [{ receipts: 'perhaps' as never }, "'receipts'"],
    [
      { scenario: 'broadcast', connections: 3, publishers: 4 },
      "'publishers' must not exceed 'connections' (3); got 4",
    ],
    // Misspelt, it would have no effect.
    [{ conections: 5 } as never, "bench: 'conections' is no option; did you mean 'connections'?"],
    [{ message: 5 as never }, "'message' must be a string or a Uint8Array; got 5"],
    [
      { protocols: 'chat' as never },
      "'protocols' must be a list of names such as ['chat.v1']; got 'chat' (a string)",
    ],
    [{ protocols: [1] as never }, "'protocols' must be a list of names"],
    [{ headers: { a: 1 } as never }, "'headers' must be an object with texts"],
    [{ headers: 'a' as never }, "'headers' must be an object with texts"],
    [{ title: Symbol('x') as never }, "'title' must be a text; got a symbol"],
    [{ scenario: Symbol('x') as never }, "'scenario' must be echo"],
    [{ insecure: 'no' as never }, "'insecure' must be true or false, or 1 or 0; got 'no' (a string)"],
    [{ binary: 'no' as never }, "'binary' must be true or false, or 1 or 0"],
    [{ signal: {} as never }, "'signal' must be an AbortSignal; got an object"],
    [{ onProgress: {} as never }, "'onProgress' must be a function; got an object"],
    [{ protocols: ['a b'] }, 'subprotocol must be a token'],
    [{ headers: { 'a b': 'c' } }, 'name of a header must be a token'],
    [{ headers: { a: 'b\r\nc' } }, 'The value of a'],
    [{ headers: { Upgrade: 'x' } }, 'headers must not contain Upgrade'],
  ];
  it.each(wrong)('refuses %j', (options, message) => {
    expect(() => planOf({ url, ...options })).toThrow(message);
  });
});

describe('shareOf', () => {
  it('divides without a rest, and each share begins where the one before ends', () => {
    for (const [total, parts] of [
      [10, 3],
      [3, 3],
      [0, 2],
      [7, 1],
      [5, 4],
    ] as const) {
      const shares = Array.from({ length: parts }, (_, i) => shareOf(total, parts, i));
      let before = 0;
      for (const share of shares) {
        expect(share.before).toBe(before);
        before += share.size;
      }
      expect(before).toBe(total);
      const sizes = shares.map(({ size }) => size);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  });
});
