import { type BenchOptions, type BenchResult, bench } from 'millrace/bench';
import { describe, expect, test } from 'vitest';
import type { RawData, WebSocket } from 'ws';
import { example, MillraceProcess } from '../../support/servers/millrace-process.ts';
import { type Answer, echo, startWs, type WsServer } from '../../support/servers/ws-server.ts';

function run(url: string, options: Omit<BenchOptions, 'url'>): Promise<BenchResult> {
  return bench({ url, connections: 4, duration: 1, ...options });
}

const CLEAN = { errors: 0, timeouts: 0, mismatches: 0, lost: 0, resets: 0, missed: 0 };

/** A server that sends what comes to all connections; `skips` says to which it does not. */
async function startRelay(
  skips: (from: WebSocket, to: WebSocket, n: number) => boolean = () => false,
  change: (data: Buffer, n: number) => Buffer = (data) => data,
): Promise<WsServer> {
  const relay: Answer = (from, data, isBinary, n) => {
    for (const to of started.server.clients) {
      if (!skips(from, to, n)) to.send(change(data as Buffer, n), { binary: isBinary });
    }
  };
  const started = await startWs(relay);
  return started;
}

describe('broadcast', () => {
  test.each([
    ['the sender too', 1, false],
    ['all but the sender', 0, true],
  ])('to %s: every message arrives once and in order', async (_whom, own, withoutSender) => {
    const server = await startRelay((from, to) => withoutSender && from === to);
    const options = {
      scenario: 'broadcast',
      connections: 6,
      publishers: 3,
      pipelining: 4,
      amount: 500,
    } as const;
    const start = performance.now();
    const result = await run(server.url, options);
    expect(result).toMatchObject(CLEAN);
    expect(server.received).toBe(500);
    expect(result.messages).toMatchObject({ total: 500 * (5 + own), sent: 500 });
    expect(result.latency.p50).toBeGreaterThan(0);
    // No message can have taken longer than all of it.
    expect(result.latency.max).toBeLessThan(performance.now() - start);
  });

  test('over two threads, for a time, as text, by every connection', async () => {
    const server = await startRelay();
    const options = {
      scenario: 'broadcast',
      connections: 5,
      publishers: 5,
      workers: 2,
      binary: false,
    } as const;
    const start = performance.now();
    const result = await run(server.url, options);
    expect(result).toMatchObject(CLEAN);
    expect(result.messages.total).toBeGreaterThan(100);
    // No message can have taken longer than all of it.
    expect(result.latency.max).toBeLessThan(performance.now() - start);
  });

  test('through the shards of millrace', async () => {
    const server = await MillraceProcess.serve([example('relay.js'), '--port', '0', '--shards', '2']);
    const options = {
      scenario: 'broadcast',
      connections: 20,
      publishers: 4,
      pipelining: 8,
      workers: 2,
    } as const;
    const result = await run(server.ws(), { ...options, amount: 10_000 });
    expect(result).toMatchObject(CLEAN);
    expect(result.messages.total).toBe(10_000 * 19);
  });

  test('at a rate that is not exceeded', async () => {
    const server = await startRelay();
    const options = {
      scenario: 'broadcast',
      connectionRate: 50,
      publishers: 2,
      pipelining: 20,
    } as const;
    const result = await run(server.url, options);
    expect(result).toMatchObject({ ...CLEAN, rate: 100 });
    // A busy machine sends late, but never more than is due.
    expect(server.received).toBeGreaterThan(0);
    expect(result.messages.sent).toBeLessThanOrEqual(100 * result.duration + 1);
  });

  test.each([
    ['loses one', (_to: WebSocket, n: number): number => (n === 10 ? 0 : 1), { lost: 1, mismatches: 0 }],
    ['doubles one', (_to: WebSocket, n: number): number => (n === 10 ? 2 : 1), { lost: 0, mismatches: 1 }],
  ])('finds out a server that %s for one connection', async (_what, times, expected) => {
    let victim: WebSocket | null = null;
    const server = await startWs((from, data, isBinary, n) => {
      for (const to of server.server.clients) {
        if (to !== from) victim ??= to;
        const count = to === victim ? times(to, n) : 1;
        for (let i = 0; i < count; i++) to.send(data, { binary: isBinary });
      }
    });
    const result = await run(server.url, { scenario: 'broadcast', amount: 100, pipelining: 4 });
    expect(result).toMatchObject({ ...CLEAN, ...expected });
  });

  test('finds out a server that swaps two, loses the last one, or damages one', async () => {
    const swaps = await startSwapping();
    expect((await run(swaps.url, { scenario: 'broadcast', connections: 2, pipelining: 5 })).mismatches).toBe(
      1,
    );
    const losesLast = await startRelay((from, to, n) => from !== to && n === 99);
    const options = { scenario: 'broadcast', connections: 2, timeout: 1, amount: 100 } as const;
    expect(await run(losesLast.url, options)).toMatchObject({ mismatches: 0, lost: 1 });
    const damages = await startRelay(undefined, (data, n) => {
      const copy = Buffer.from(data);
      if (n === 7) copy[40]! ^= 1;
      return copy;
    });
    const damaged = await run(damages.url, { scenario: 'broadcast', connections: 2, pipelining: 2 });
    expect(damaged).toMatchObject({ mismatches: 2, lost: 2 });
  });
});

