import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type BenchOptions, type BenchResult, bench } from 'millrace/bench';
import { describe, expect, test } from 'vitest';
import { example, MillraceProcess } from '../../support/servers/millrace-process.ts';
import { type Answer, echo, startWs } from '../../support/servers/ws-server.ts';

/** A short run with few connections. */
function run(url: string, options: Omit<BenchOptions, 'url'>): Promise<BenchResult> {
  return bench({ url, connections: 4, duration: 1, ...options });
}

/** Nothing went wrong. */
const CLEAN = { errors: 0, timeouts: 0, mismatches: 0, lost: 0, resets: 0, missed: 0 };

describe('a server that echoes', () => {
  test('gets what is counted, but for what comes before its clock starts and after it stops', async () => {
    const server = await startWs();
    const result = await run(server.url, { pipelining: 8, connections: 10, duration: 2 });
    expect(result).toMatchObject({
      ...CLEAN,
      connections: 10,
      pipelining: 8,
      scenario: 'echo',
      interrupted: false,
    });
    expect(result.messages.total).toBeGreaterThan(100);
    // On a busy machine the client learns late that the clock has stopped. Exact amounts are counted below.
    expect(server.received).toBeGreaterThanOrEqual(result.messages.total);
    expect(server.received).toBeLessThan(2 * result.messages.total);
    expect(result.latency.totalCount).toBeGreaterThan(100);
    expect(result.latency.p50).toBeGreaterThan(0);
    expect(result.latency.p99).toBeGreaterThanOrEqual(result.latency.p50);
    expect(result.latency.max).toBeGreaterThanOrEqual(result.latency.p99);
    expect(result.perConnection).toHaveLength(10);
    expect(result.perConnection.reduce((sum, { messages }) => sum + messages, 0)).toBeGreaterThan(100);
  });

  test('is measured without the warm-up', async () => {
    const server = await startWs();
    const result = await run(server.url, { warmup: 1, pipelining: 4 });
    expect(result).toMatchObject(CLEAN);
    const inFlight = 4 * 4;
    // More than the probe's message and what is in flight came before the clock started.
    expect(server.received - result.messages.total).toBeGreaterThan(1 + 2 * inFlight);
    for (const count of [
      result.latency.totalCount,
      result.messages.sent,
      result.perConnection.reduce((sum, { messages }) => sum + messages, 0),
    ]) {
      // The counters are read one after the other while the client goes on.
      expect(Math.abs(count / result.messages.total - 1)).toBeLessThan(0.5);
    }
  });

  test.each([
    ['a single byte', { size: 1 }],
    ['nothing', { size: 0 }],
    ['a 16-bit length', { size: 1000, pipelining: 5 }],
    ['a 64-bit length', { size: 70_000, pipelining: 3 }],
    ['1 MiB', { size: 1024 * 1024, pipelining: 2 }],
    ['text', { size: 200, binary: false, pipelining: 20 }],
    ['a text of the user', { message: 'größer € 😀', pipelining: 7 }],
    ['bytes of the user', { message: new Uint8Array([0, 255, 1]), pipelining: 7 }],
  ])('messages of %s come back as they were sent', async (_what, options) => {
    const server = await startWs();
    const amount = 'size' in options && options.size > 100_000 ? 40 : 1003;
    const result = await run(server.url, { ...options, amount });
    expect(result).toMatchObject(CLEAN);
    expect(result.messages).toMatchObject({ total: amount, sent: amount });
    expect(server.received).toBe(amount);
  });

  test('the amount is exact over several threads', async () => {
    const server = await startWs();
    const result = await run(server.url, { amount: 10_001, workers: 3, connections: 7, pipelining: 4 });
    expect(result).toMatchObject({ ...CLEAN, workers: 3 });
    expect(result.messages.total).toBe(10_001);
    expect(result.latency.totalCount).toBe(10_001);
    expect(server.received).toBe(10_001);
    expect(result.client.threads).toHaveLength(3);
  });

  test('of millrace, in the example, is measured as well', async () => {
    const server = await MillraceProcess.serve([example('echo.js'), '--port', '0', '--shards', '2']);
    const result = await run(server.ws(), { pipelining: 16, amount: 100_000, workers: 2 });
    expect(result).toMatchObject(CLEAN);
    expect(result.messages.total).toBe(100_000);
  });

  test.each([
    ['in fragments', fragments],
    ['with pings in between', withPings],
    ['byte by byte', byteByByte],
  ])('%s has no mismatches', async (_what, answer) => {
    const server = await startWs(answer);
    const result = await run(server.url, { pipelining: 4, amount: 300, size: 40 });
    expect(result).toMatchObject(CLEAN);
    expect(result.messages.total).toBe(300);
  });

  test('is sent no more than the rate asked for, and what it is not sent is counted', async () => {
    const server = await startWs();
    const result = await run(server.url, { overallRate: 400, duration: 1, connections: 3, pipelining: 50 });
    expect(result).toMatchObject({ ...CLEAN, rate: 400 });
    // A busy machine sends late, but never more than is due.
    expect(result.messages.total).toBeGreaterThan(0);
    expect(result.messages.sent).toBeLessThanOrEqual(400 * result.duration + 1);
    const each = await run(server.url, { connectionRate: 100, duration: 1, connections: 3, pipelining: 50 });
    expect(each.rate).toBe(300);
    expect(each.messages.total).toBeGreaterThan(0);
    expect(each.messages.sent).toBeLessThanOrEqual(300 * each.duration + 1);
  });

  test('too slowly for the rate: what was left out is counted, and the wait of the rest', async () => {
    const slow: Answer = (socket, data, isBinary) => {
      setTimeout(() => {
        echo(socket, data, isBinary, 0);
      }, 200);
    };
    const server = await startWs(slow);
    const options = { connectionRate: 100, connections: 1, duration: 2 };
    const corrected = await run(server.url, options);
    // One in flight and 200 ms a reply: 5 of the 100 a second, and 20 waits at most are added for each of them.
    expect(corrected.missed).toBeGreaterThan(corrected.messages.total);
    expect(corrected.latency.max).toBeGreaterThan(190);
    expect(corrected.latency.p50).toBeLessThan(corrected.latency.max);
    expect(corrected.latency.totalCount).toBeGreaterThan(5 * corrected.messages.total);
    const plain = await run(server.url, { ...options, ignoreCoordinatedOmission: true });
    expect(plain.latency.totalCount).toBe(plain.messages.total);
    expect(plain.latency.p50).toBeGreaterThan(190);
  });

  test('gets the handshake that was asked for', async () => {
    const server = await startWs(echo, { handleProtocols: () => 'b' });
    const result = await run(`${server.url}path?query=1`, {
      amount: 10,
      protocols: ['a', 'b'],
      headers: { Origin: 'https://example.com', 'X-Token': 'secret' },
    });
    expect(result).toMatchObject(CLEAN);
    expect(server.request?.url).toBe('/path?query=1');
    expect(server.request?.headers).toMatchObject({
      origin: 'https://example.com',
      'x-token': 'secret',
      'sec-websocket-protocol': 'a, b',
    });
  });
});

