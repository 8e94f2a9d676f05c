import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { planOf } from '../../../src/load/options.ts';
import { probe } from '../../../src/load/probe.ts';
import { startWs } from '../../support/servers/ws-server.ts';
import { LONG } from '../../support/tools/deadline.ts';

const plan = (url: string, timeout = LONG / 1000 / 10) => planOf({ url, timeout });

const failed = (url: string, reason: string) =>
  expect.objectContaining({
    code: 'MILLRACE_BENCH_FAILED',
    message: expect.stringContaining(`cannot open ${url}: ${reason}`) as string,
  }) as Error;

/** A server of TCP that answers nothing by itself; it ends with the test. */
async function startSilent(): Promise<{ server: Server; url: string }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { server, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

it('opens one WebSocket, closes it properly, and gives the address behind the name', async () => {
  const { url, server } = await startWs();
  const closed = new Promise<number>((resolve) => {
    server.once('connection', (socket) => {
      socket.send('at once');
      socket.on('close', resolve);
    });
  });
  expect(await probe(plan(url.replace('127.0.0.1', 'localhost')), undefined)).toBe('127.0.0.1');
  // 1000, or none given: not 1006, which is an end without a Close frame.
  expect([1000, 1005]).toContain(await closed);
});

it('says that nobody listens', async () => {
  const { server, url } = await startSilent();
  server.close();
  await once(server, 'close');
  await expect(probe(plan(url), undefined)).rejects.toThrow(failed(url, ''));
});

it('says what a server answered that opens none', async () => {
  const server = createHttp((_, response) => {
    response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/none`;
  await expect(probe(plan(url), undefined)).rejects.toThrow(/cannot open .*\/none: .*404/);
});

it('says that there was no answer in time', async () => {
  const { url } = await startSilent();
  await expect(probe(plan(url, 1), undefined)).rejects.toThrow(failed(url, 'no answer within 1 s'));
});

it('ends when it is interrupted, before and meanwhile', async () => {
  const { url, server } = await startSilent();
  await expect(probe(plan(url), AbortSignal.abort())).rejects.toThrow(failed(url, 'interrupted'));
  const controller = new AbortController();
  const connected = once(server, 'connection');
  const probing = probe(plan(url), controller.signal);
  void connected.then(() => {
    controller.abort();
  });
  await expect(probing).rejects.toThrow(failed(url, 'interrupted'));
});
