import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { SSLApp, type WebSocketBehavior } from 'millrace';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openDescriptors } from '../../support/clients/alive.ts';
import { Client } from '../../support/clients/clients.ts';
import { handshakeText } from '../../support/clients/raw-client.ts';
import { binary, pattern, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { HOST, MODES, type Running, startApp } from '../../support/servers/server.ts';
import {
  connectTls,
  requestOver,
  SERVER_CERTIFICATE,
  startTls,
  tlsErrorOf,
  tlsOptions,
} from '../../support/tls/tls.ts';
import { clientHello, TlsRelay } from '../../support/tls/tls-relay.ts';
import { until, within } from '../../support/tools/deadline.ts';

const TRUST = { ca: SERVER_CERTIFICATE.cert };

async function start(...args: Parameters<typeof startTls>): Promise<Running> {
  const running = await startTls(...args);
  onTestFinished(() => running.stop());
  return running;
}

/** A TCP connection that sends these bytes and keeps what comes. */
class Raw {
  readonly socket: Socket;
  bytes: Buffer = Buffer.alloc(0);
  isOver = false;

  constructor(port: number, bytes: Uint8Array) {
    this.socket = connectTcp({ port, host: HOST });
    this.socket.on('data', (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
    });
    this.socket
      .on('error', () => {})
      .on('close', () => {
        this.isOver = true;
      });
    this.socket.write(bytes);
  }

  async end(): Promise<Buffer> {
    await until(() => this.isOver, 'the end of a connection');
    return this.bytes;
  }
}

/** A WebSocket route in this thread, and what its handlers saw. */
function route(behavior: WebSocketBehavior = {}): { port: number; events: string[] } {
  const events: string[] = [];
  const app = SSLApp(tlsOptions());
  app.ws('/*', {
    ...behavior,
    message: (ws, message, isBinary) => {
      events.push(`message ${message.byteLength}`);
      ws.send(message, isBinary);
    },
    close: (_ws, code, message) => events.push(`close ${code} ${Buffer.from(message).toString()}`.trim()),
  });
  let port = -1;
  app.listen(HOST, 0, (socket) => {
    if (socket !== false) port = socket.port;
  });
  onTestFinished(() => void app.close());
  return { port, events };
}

/** TLS and a WebSocket handshake, through a relay. */
async function openThrough(relay: TlsRelay, options: object = {}): Promise<TLSSocket> {
  const socket = await connectTls(relay.port, options);
  socket.on('error', () => {});
  socket.write(handshakeText('/'));
  await within(once(socket, 'data'), 'the 101');
  return socket;
}

/** Two hundred handshakes that stop before the first byte, within the ClientHello, or behind it. */
async function stalledHandshakes(port: number): Promise<Raw[]> {
  const hello = await clientHello();
  const starts = [hello.subarray(0, 0), hello.subarray(0, 1), hello.subarray(0, 100), hello];
  return Array.from({ length: 200 }, (_, i) => new Raw(port, starts[i % 4]!));
}

describe.each(MODES)('TLS under attack in %s', (mode) => {
  test('handshakes that do not go on give way to others (S01)', async () => {
    const running = await start(mode, 'tls-app.js', { maxHandshakes: 20, handshakeTimeout: 600 });
    const canary = await Client.connect(running.ws('/echo'), TRUST);
    const before = openDescriptors();
    const flood = await stalledHandshakes(running.port);
    // Each shard has twenty of them at most.
    await until(() => flood.filter(({ isOver }) => isOver).length >= 160, 'most gave way');
    const fresh = await Client.connect(running.ws('/echo'), TRUST);
    expect(await fresh.ask('fresh')).toBe('fresh');
    expect(await canary.ask('canary')).toBe('canary');
    if (running.server !== null) {
      const total = () => running.server!.stats().total;
      await until(() => total().tlsFailed === total().tlsEvicted, 'each that gave way is counted');
      expect(total().tlsEvicted).toBeGreaterThanOrEqual(160);
      expect(total().timeouts).toBe(0);
    }
    for (const { socket } of flood) socket.destroy();
    await fresh.close();
    await until(() => openDescriptors() <= before, 'no descriptor is left');
    expect(await canary.ask('still')).toBe('still');
  });

  test('handshakes that do not go on expire (S01)', async () => {
    const running = await start(mode, 'tls-app.js', { maxHandshakes: 20, handshakeTimeout: 1 });
    const before = openDescriptors();
    const flood = await stalledHandshakes(running.port);
    await until(() => flood.every(({ isOver }) => isOver), 'they expired');
    if (running.server !== null) {
      const { tlsEvicted, tlsFailed, timeouts } = running.server.stats().total;
      expect(timeouts).toBeGreaterThan(0);
      expect([tlsFailed, tlsEvicted + timeouts]).toEqual([200, 200]);
    }
    await until(() => openDescriptors() <= before, 'no descriptor is left');
  });

  test('renegotiation ends the connection (S02)', async () => {
    const running = await start(mode, 'tls-app.js');
    const canary = await Client.connect(running.ws('/echo'), TRUST);
    for (let i = 0; i < 5; i++) {
      const socket = await connectTls(running.port, { maxVersion: 'TLSv1.2' });
      socket.on('error', () => {});
      expect(await requestOver(socket, '/')).toBe('home');
      const over = new Promise((resolve) => socket.on('close', resolve));
      socket.renegotiate({ rejectUnauthorized: false }, () => {});
      await within(over, 'the end of the connection');
    }
    expect(await canary.ask('canary')).toBe('canary');
    if (running.server !== null) expect(running.server.stats().total.protocolErrors).toBe(5);
  });

  test('whatever is no TLS is closed, and costs nothing but itself (S03)', async () => {
    const running = await start(mode, 'tls-app.js');
    const printed = vi.spyOn(console, 'error');
    const canary = await Client.connect(running.ws('/echo'), TRUST);
    const before = openDescriptors();
    const hello = await clientHello();
    const damaged = Array.from({ length: 60 }, (_, i) => {
      const copy = Buffer.from(hello);
      copy[5 + Math.floor((i * (hello.length - 5)) / 60)]! ^= 0xff;
      return copy;
    });
    const garbage = [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.from('\r\n\r\n'),
      Buffer.alloc(5, 0),
      Buffer.alloc(70_000, 0xff),
      Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, ...pattern(100)]),
      Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]),
      Buffer.from([0x80, 0x2e, 0x01, 0x00, 0x02, 0x00, 0x15, 0x00, 0x00, 0x00, 0x10]),
      Buffer.concat([hello, hello]),
      Buffer.concat([hello, Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
    ];
    for (const bytes of [...garbage, ...damaged]) {
      const raw = new Raw(running.port, bytes);
      raw.socket.end();
      const answer = await raw.end();
      // Nothing, an alert, or the beginning of a handshake.
      if (answer.length > 0) expect([0x15, 0x16]).toContain(answer[0]);
      expect(answer.includes('HTTP/1.1')).toBe(false);
    }
    expect(await canary.ask('canary')).toBe('canary');
    await until(() => openDescriptors() <= before, 'no descriptor is left');
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
  });

  test('a client whose every byte comes alone is served (S03)', async () => {
    const running = await start(mode, 'tls-app.js');
    const relay = await TlsRelay.open(running.port, true);
    const socket = await connectTls(relay.port, { maxVersion: 'TLSv1.2' });
    socket.on('error', () => {});
    for (const character of handshakeText('/echo')) socket.write(character);
    await within(once(socket, 'data'), 'the 101');
    for (const byte of framesBytes([text('one byte a record')], SAMPLE_KEY))
      socket.write(Uint8Array.of(byte));
    const [echo] = (await within(once(socket, 'data'), 'the echo')) as [Buffer];
    expect(echo.subarray(2).toString()).toBe('one byte a record');
    socket.destroy();
    relay.close();
  });

  test('odd server names get an alert or a certificate (S04)', async () => {
    const running = await start(mode, 'tls-app.js', {
      data: { names: { 'chat.example.com': tlsOptions() }, missing: { 'never.test': tlsOptions() } },
    });
    const name = 'x'.repeat(200);
    const hello = await clientHello({ servername: name });
    const at = hello.indexOf(name);
    expect(at).toBeGreaterThan(0);
    for (const bytes of ['\0', 'a\0b', '\xff\xfe', '.', '..', '*.', ' ', '/../..', '__proto__', '%00', 'é']) {
      const copy = Buffer.from(hello);
      copy.write(bytes.repeat(200), at, 200, 'latin1');
      const raw = new Raw(running.port, copy);
      await until(() => raw.bytes.length > 0 || raw.isOver, 'an answer');
      expect([0x15, 0x16], JSON.stringify(bytes)).toContain(raw.bytes[0]);
      raw.socket.destroy();
    }
    for (const servername of ['a'.repeat(255), '__proto__', 'constructor', 'hasOwnProperty', '']) {
      const socket = await connectTls(running.port, { servername, rejectUnauthorized: false });
      expect(await requestOver(socket, '/')).toBe('home');
      socket.destroy();
    }
    expect(await tlsErrorOf(running.port, { ALPNProtocols: ['h2'] })).toMatch(/NO_APPLICATION_PROTOCOL/);
  });

  test('connections that end in all ways leave no descriptor behind', async () => {
    const running = await start(mode, 'tls-app.js');
    const canary = await Client.connect(running.ws('/echo'), TRUST);
    const before = openDescriptors();
    const hello = await clientHello();
    const ways: (() => Promise<unknown>)[] = [
      async () => (await Client.connect(running.ws('/echo'), TRUST)).close(),
      async () => (await Client.connect(running.ws('/echo'), TRUST)).socket.terminate(),
      async () => (await connectTls(running.port)).destroy(),
      async () => (await connectTls(running.port)).end(),
      async () => {
        const tcp = connectTcp(running.port, HOST);
        (await connectTls(running.port, { socket: tcp })).on('error', () => {});
        tcp.resetAndDestroy();
      },
      async () => {
        const socket = await connectTls(running.port);
        socket.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
        await within(once(socket, 'data'), 'the start of the response');
        socket.destroy();
      },
      async () => new Raw(running.port, hello).socket.resetAndDestroy(),
      async () => new Raw(running.port, hello.subarray(0, 50)).socket.end(),
    ];
    for (let round = 0; round < 25; round++) await Promise.all(ways.map((way) => way()));
    await until(() => openDescriptors() <= before, 'no descriptor is left', 15_000);
    expect(await canary.ask('canary')).toBe('canary');
    if (running.server !== null) {
      await until(() => running.server!.stats().total.sockets === 1, 'the canary alone is left');
    }
  });
});

