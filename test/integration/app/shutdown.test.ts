import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serve } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { closeCodeOf, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { close, text } from '../../support/protocol/frame-bytes.ts';
import { HOST, startModule } from '../../support/servers/server.ts';
import { DEADLINE, LONG, sleep, until, within } from '../../support/tools/deadline.ts';

const MODULE = new URL('../fixtures/main-app.js', import.meta.url);
const start = () => serve({ app: MODULE, port: 0, host: HOST, shards: 2 });
const url = (port: number, path: string) => `ws://${HOST}:${port}${path}`;
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: server.test\r\n\r\n`;

describe('close of a server', () => {
  test('sends every client 1001 and waits until they have left', async () => {
    const server = await start();
    const clients = await Promise.all(
      Array.from({ length: 60 }, () => Client.connect(url(server.port, '/echo'))),
    );
    const undici = await Client.connectUndici(url(server.port, '/echo'));
    for (const client of [...clients, undici]) expect(await client.ask('before')).toBe('before');
    await within(server.close({ drain: LONG }), 'the server to close');
    for (const client of [...clients, undici]) expect((await client.closed()).code).toBe(1001);
    await expect(Client.connect(url(server.port, '/echo'))).rejects.toThrow('ECONNREFUSED');
  });

  test('gives the same promise when it is called again, and when disposed of', async () => {
    const server = await start();
    const first = server.close();
    expect(server.close({ drain: 0 })).toBe(first);
    await within(Promise.all([first, server[Symbol.asyncDispose]()]), 'the server to close');
  });

  test('closes at the end of a block with await using', async () => {
    let port: number;
    {
      await using server = await start();
      port = server.port;
      const client = await Client.connect(url(port, '/echo'));
      expect(await client.ask('inside')).toBe('inside');
      await client.close();
    }
    await expect(Client.connect(url(port, '/echo'))).rejects.toThrow('ECONNREFUSED');
  });

  test('cuts off who has not left after drain ms', async () => {
    const server = await start();
    const stays = await RawClient.webSocket(server.port, '/echo', {}, { allowHalfOpen: true });
    const reads = await RawClient.webSocket(server.port, '/echo');
    for (const client of [stays, reads]) {
      client.send(text('echo'));
      await client.frame();
    }
    reads.pause();
    const closing = within(server.close({ drain: 300 }), 'the server to close');
    expect(closeCodeOf(await stays.frame())).toBe(1001);
    await closing;
    stays.destroy();
    reads.destroy();
  });

  test('lets a response that is under way be sent, and ends its connection', async () => {
    const server = await start();
    const waiting = await RawClient.connect(server.port);
    waiting.write(get('/later/300') + get('/'));
    const idle = await RawClient.connect(server.port);
    idle.write(get('/'));
    await idle.response();
    const silent = await RawClient.connect(server.port);
    await until(() => {
      const { acceptor, total } = server.stats();
      return total.requests === 2 && acceptor.sockets + total.sockets === 3;
    }, 'the server has all three, and two requests');
    const closing = within(server.close({ drain: LONG }), 'the server to close');
    const response = await waiting.response();
    expect([response.status, response.headers.get('connection')]).toEqual([202, undefined]);
    // It came together with the one before.
    const last = await waiting.response();
    expect([last.status, last.headers.get('connection')]).toEqual([200, 'close']);
    expect(await waiting.readToEnd()).toHaveLength(0);
    expect(await idle.readToEnd()).toHaveLength(0);
    await closing;
    await silent.closed();
  });

  test('sends a response that was written just before, and not yet given to the kernel', async () => {
    const data = new SharedArrayBuffer(8);
    const flags = new Int32Array(data);
    const app = new URL('../fixtures/halted-app.js', import.meta.url);
    const server = await serve({ app, port: 0, host: HOST, shards: 1, data });
    const client = await RawClient.connect(server.port);
    client.write(get('/'));
    await until(() => Atomics.load(flags, 0) === 1, 'the shard stands still');
    const closing = within(server.close({ drain: LONG }), 'the server to close');
    // What tells the shard to end is waiting for it by then.
    await sleep(300);
    Atomics.store(flags, 1, 1);
    Atomics.notify(flags, 1);
    expect(await client.response()).toMatchObject({ status: 200, body: 'late' });
    client.destroy();
    await closing;
  });

  test('sends 1001 also to who is upgraded only then, as the handler of upgrade() waited', async () => {
    const server = await serve({
      app: new URL('../fixtures/upgrade-app.js', import.meta.url),
      port: 0,
      host: HOST,
      shards: 1,
    });
    const client = await RawClient.connect(server.port);
    client.write(handshakeText('/async/1?ms=500'));
    await until(() => server.stats().shards[0]!.requests > 0, 'the handshake came');
    const closing = server.close({ drain: LONG });
    expect(await client.response()).toMatchObject({ status: 101 });
    expect(await client.text()).toContain('/async/1');
    expect(closeCodeOf(await client.frame())).toBe(1001);
    client.send(close(1001));
    await client.closed();
    await within(closing, 'the server to close');
  });

  test('does not wait for the deadline because of clients that come at the same time', async () => {
    for (let round = 0; round < 3; round++) {
      const server = await start();
      const storming = new AbortController();
      const storm = Array.from({ length: 8 }, async () => {
        while (!storming.signal.aborted) {
          const client = await RawClient.connect(server.port).catch(() => null);
          client?.write(handshakeText('/echo'));
          client?.socket.on('data', (bytes) => {
            // The Close frame: answer it, as every client does.
            if (bytes.includes(Buffer.of(0x88, 2, 3, 233))) client.end();
          });
        }
      });
      await new Promise((resolve) => setTimeout(resolve, 50 + round * 20));
      const closing = within(server.close({ drain: LONG }), 'the server to close');
      await new Promise((resolve) => setTimeout(resolve, 10));
      storming.abort();
      await closing;
      await Promise.all(storm);
    }
  });
});

test('close of an App ends all connections and stops listening', async () => {
  const running = await startModule('one thread', 'main-app.js');
  const client = await Client.connect(running.ws('/echo'));
  const raw = await RawClient.connect(running.port);
  running.app!.close();
  expect((await client.closed()).code).toBe(1006);
  await raw.closed();
  await expect(Client.connect(running.ws('/echo'))).rejects.toThrow('ECONNREFUSED');
  expect(() => running.app!.listen(0, () => {})).toThrow(
    expect.objectContaining({ code: 'MILLRACE_APP_STATE' }),
  );
  expect(running.app!.close()).toBe(running.app);
});

test('a listen socket that is closed leaves open connections alone', async () => {
  const { us_listen_socket_close, us_socket_local_port, App } = await import('millrace');
  const app = App();
  let opened = 0;
  app.ws('/', { message: (ws, message) => void ws.send(message), open: () => void opened++ });
  const socket = await new Promise<Parameters<typeof us_listen_socket_close>[0]>((resolve, reject) => {
    app.listen(HOST, 0, (token) => {
      if (token === false) reject(new Error('cannot listen'));
      else resolve(token);
    });
  });
  const port = us_socket_local_port(socket);
  const client = await Client.connect(url(port, '/'));
  us_listen_socket_close(socket);
  await expect(Client.connect(url(port, '/'))).rejects.toThrow('ECONNREFUSED');
  expect(await client.ask('still here')).toBe('still here');
  app.close();
  await client.closed();
  await until(() => opened === 1, 'only one was opened');
});

describe.concurrent('a process exits by itself', () => {
  const script = fileURLToPath(new URL('../fixtures/exit.js', import.meta.url));

  test.each([
    ['server.close', 'ended'],
    ['await using', 'ended'],
    ['server.close with clients that stay', 'ended'],
    ['app.close', 'ended'],
    ['us_listen_socket_close', 'ended'],
    ['a failed start', 'MILLRACE_BAD_MODULE\nended'],
  ])('after %s', async (way, printed) => {
    const output = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, [script, way], { timeout: DEADLINE }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout + stderr);
        else reject(new Error(`${error.message} ${stdout} ${stderr}`));
      });
    });
    expect(output.trim()).toBe(printed);
  });
});
