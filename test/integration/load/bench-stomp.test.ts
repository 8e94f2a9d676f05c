import { type BenchOptions, type BenchResult, bench } from 'millrace/bench';
import { describe, expect, it, test } from 'vitest';
import { type Change, type SimpleFrame, startSimpleBroker } from '../../support/servers/stomp-broker.ts';

function run(url: string, options: Omit<BenchOptions, 'url'>): Promise<BenchResult> {
  return bench({ url, scenario: 'stomp', connections: 4, amount: 200, pipelining: 4, ...options });
}

const CLEAN = { errors: 0, timeouts: 0, mismatches: 0, lost: 0, resets: 0, missed: 0 };

describe('stomp', () => {
  test('every subscriber of a topic gets every message of every publisher', async () => {
    const broker = await startSimpleBroker();
    const result = await run(broker.url, { connections: 7, publishers: 2, destinations: 2, amount: 400 });
    expect(result).toMatchObject(CLEAN);
    // Half of the messages went to each topic: to three subscribers and to two.
    expect(result.messages).toMatchObject({ total: 200 * 3 + 200 * 2, sent: 400 });
    expect(result.stomp).toEqual({ topics: 1000, queues: 0, acknowledged: 0, redelivered: 0, receipts: 0 });
    expect(result.latency.p50).toBeGreaterThan(0);
  });

  test.each([
    ['1.2', 'client-individual', 'id'],
    ['1.2', 'client', 'id'],
    ['1.1', 'client-individual', 'message-id'],
    ['1.0', 'client', 'message-id'],
  ] as const)('consumers acknowledge in %s, %s', async (version, ackMode, header) => {
    const broker = await startSimpleBroker({ version });
    const result = await run(broker.url, { consumers: 3, ackMode, workers: 2 });
    expect(result).toMatchObject({ ...CLEAN, messages: { total: 200, sent: 200 } });
    expect(result.stomp).toMatchObject({ topics: 0, queues: 200, acknowledged: 200 });
    expect(broker.unacknowledged.size).toBe(0);
    const acks = broker.frames.filter(({ command }) => command === 'ACK');
    expect(acks.length).toBeGreaterThan(0);
    for (const { headers } of acks) expect(headers).toHaveProperty(header);
  });

  test('topics and queues at once, over threads, with receipts, for a time', async () => {
    const broker = await startSimpleBroker();
    const result = await run(broker.url, {
      connections: 9,
      publishers: 2,
      consumers: 4,
      destinations: 2,
      workers: 2,
      receipts: true,
      amount: 0,
      duration: 1,
    });
    expect(result).toMatchObject(CLEAN);
    expect(result.stomp!.topics).toBeGreaterThan(0);
    expect(result.stomp!.queues).toBeGreaterThan(0);
    expect(result.stomp!.receipts).toBeGreaterThan(0);
    expect(broker.unacknowledged.size).toBe(0);
  });

  test('auto acknowledges nothing, and a rate is not exceeded', async () => {
    const broker = await startSimpleBroker();
    const options = { consumers: 3, ackMode: 'auto', amount: 0, duration: 1, connectionRate: 50 } as const;
    const result = await run(broker.url, options);
    expect(result).toMatchObject({ ...CLEAN, rate: 50, stomp: { acknowledged: 0 } });
    expect(result.messages.sent).toBeGreaterThan(0);
    expect(result.messages.sent).toBeLessThanOrEqual(50 * result.duration + 1);
    expect(broker.frames.filter(({ command }) => command === 'ACK')).toEqual([]);
  });

  test('CONNECT says who, and to which host', async () => {
    const broker = await startSimpleBroker();
    await run(broker.url, { login: 'ann', passcode: 'a:b', virtualHost: '/', protocols: ['v11.stomp'] });
    const [connect] = broker.frames;
    expect(connect).toEqual({
      command: 'CONNECT',
      headers: {
        'accept-version': '1.1',
        host: '/',
        'heart-beat': '0,0',
        login: 'ann',
        passcode: 'a:b',
      },
      body: '',
    });
    expect(broker.request!.headers['sec-websocket-protocol']).toBe('v11.stomp');
  });

  test('brokers that confirm no subscription are measured as well', async () => {
    const broker = await startSimpleBroker({ confirms: ({ command }) => command !== 'SUBSCRIBE' });
    expect(await run(broker.url, { connections: 2, amount: 20 })).toMatchObject({
      ...CLEAN,
      messages: { total: 20 },
    });
  });
});