describe('a server that lies', () => {
  const cases: [what: string, answer: Answer, expected: Partial<BenchResult>][] = [
    ['changes a byte of one reply', onceAt(20, damaged), { mismatches: 1, lost: 0 }],
    ['answers one message twice', onceAt(20, twice), { mismatches: 1, lost: 0 }],
    ['leaves one reply out', onceAt(20, () => undefined), { mismatches: 1, lost: 1 }],
    ['answers one message as text', onceAt(20, asText), { mismatches: 1, lost: 0 }],
    ['cuts one reply short', onceAt(20, short), { mismatches: 1, lost: 0 }],
  ];
  test.each(cases)('and %s is found out', async (_what, answer, expected) => {
    const server = await startWs(answer);
    const result = await run(server.url, { connections: 1, pipelining: 4, size: 64, duration: 1 });
    expect(result).toMatchObject({ ...CLEAN, ...expected });
    expect(result.messages.total).toBeGreaterThan(100);
  });

  test('and damages the end of a reply whose start has come already is found out', async () => {
    const server = await startWs((socket, data, isBinary, n) => {
      if (n !== 20) return echo(socket, data, isBinary, n);
      const frame = Buffer.concat([Buffer.from([0x82, 64]), data as Buffer]);
      frame[50]! ^= 1;
      const { _socket: raw } = socket as unknown as { _socket: Socket };
      raw.write(frame.subarray(0, 30));
      setTimeout(() => raw.write(frame.subarray(30)), 50);
    });
    const result = await run(server.url, { connections: 1, size: 64, duration: 1 });
    expect(result).toMatchObject({ ...CLEAN, mismatches: 1 });
    expect(result.messages.total).toBeGreaterThan(100);
  });

  test('and sends what nobody asked for is found out', async () => {
    const server = await startWs();
    server.server.on('connection', (socket) => {
      socket.send('hello');
    });
    expect(await run(server.url, { connections: 3, amount: 300 })).toMatchObject({ ...CLEAN, mismatches: 3 });
  });

  test('and swaps two replies is found out', async () => {
    let held: Buffer | null = null;
    const server = await startWs((socket, data, isBinary, n) => {
      if (n === 20) held = data as Buffer;
      else socket.send(data, { binary: isBinary });
      if (n === 21) socket.send(held!, { binary: isBinary });
    });
    const result = await run(server.url, { connections: 1, pipelining: 4, duration: 1 });
    expect(result.mismatches).toBe(2);
  });
});

