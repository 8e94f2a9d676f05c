import type { Socket } from 'node:net';
import { App, SHARED_COMPRESSOR } from 'millrace';
import { type BenchOptions, type BenchResult, bench } from 'millrace/bench';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Answer, echo, startWs } from '../../support/servers/ws-server.ts';

function run(url: string, options: Omit<BenchOptions, 'url'>): Promise<BenchResult> {
  return bench({ url, connections: 4, deflate: true, ...options });
}

const CLEAN = { errors: 0, timeouts: 0, mismatches: 0, lost: 0, resets: 0 };
const COMPRESSES = { perMessageDeflate: { threshold: 0 } };

describe('with permessage-deflate', () => {
  test.each([10, 1000, 100_000])(
    'messages of %d bytes go out compressed and come back the same',
    async (size) => {
      let largest = 0;
      const server = await startWs(echo, COMPRESSES);
      server.server.on('connection', (socket) => {
        const { _socket: raw } = socket as unknown as { _socket: Socket };
        raw.on('close', () => {
          largest = Math.max(largest, raw.bytesRead);
        });
      });
      const result = await run(server.url, { size, amount: 200, pipelining: 3, connections: 1 });
      expect(result).toMatchObject(CLEAN);
      expect(result.messages.total).toBe(200);
      expect(server.request?.headers['sec-websocket-extensions']).toBe(
        'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
      );
      if (size < 100) return;
      expect(result.throughput.total).toBeLessThan(200 * size * 0.7);
      expect(largest).toBeLessThan(200 * size * 0.7);
    },
  );

  test('a server that compresses nothing below its threshold is fine', async () => {
    const server = await startWs(echo, { perMessageDeflate: { threshold: 1e6 } });
    expect(await run(server.url, { size: 500, amount: 200 })).toMatchObject(CLEAN);
  });

  test('bytes that do not compress go out as they are', async () => {
    const server = await startWs(echo, COMPRESSES);
    const message = new Uint8Array([7, 200, 33, 91, 255, 0]);
    expect(await run(server.url, { message, amount: 200 })).toMatchObject(CLEAN);
  });

  test('millrace is measured as well', async () => {
    const app = App();
    app.ws('/*', {
      compression: SHARED_COMPRESSOR,
      maxPayloadLength: 1e6,
      message: (ws, message, isBinary) => {
        ws.send(message, isBinary, true);
      },
    });
    let port = 0;
    app.listen('127.0.0.1', 0, (socket) => {
      if (socket !== false) port = socket.port;
    });
    onTestFinished(() => {
      app.close();
    });
    const result = await run(`ws://127.0.0.1:${port}/`, { size: 2000, amount: 2000, pipelining: 4 });
    expect(result).toMatchObject(CLEAN);
    expect(result.throughput.total).toBeLessThan(2000 * 2000 * 0.7);
  });

  test('broadcasts are inflated and checked', async () => {
    const relay: Answer = (_from, data, isBinary) => {
      for (const to of server.server.clients) to.send(data, { binary: isBinary });
    };
    const server = await startWs(relay, COMPRESSES);
    const result = await run(server.url, { scenario: 'broadcast', size: 300, amount: 100, pipelining: 4 });
    expect(result).toMatchObject(CLEAN);
    expect(result.messages.total).toBe(400);
    expect(result.throughput.total).toBeLessThan(400 * 300 * 0.7);
  });

  test('a byte that differs is found out', async () => {
    const server = await startWs((socket, data, isBinary, n) => {
      const copy = Buffer.from(data as Buffer);
      if (n === 20) copy[500]! ^= 1;
      socket.send(copy, { binary: isBinary });
    }, COMPRESSES);
    expect(await run(server.url, { size: 1000, amount: 100, connections: 1 })).toMatchObject({
      mismatches: 1,
    });
  });

  test('a server that declines it cannot be measured with it', async () => {
    const server = await startWs(echo, { perMessageDeflate: false });
    await expect(run(server.url, { amount: 10 })).rejects.toThrow('declines permessage-deflate');
  });
});
