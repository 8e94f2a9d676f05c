import type { HttpResponse } from 'millrace';
import { describe, expect, test } from 'vitest';
import { requestText } from '../../support/clients/http-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { startApp } from '../../support/servers/server.ts';
import { unchanged, until } from '../../support/tools/deadline.ts';

const MIB = 1024 * 1024;
const get = (path: string, headers: Record<string, string> = {}) => requestText('GET', path, headers);

describe('while a handler has yet to answer', () => {
  test('a peer that ends its direction has left: the handler is told, and the connection is over', async () => {
    const events: string[] = [];
    let response: HttpResponse | undefined;
    const running = startApp((app) => {
      app.get('/', (res) => {
        response = res;
        res.onAborted(() => events.push('aborted'));
      });
    });
    const client = await RawClient.connect(running.port, { allowHalfOpen: true });
    client.write(get('/'));
    await until(() => response !== undefined, 'the request came');
    client.end();
    await until(() => events.length > 0, 'the handler was told');
    expect(response!.aborted).toBe(true);
    expect(await client.readToEnd()).toHaveLength(0);
    expect(events).toEqual(['aborted']);
    client.destroy();
    await running.stop();
  });

  test('what comes behind its request stays in the kernel, and is served when it has answered', async () => {
    const [size, count] = [3000, 10_000];
    let first: HttpResponse | undefined;
    let served = 0;
    const running = startApp((app) => {
      app.get('/first', (res) => {
        first = res;
        res.onAborted(() => {});
      });
      app.get('/next', (res) => {
        served++;
        res.end();
      });
    });
    const client = await RawClient.connect(running.port);
    client.write(get('/first'));
    const piece = get('/next', { 'X-Filling': 'x'.repeat(size) }).repeat(100);
    let sent = 0;
    const sendNext = (): void => {
      if (sent === count) return;
      sent += 100;
      client.socket.write(piece, sendNext);
    };
    sendNext();
    // What the kernels of both ends take, after which nothing moves.
    await unchanged(() => sent, 'nothing moves', 500);
    expect(sent * size).toBeLessThan(16 * MIB);
    first!.end();
    for (let i = 0; i <= count; i++) expect((await client.response()).status).toBe(200);
    expect(served).toBe(count);
    client.destroy();
    await running.stop();
  });
});