describe('a server that fails', () => {
  test('by dropping connections: each is an error, and is opened anew', async () => {
    const server = await startWs((socket, data, isBinary, n) => {
      if (n === 50) socket.terminate();
      else echo(socket, data, isBinary, n);
    });
    const result = await run(server.url, { connections: 3, duration: 1 });
    expect(result.errors).toBeGreaterThanOrEqual(3);
    expect(result.resets).toBeGreaterThan(0);
    // The probe is one of them.
    expect(server.opened).toBeLessThanOrEqual(1 + 3 + result.errors);
    expect(result).toMatchObject({ mismatches: 0, timeouts: 0 });
    expect(result.reasons.reduce((sum, { count }) => sum + count, 0)).toBe(result.errors);
    expect(result.reasons[0]!.reason).toMatch(/^the server (closed|reset) the connection$/);
  });

  test('by closing with a code: the code is told', async () => {
    const server = await startWs((socket) => {
      socket.close(4001, 'go away');
    });
    const result = await run(server.url, { connections: 1 });
    expect(result.reasons[0]!.reason).toBe('the server closed the connection with 4001 (go away)');
  });

  test('but not for good: an amount is reached in spite of it', async () => {
    const server = await startWs((socket, data, isBinary, n) => {
      if (n === 100) socket.terminate();
      else echo(socket, data, isBinary, n);
    });
    const result = await run(server.url, { connections: 2, amount: 450, pipelining: 2 });
    expect(result.messages.total).toBe(450);
    expect(result.errors).toBeGreaterThan(0);
  });

  test('by not answering: that is a timeout', async () => {
    const server = await startWs(() => undefined);
    const result = await run(server.url, { connections: 2, duration: 2, timeout: 1 });
    expect(result.timeouts).toBeGreaterThanOrEqual(2);
    expect(result.errors).toBeGreaterThanOrEqual(result.timeouts);
    expect(result.reasons[0]!.reason).toBe('no reply within 1 s');
    expect(result.messages.total).toBe(0);
  });

  test('before it begins: the error says why', async () => {
    const full = await startWs(echo, {
      path: '/here',
      verifyClient: (_info, done) => done(false, 503, 'Full'),
    });
    const port = await closedPort();
    const cases: [url: string, message: RegExp][] = [
      [`ws://127.0.0.1:${port}/`, /connection refused: is the server running/],
      ['ws://there-is-no.invalid/', /there is no host named 'there-is-no.invalid'/],
      [`${full.url}here`, /refused the handshake with 503 Service Unavailable: it takes no more connections/],
      [full.url, /refused the handshake with 400 Bad Request/],
      [full.url.replace('ws:', 'wss:'), /does not speak TLS: is it ws:/],
    ];
    for (const [url, message] of cases) {
      const error = await bench({ url }).then(
        () => null,
        (error: unknown) => error,
      );
      expect(error, url).toMatchObject({
        code: 'MILLRACE_BENCH_FAILED',
        message: expect.stringMatching(message),
      });
    }
  });
});

