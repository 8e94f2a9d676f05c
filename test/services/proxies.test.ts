import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { badBodies, badHeads, goodRequests } from '../support/cases/http-rows.ts';
import { handshakeHead, inParallel } from '../support/clients/hostile-client.ts';
import { exchange, requestText, sized } from '../support/clients/http-client.ts';
import { RawClient } from '../support/clients/raw-client.ts';
import { text } from '../support/protocol/frame-bytes.ts';
import { type EchoServer, send, startEcho } from '../support/servers/http-echo.ts';
import { DEADLINE, until } from '../support/tools/deadline.ts';
import { type Proxy, startHaproxy, startNginx } from './proxies.ts';

/** How long a proxy may keep a connection open that it has no answer for, in ms. */
const QUIET = 400;
const WIDTH = 16;

const bytes = (input: string): Buffer => Buffer.from(input, 'latin1');
const closing = (path: string): string => requestText('GET', path, { Connection: 'close' });

describe.each([
  ['nginx', startNginx],
  ['haproxy', startHaproxy],
])('behind %s', (_name, start) => {
  let app: EchoServer;
  let proxy: Proxy;
  const ports = new Set<number>();
  beforeAll(async () => {
    app = startEcho();
    app.running.app!.ws('/ws', {
      message(ws, message, isBinary) {
        ws.send(message, isBinary);
      },
    });
    app.running.app!.get('/port', (res) => {
      ports.add(res.getRemotePort());
      res.end('port');
    });
    proxy = await start(app.running.port);
  });
  afterAll(async () => {
    await proxy?.stop();
    await app?.running.stop();
  });

  test('requests with and without bodies are answered', async () => {
    const chunks =
      'POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n';
    for (const input of [sized('/sized', 'hello'), chunks]) {
      const [answer] = await exchange(proxy.port, [input], 1);
      expect(answer).toMatchObject({ status: 200, body: 'hello' });
    }
    const large = 'x'.repeat(900_000);
    const [answer] = await exchange(proxy.port, [sized('/large', large)], 1);
    expect(answer!.body === large).toBe(true);
  });

  test('the proxy keeps its connections to the App alive', async () => {
    const client = await RawClient.connect(proxy.port);
    for (let i = 0; i < 100; i++) {
      client.write(requestText('GET', '/port'));
      expect((await client.response()).body).toBe('port');
    }
    client.destroy();
    expect(ports.size).toBeLessThan(10);
  });

  test('pipelined requests are answered in order', async () => {
    const inputs = Array.from({ length: 40 }, (_, i) => sized(`/pipelined/${i}`, `body ${i}`));
    const answers = await exchange(proxy.port, [inputs.join('')], inputs.length);
    expect(answers.map(({ body }) => body)).toEqual(inputs.map((_, i) => `body ${i}`));
  });

  test('no bytes become a request that the proxy has not passed on (H35)', async () => {
    app.paths.clear();
    const before = proxy.passedOn().length;
    const rows = [...badHeads(), ...badBodies(), ...goodRequests()];
    await inParallel(rows, WIDTH, async (row, i) => {
      const input = `${row.text.replaceAll('@', `/v${i}`)}GET /s${i} HTTP/1.1\r\nHost: x\r\n\r\n`;
      await send(proxy.port, [bytes(input)], QUIET);
    });
    await send(proxy.port, [bytes(closing('/last'))]);
    await until(() => proxy.passedOn().includes('/last'), 'the log of the proxy');
    // A proxy logs a request when it is over, which may be behind the last one.
    await expect.poll(() => invented(before), { timeout: DEADLINE }).toEqual([]);
    expect(app.paths.has('/smuggled')).toBe(false);
    expect(app.paths.size).toBeGreaterThan(20);
  });

  test('a WebSocket goes through', async () => {
    const client = await RawClient.webSocket(proxy.port, '/ws');
    for (const size of [1, 1000, 10_000]) {
      client.send(text('x'.repeat(size)));
      expect(await client.text()).toBe('x'.repeat(size));
    }
    expect(await client.close()).toBe(1000);
    client.destroy();
  });

  test('no tunnel is left behind a handshake that is refused (H35)', async () => {
    app.paths.clear();
    const refused = [
      handshakeHead('/ws').toString('latin1').replace('Version: 13', 'Version: 777'),
      handshakeHead('/ws').toString('latin1').replace('dGhlIHNhbXBsZSBub25jZQ==', 'short'),
      handshakeHead('/nowhere').toString('latin1'),
    ];
    for (const [i, head] of refused.entries()) {
      const tunnelled = requestText('GET', `/tunnelled/${i}`);
      const { text: answer } = await send(proxy.port, [bytes(head), bytes(tunnelled)], QUIET, 100);
      expect(answer).not.toMatch(/^HTTP\/1\.1 101/);
    }
    await send(proxy.port, [bytes(closing('/after'))]);
    await until(() => proxy.passedOn().includes('/after'), 'the log of the proxy');
    await expect.poll(() => invented(0), { timeout: DEADLINE }).toEqual([]);
  });

  /** What reached the App and is not among what the proxy passed on behind the first `before`. */
  function invented(before: number): string[] {
    const passedOn = new Set(proxy.passedOn().slice(before).map(pathOf));
    return [...app.paths].filter((path) => !passedOn.has(path));
  }
});

/** Without an authority and a query, as the App sees it. */
function pathOf(target: string): string {
  return target.replace(/^https?:\/\/[^/]*/i, '').split('?')[0]!;
}

describe('behind haproxy with the PROXY protocol', () => {
  let app: EchoServer;
  let proxy: Proxy;
  beforeAll(async () => {
    app = startEcho({ proxyProtocol: true });
    app.running.app!.get('/client', (res) => {
      const address = Buffer.from(res.getProxiedRemoteAddressAsText()).toString();
      res.end(JSON.stringify([address, res.getProxiedRemotePort(), res.getRemotePort()]));
    });
    proxy = await startHaproxy(app.running.port, { proxyProtocol: true });
  });
  afterAll(async () => {
    await proxy?.stop();
    await app?.running.stop();
  });

  test('handlers learn the address and port of the client', async () => {
    const client = await RawClient.connect(proxy.port);
    client.write(requestText('GET', '/client'));
    const { body } = await client.response();
    const [address, port, ownPort] = JSON.parse(body) as [string, number, number];
    expect([address, port]).toEqual(['127.0.0.1', client.socket.localPort]);
    expect(ownPort).not.toBe(port);
    client.destroy();
  });

  test('who comes past the proxy is refused', async () => {
    const { text: answer } = await send(app.running.port, [bytes(requestText('GET', '/client'))]);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });
});