describe('stomp finds out a broker that', () => {
  const times =
    (which: number, count: number): Change =>
    (frame, number) =>
      number === which ? Array.from({ length: count }, () => frame) : [frame];
  const changes =
    (which: number, headers: Record<string, string>, body?: string): Change =>
    (frame, number) =>
      number === which
        ? [{ ...frame, headers: { ...frame.headers, ...headers }, body: body ?? frame.body }]
        : [frame];
  const topic = { connections: 2, amount: 50 } as const;
  const queue = { connections: 2, consumers: 1, amount: 50 } as const;

  test.each<[what: string, options: Partial<BenchOptions>, change: Change, expected: object]>([
    ['loses one of a topic', topic, times(10, 0), { lost: 1, mismatches: 0 }],
    ['loses the last one', { ...topic, timeout: 1 }, times(49, 0), { lost: 1, mismatches: 0 }],
    ['doubles one of a topic', topic, times(10, 2), { lost: 0, mismatches: 1 }],
    ['loses one of a queue', { ...queue, timeout: 1 }, times(10, 0), { lost: 1, mismatches: 0 }],
    ['doubles one of a queue', queue, times(10, 2), { lost: 0, mismatches: 1 }],
    ['swaps two', queue, swap(10), { lost: 0, mismatches: 1 }],
    [
      'damages one',
      topic,
      (f, n) => [n === 10 ? { ...f, body: `${f.body.slice(0, -1)}~` } : f],
      { mismatches: 1, lost: 1 },
    ],
    [
      'delivers for another subscription',
      topic,
      changes(10, { subscription: 'sub-1' }),
      { mismatches: 1, lost: 1 },
    ],
    ['delivers from elsewhere', topic, changes(10, { destination: '/topic/x' }), { mismatches: 1, lost: 1 }],
  ])('%s', async (_what, options, change, expected) => {
    const broker = await startSimpleBroker({ change });
    expect(await run(broker.url, options)).toMatchObject(expected);
  });

  it('delivers again, and says so: that is counted apart', async () => {
    const again: Change = (frame, number) =>
      number === 10 ? [frame, { ...frame, headers: { ...frame.headers, redelivered: 'true' } }] : [frame];
    const broker = await startSimpleBroker({ change: again });
    const result = await run(broker.url, queue);
    expect(result).toMatchObject({
      ...CLEAN,
      messages: { total: 50 },
      stomp: { queues: 50, redelivered: 1 },
    });
  });

  it('gives no RECEIPT for a SEND', async () => {
    const broker = await startSimpleBroker({ confirms: ({ headers }) => headers['receipt'] !== '3' });
    const result = await run(broker.url, { ...topic, receipts: true, timeout: 1, amount: 8 });
    expect(result).toMatchObject({ ...CLEAN, errors: 1, timeouts: 1, stomp: { receipts: 7 } });
    expect(result.reasons).toEqual([{ reason: 'no RECEIPT came within 1 s', count: 1 }]);
  });

  it('does not speak STOMP', async () => {
    const broker = await startSimpleBroker({ change: () => [{ command: 'HELLO', headers: {}, body: '' }] });
    const result = await run(broker.url, { ...topic, timeout: 1 });
    expect(result.mismatches).toBeGreaterThan(0);
    expect(result.reasons[0]!.reason).toContain('the broker broke the STOMP protocol');
  });
});

/** A delivery comes behind the next one. */
function swap(which: number): Change {
  let held: SimpleFrame | null = null;
  return (frame, number) => {
    if (number === which) held = frame;
    if (number === which + 1) return [frame, held!];
    return number === which ? [] : [frame];
  };
}

describe('an ERROR', () => {
  const error = (message: string): SimpleFrame => ({
    command: 'ERROR',
    headers: { message },
    body: 'not\u001B[31m today',
  });

  test('to CONNECT ends the run before it begins, in words that can be printed', async () => {
    const broker = await startSimpleBroker({ refuses: () => error('Bad CONNECT') });
    await expect(run(broker.url, {})).rejects.toMatchObject({
      code: 'MILLRACE_BENCH_FAILED',
      message: expect.stringContaining('the broker sent ERROR (Bad CONNECT: not') as string,
    });
  });

  test('to a SEND is counted and told', async () => {
    let sends = 0;
    const broker = await startSimpleBroker({
      refuses: ({ command }) => (command === 'SEND' && sends++ === 20 ? error('queue is full') : null),
    });
    const result = await run(broker.url, { connections: 2, consumers: 1, amount: 50, timeout: 1 });
    expect(result.reasons.map(({ reason }) => reason)).toContainEqual(
      expect.stringContaining('the broker sent ERROR (queue is full: not'),
    );
    for (const { reason } of result.reasons) expect(reason).not.toContain('\u001B');
    expect(result.resets).toBe(1);
  });
});