test('a signal ends the run, and what was measured is there', async () => {
  const server = await startWs();
  const abort = new AbortController();
  const phases = new Set<string>();
  const result = await run(server.url, {
    duration: 60,
    signal: abort.signal,
    onProgress: ({ phase }) => {
      phases.add(phase);
      if (phase === 'running') abort.abort();
    },
  });
  expect(result).toMatchObject({ ...CLEAN, interrupted: true });
  expect(result.duration).toBeLessThan(30);
  expect(result.messages.total).toBeGreaterThan(0);
  expect([...phases]).toEqual(['opening', 'running', 'draining']);
});

/** Another answer to one message. */
function onceAt(at: number, other: Answer): Answer {
  return (socket, data, isBinary, n) => (n === at ? other : echo)(socket, data, isBinary, n);
}

function damaged(...[socket, data, isBinary]: Parameters<Answer>): void {
  const copy = Buffer.from(data as Buffer);
  copy[copy.length - 1]! ^= 1;
  socket.send(copy, { binary: isBinary });
}

function twice(...args: Parameters<Answer>): void {
  echo(...args);
  echo(...args);
}

function asText(...[socket, data]: Parameters<Answer>): void {
  socket.send('x'.repeat((data as Buffer).length));
}

function short(...[socket, data, isBinary]: Parameters<Answer>): void {
  socket.send((data as Buffer).subarray(1), { binary: isBinary });
}

function fragments(...[socket, data, isBinary]: Parameters<Answer>): void {
  const bytes = data as Buffer;
  socket.send(bytes.subarray(0, 7), { binary: isBinary, fin: false });
  socket.send(bytes.subarray(7, 8), { fin: false });
  socket.send(bytes.subarray(8), { fin: true });
}

function withPings(...args: Parameters<Answer>): void {
  const [socket, , , n] = args;
  if (n % 3 === 0) socket.ping(`ping ${n}`);
  echo(...args);
  if (n % 5 === 0) socket.ping();
}

/** The frame in writes of a byte each. */
function byteByByte(...[socket, data]: Parameters<Answer>): void {
  const bytes = data as Buffer;
  const { _socket: raw } = socket as unknown as { _socket: Socket };
  for (const byte of Buffer.concat([Buffer.from([0x82, bytes.length]), bytes]))
    raw.write(Buffer.from([byte]));
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('onProgress', () => {
  const failed = new Error('progress failed');
  const throws = (): never => {
    throw failed;
  };
  const rejects = (): Promise<never> => Promise.reject(failed);

  test.each([
    ['opening', {}, throws],
    ['running', {}, rejects],
    ['running', { amount: 1e9 }, throws],
    ['warmup', { warmup: 60 }, rejects],
    ['draining', { duration: 1 }, rejects],
  ] as const)(
    'that fails while it is %s ends the run, which rejects with that',
    async (phase, options, fail) => {
      const { url } = await startWs();
      const run = bench({
        url,
        connections: 2,
        duration: 60,
        ...options,
        onProgress: (progress) => (progress.phase === phase ? (fail() as unknown as void) : undefined),
      });
      await expect(run).rejects.toBe(failed);
    },
  );

  test('must be a function', async () => {
    await expect(bench({ url: 'ws://127.0.0.1:1', onProgress: 'yes' as never })).rejects.toThrow(
      "'onProgress' must be a function; got 'yes' (a string)",
    );
  });
});