describe('the end of a TLS connection', () => {
  const frames = framesBytes([binary(pattern(1000))], SAMPLE_KEY);

  test('without close_notify is an abnormal close, and a cut message is not delivered (S05)', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { port, events } = route();
      const relay = await TlsRelay.open(port);
      const socket = await openThrough(relay, { minVersion: version, maxVersion: version });
      socket.write(frames.subarray(0, 500));
      socket.write('');
      await until(() => socket.writableLength === 0, 'half a message is sent');
      relay.endServerSide();
      await until(() => events.length > 0, 'the close handler is called');
      expect(events).toEqual(['close 1006']);
      relay.close();
    }
  });

  test('with close_notify and without a Close frame is told as an early end', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { port, events } = route();
      const relay = await TlsRelay.open(port);
      const socket = await openThrough(relay, { minVersion: version, maxVersion: version });
      socket.write(frames);
      socket.write(frames.subarray(0, 500));
      socket.end();
      await until(() => events.length > 1, 'the close handler is called');
      expect(events).toEqual(['message 1000', 'close 1006 Received TCP FIN before WebSocket close frame']);
      await until(() => relay.hasFin, "the server's FIN");
      relay.close();
    }
  });

  test('comes with close_notify from the server, in front of its FIN', async () => {
    const { port, events } = route();
    const relay = await TlsRelay.open(port);
    const socket = await openThrough(relay, { maxVersion: 'TLSv1.2' });
    socket.write(framesBytes([{ fin: true, opcode: 8, payload: Buffer.from([0x03, 0xe8]) }], SAMPLE_KEY));
    await until(() => relay.hasFin, "the server's FIN");
    expect(events).toEqual(['close 1000']);
    expect(relay.records.at(-1)?.type).toBe(21);
    relay.close();
  });

  test('with a reset is an abnormal close', async () => {
    const { port, events } = route();
    const tcp = connectTcp(port, HOST);
    const socket = await connectTls(port, { socket: tcp });
    socket.on('error', () => {});
    socket.write(handshakeText('/'));
    await within(once(socket, 'data'), 'the 101');
    tcp.resetAndDestroy();
    await until(() => events.length > 0, 'the close handler is called');
    expect(events).toEqual(['close 1006']);
  });

  test('brings all that was sent before it, however much and however slowly it is read', async () => {
    const app = SSLApp(tlsOptions());
    app.ws('/*', {
      maxBackpressure: 0,
      open: (ws) => {
        for (let i = 0; i < 40; i++) ws.send(Buffer.alloc(100_000, i), true);
        ws.end(4000, 'all');
      },
    });
    let port = -1;
    app.listen(HOST, 0, (socket) => {
      if (socket !== false) port = socket.port;
    });
    const client = await Client.connect(`wss://${HOST}:${port}/`, TRUST);
    const messages = (await client.messages.take(40)) as Uint8Array[];
    expect(messages.map((message) => [message.length, message[0]])).toEqual(
      Array.from({ length: 40 }, (_, i) => [100_000, i]),
    );
    expect(await client.closed()).toEqual({ code: 4000, reason: 'all' });
    app.close();
  });
});