/** Message 20 goes out after message 21, to all but the sender. */
async function startSwapping(): Promise<WsServer> {
  let held: RawData | null = null;
  const started = await startWs((from, data, isBinary, n) => {
    if (n === 20) held = data;
    for (const to of started.server.clients) {
      if (to === from) continue;
      if (n !== 20) to.send(data, { binary: isBinary });
      if (n === 21) to.send(held!, { binary: isBinary });
    }
  });
  return started;
}

describe('connect', () => {
  test('opens and closes so many connections, and the server has seen each', async () => {
    const server = await startWs();
    const codes: number[] = [];
    server.server.on('connection', (socket) => {
      socket.on('close', (code) => codes.push(code));
    });
    const result = await run(server.url, { scenario: 'connect', amount: 200, workers: 2 });
    expect(result).toMatchObject(CLEAN);
    expect(result.messages.total).toBe(200);
    expect(result.latency.totalCount).toBe(200);
    // And the one that looks whether the server is there.
    expect(server.opened).toBe(201);
    expect(new Set(codes)).toEqual(new Set([1000]));
  });

  test('for a time', async () => {
    const server = await MillraceProcess.serve([example('echo.js'), '--port', '0', '--shards', '2']);
    const result = await run(server.ws(), { scenario: 'connect', connections: 10 });
    expect(result).toMatchObject(CLEAN);
    expect(result.messages.total).toBeGreaterThan(50);
    expect(result.latency.p50).toBeGreaterThan(0);
  });

  test('counts those that are refused', async () => {
    let n = 0;
    const server = await startWs(echo, { verifyClient: () => ++n % 10 !== 0 });
    const result = await run(server.url, { scenario: 'connect', amount: 100, connections: 5 });
    expect(result.messages.total).toBe(100);
    expect(result.errors).toBeGreaterThanOrEqual(9);
    expect(result.reasons[0]!.reason).toContain('the server refused the handshake with 401 Unauthorized');
  });
});

describe('idle', () => {
  test('holds connections, answers pings, and knows the server’s memory', async () => {
    const server = await startWs();
    let pongs = 0;
    server.server.on('connection', (socket) => {
      socket.on('pong', () => pongs++);
      setTimeout(() => {
        socket.ping();
      }, 100);
    });
    const result = await run(server.url, { scenario: 'idle', connections: 50, pid: process.pid });
    expect(result).toMatchObject({ ...CLEAN, held: { open: 50 } });
    expect(result.messages.total).toBe(0);
    expect(pongs).toBe(50);
    expect(result.server).toMatchObject({ pid: process.pid });
    expect(result.server!.before).toBeGreaterThan(1e6);
    expect(result.history[0]!.serverMemory).toBeGreaterThan(1e6);
  });

  test('counts those that the server ends', async () => {
    const server = await startWs();
    let n = 0;
    server.server.on('connection', (socket) => {
      if (++n === 5) setTimeout(() => socket.close(4002), 200);
    });
    const result = await run(server.url, { scenario: 'idle', connections: 10 });
    expect(result).toMatchObject({ errors: 1, resets: 1, held: { open: 10 } });
  });
});

describe('slow', () => {
  test('connections that do not read are ended by the server, and the others echo on', async () => {
    const LIMIT = 256 * 1024;
    const server = await startWs((socket, data, isBinary, n) => {
      echo(socket, data, isBinary, n);
      if (socket.bufferedAmount > LIMIT) socket.terminate();
    });
    const options = { scenario: 'slow', connections: 6, stalled: 2, duration: 3, size: 16_000 } as const;
    const result = await run(server.url, options);
    expect(result).toMatchObject({ errors: 0, mismatches: 0, lost: 0 });
    expect(result.messages.total).toBeGreaterThan(100);
    expect(result.stalled!.connections).toBe(2);
    expect(result.stalled!.ended).toBeGreaterThan(0);
    expect(result.stalled!.sent).toBeGreaterThan(LIMIT);
    const idle = result.perConnection.filter(({ messages }) => messages === 0);
    expect(idle).toHaveLength(2);
  });

  test('of millrace too', async () => {
    const server = await MillraceProcess.serve([example('echo.js'), '--port', '0', '--shards', '1']);
    const result = await run(server.ws(), { scenario: 'slow', connections: 10, size: 1000, duration: 2 });
    expect(result).toMatchObject({ errors: 0, mismatches: 0, lost: 0 });
    expect(result.stalled!.connections).toBe(5);
    expect(result.messages.total).toBeGreaterThan(100);
  });
});
