import { connect, type Socket } from 'node:net';
import { serve } from 'millrace';
import { describe, expect, it } from 'vitest';
import { type Alive, watch } from '../../support/clients/alive.ts';
import { Client } from '../../support/clients/clients.ts';
import {
  HostileClient,
  handshakeHead,
  inParallel,
  requestHead,
} from '../../support/clients/hostile-client.ts';
import { concat, frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { startServe, type Target } from '../../support/servers/hostile-server.ts';
import { HOST } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

const HANDSHAKE = handshakeHead('/echo');
const UPGRADE = handshakeHead('/upgrade');
const REQUEST = requestHead('GET /hello HTTP/1.1', ['Host: x']);
const FRAME = frameBytes(text('hello'), SAMPLE_KEY);

let target: Target;
let alive: Alive;
watch(
  () => startServe({ shards: 3 }),
  (...watched) => {
    [target, alive] = watched;
  },
);

/** Connects, and resets as `state` says. Resolves when the socket is gone. */
function connectAndReset(state: (socket: Socket, reset: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port: target.port, host: HOST, noDelay: true });
    socket.on('error', () => {});
    socket.on('close', () => {
      resolve();
    });
    socket.on('connect', () => {
      state(socket, () => socket.resetAndDestroy());
    });
  });
}

/** When a client may vanish; each writes something and resets at its own time. */
const STATES: Record<string, [count: number, state: (socket: Socket, reset: () => void) => void]> = {
  'before the head': [1000, (_socket, reset) => reset()],
  'inside the head': [
    1000,
    (socket, reset) => {
      socket.write(HANDSHAKE.subarray(0, 40), reset);
    },
  ],
  'right behind the handshake': [
    5000,
    (socket, reset) => {
      socket.write(HANDSHAKE, reset);
    },
  ],
  'right behind a handshake that the shard answers': [
    3000,
    (socket, reset) => {
      socket.write(UPGRADE, reset);
    },
  ],
  'right behind a request': [
    3000,
    (socket, reset) => {
      socket.write(REQUEST, reset);
    },
  ],
  'behind the 101': [
    5000,
    (socket, reset) => {
      socket.write(HANDSHAKE);
      socket.once('data', reset);
    },
  ],
  'inside a frame that came with the handshake': [
    2000,
    (socket, reset) => {
      socket.write(concat(HANDSHAKE, FRAME, FRAME.subarray(0, 7)), reset);
    },
  ],
  'inside a frame': [
    2000,
    (socket, reset) => {
      socket.write(HANDSHAKE);
      socket.once('data', () => {
        socket.write(FRAME.subarray(0, 7), reset);
      });
    },
  ],
};

describe('22,000 clients that connect and reset', () => {
  it.each(Object.entries(STATES))('leave nothing behind: %s', async (_name, [count, state]) => {
    await inParallel(Array.from({ length: count }), 200, () => connectAndReset(state));
    await alive.check();
    const { total, acceptor } = target.server!.stats();
    await until(() => target.server!.stats().acceptor.sockets === 0, 'the acceptor has none left');
    expect([total.webSockets, total.sockets, acceptor.handoffFailed]).toEqual([1, 1, 0]);
  });
});

it('loses and doubles no byte of 5,000 clients that send handshake and frames in one write (P01)', async () => {
  const wrong: string[] = [];
  await inParallel(Array.from({ length: 5000 }), 100, async (_, i) => {
    const client = await HostileClient.open(target.port);
    // From one message to a few hundred, with sizes that put the end of the handshake anywhere.
    const messages = Array.from(
      { length: 1 + (i % 7) * (i % 50 === 0 ? 40 : 1) },
      (_unused, j) => `${i}.${j} ${'x'.repeat((i * 37 + j * 101) % 400)}`,
    );
    client.write(concat(HANDSHAKE, ...messages.map((message) => frameBytes(text(message), SAMPLE_KEY))));
    await client.upgraded();
    const size = messages.reduce((sum, { length }) => sum + length + (length < 126 ? 2 : 4), 0);
    await client.until(() => client.isOver || client.body.length >= size, 'all echoes');
    const echoes = client.frames.map(({ payload }) => Buffer.from(payload).toString());
    if (client.body.length !== size || echoes.join('\n') !== messages.join('\n')) wrong.push(`client ${i}`);
    client.destroy();
  });
  expect(wrong).toEqual([]);
  await alive.check();
});

it('passes on bytes by the hundred KiB that came with the handshake', async () => {
  await inParallel(Array.from({ length: 60 }), 10, async (_, i) => {
    const client = await HostileClient.open(target.port);
    const messages = Array.from({ length: 10 }, (_unused, j) => `${i}.${j} ${'y'.repeat(60_000)}`);
    client.write(concat(HANDSHAKE, ...messages.map((message) => frameBytes(text(message), SAMPLE_KEY))));
    await client.upgraded();
    const size = messages.reduce((sum, { length }) => sum + length + 4, 0);
    await client.until(() => client.isOver || client.received >= size + client.head.length, 'all echoes');
    const echoes = client.frames.map(({ payload }) => Buffer.from(payload).toString());
    expect(echoes.map((echo) => echo.slice(0, 8))).toEqual(messages.map((message) => message.slice(0, 8)));
    expect(client.body.length).toBe(size);
    client.destroy();
  });
  await alive.check();
});

it('counts right: sockets, opens and closes are what the clients did', async () => {
  await until(() => target.server!.stats().acceptor.sockets === 0, 'the acceptor has none left');
  const { total, acceptor } = target.server!.stats();
  // Those above that reset after their request, and the ones of this test file that did not.
  expect(total.adopted).toBeGreaterThan(20_000 + 5000);
  expect(total.opened - total.closed).toBe(1);
  expect([acceptor.acceptErrors, acceptor.handoffFailed, acceptor.overLimit]).toEqual([0, 0, 0]);
  expect(total.handlerErrors).toBe(0);
});

it.each(['/plain', '/upgraded'])(
  'a client of %s that has got the 101 is open: it misses nothing that is published from then on',
  async (path) => {
    const app = new URL('../fixtures/opens-slowly.js', import.meta.url);
    const server = await serve({ app, port: 0, host: HOST, shards: 1 });
    const client = await Client.connect(`ws://${HOST}:${server.port}${path}`);
    expect(server.publish('all', 'hello')).toBe(true);
    expect(await client.next()).toBe('hello');
    client.socket.terminate();
    await server.close({ drain: 0 });
  },
);