test('TLS to a plain port is answered 400 and closed (S03)', async () => {
  const running = startApp((app) => {
    app.get('/*', (res) => void res.end('plain'));
  });
  const answer = await new Raw(running.port, await clientHello()).end();
  expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 400 /);
  await running.stop();
});

test.each(MODES)('who speaks no TLS and goes on sending gets a FIN, and no reset: %s', async (mode) => {
  const running = await start(mode, 'tls-app.js');
  for (let i = 0; i < 5; i++) {
    const socket = connectTcp({ port: running.port, host: HOST, allowHalfOpen: true });
    let error = '';
    socket.on('error', ({ message }) => {
      error = message;
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const ended = new Promise<void>((resolve) => socket.once('end', resolve));
    socket.resume();
    await once(socket, 'connect');
    socket.write('POST / HTTP/1.1\r\nHost: x\r\n\r\n');
    for (let piece = 0; piece < 20; piece++) {
      socket.write(pattern(64 * 1024));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await within(Promise.race([ended, closed]), 'the end');
    socket.end();
    await within(closed, 'the end of both directions');
    expect(error).toBe('');
  }
});

test('of connections that failed so few wait for the peer, and no descriptor is left', async () => {
  const running = await start('one thread', 'tls-app.js');
  const before = openDescriptors();
  const peers = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = connectTcp({ port: running.port, host: HOST, allowHalfOpen: true });
      socket.on('error', () => {}).resume();
      await once(socket, 'connect');
      socket.write('no TLS at all\r\n\r\n');
      await within(Promise.race([once(socket, 'end'), once(socket, 'close')]), 'the end');
      return socket;
    }),
  );
  const held = openDescriptors() - before - peers.length;
  expect(held).toBeLessThanOrEqual(64);
  for (const socket of peers) socket.destroy();
  await until(() => openDescriptors() <= before, 'no descriptor is left');
});
