import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { wordsOf } from '../../support/cases/hostile-frames.ts';
import { Alive } from '../../support/clients/alive.ts';
import { HostileClient, handshakeHead, openMany, requestHead } from '../../support/clients/hostile-client.ts';
import {
  close,
  frameBytes,
  more,
  ping,
  pong,
  SAMPLE_KEY,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { startServe, TARGETS, type Target } from '../../support/servers/hostile-server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

/** Seconds; the engine's clock has whole ones, and looks once each. */
const HANDSHAKE_TIMEOUT = 1;
/** `idleTimeout` and `closeTimeout` of the route '/time', in seconds. */
const IDLE_TIMEOUT = 8;

const send = (client: HostileClient, ...frames: Parameters<typeof framesBytes>[0]): void => {
  client.write(framesBytes(frames, SAMPLE_KEY));
};

/** Writes a byte now and then until the server has had enough. Returns how many. */
async function trickle(client: HostileClient, bytes: Uint8Array, pause: number): Promise<number> {
  let sent = 0;
  for (; sent < bytes.length && !client.isOver; sent++) {
    client.write(bytes.subarray(sent, sent + 1));
    await sleep(pause);
  }
  return sent;
}

type Name = (typeof TARGETS)[number][0];
const NAMES: readonly Name[] = ['serve', 'App'];
const targets = new Map<Name, Target>();
/** Servers that keep idle connections longer than they wait for a head. */
const keeping = new Map<Name, Target>();
/** Two servers whose shards the tests put to a halt. */
let halting: Target;
let blocking: Target;
let alive: Alive;

const at = (name: Name): Target => targets.get(name)!;

beforeAll(async () => {
  for (const [name, start] of TARGETS)
    targets.set(name, await start({ handshakeTimeout: HANDSHAKE_TIMEOUT, keepAliveTimeout: 2 }));
  for (const [name, start] of TARGETS)
    keeping.set(name, await start({ handshakeTimeout: HANDSHAKE_TIMEOUT, keepAliveTimeout: 600 }));
  halting = await startServe();
  blocking = await startServe({ balance: 'round-robin' });
  alive = await Alive.watch(...targets.values(), ...keeping.values(), halting, blocking);
});
afterAll(async () => {
  alive.sweep();
  alive.stop();
  for (const target of [...targets.values(), ...keeping.values(), halting, blocking]) await target.close();
});

vi.setConfig({ maxConcurrency: 64 });

// All wait for clocks, so they run at the same time; what must be left afterwards is checked last.
describe.concurrent('at the same time', () => {
  describe.each(NAMES)('%s', (name) => {
    it('drops a slow handshake with 408: single bytes do not renew its time (T01)', async ({ expect }) => {
      const head = handshakeHead('/time');
      const clients = await Promise.all(Array.from({ length: 50 }, () => HostileClient.open(at(name).port)));
      await Promise.all(
        clients.map(async (client) => {
          const sent = await trickle(client, head, 150);
          await client.untilOver();
          expect(sent).toBeLessThan(head.length);
          expect(client.bytes.toString('latin1')).toMatch(
            /^HTTP\/1\.1 408 Request Timeout\r\nDate: [^\r]+\r\nConnection: close\r\n/,
          );
          expect(client.hasFin).toBe(true);
          client.destroy();
        }),
      );
    });

    it('drops a slow head behind a response as well (T01)', async ({ expect }) => {
      const client = await HostileClient.open(at(name).port);
      client.write(requestHead('GET /hello HTTP/1.1', ['Host: x']));
      await client.until(() => client.bytes.includes('Hello'), 'the response');
      await trickle(client, handshakeHead('/time'), 150);
      await client.untilOver();
      expect(client.bytes.toString('latin1').split('HTTP/1.1 408 ')).toHaveLength(2);
      client.destroy();
    });

    it('drops connections that send nothing, without a word (T02)', async ({ expect }) => {
      const clients = await Promise.all(Array.from({ length: 500 }, () => HostileClient.open(at(name).port)));
      await Promise.all(
        clients.map(async (client) => {
          await client.untilOver();
          expect(client.received).toBe(0);
          client.destroy();
        }),
      );
    });

    it('drops a kept-alive connection that sends no further request (T02)', async ({ expect }) => {
      const client = await HostileClient.open(at(name).port);
      client.write(requestHead('GET /hello HTTP/1.1', ['Host: x']));
      await client.until(() => client.bytes.includes('Hello'), 'the response');
      await client.untilOver();
      expect(client.bytes.toString('latin1').split('HTTP/1.1 ')).toHaveLength(2);
      expect([client.hasFin, client.error]).toEqual([true, '']);
      client.destroy();
    });

    it('keeps an idle connection for its own time, not for that of a head (T02)', async ({ expect }) => {
      const { port } = keeping.get(name)!;
      const request = requestHead('GET /hello HTTP/1.1', ['Host: x']);
      const answered = async (): Promise<HostileClient> => {
        // Where this process or the server gets no processor meanwhile, a connection may be late at once.
        for (;;) {
          const client = await HostileClient.open(port);
          client.write(request);
          await client.until(() => client.isOver || client.bytes.includes('Hello'), 'the response');
          if (client.bytes.includes('Hello')) return client;
          client.destroy();
        }
      };
      const idle = await answered();
      const dripping = await answered();
      // The one that begins a head later is late before the other one is.
      dripping.write(request.subarray(0, 20));
      await dripping.untilOver();
      expect(dripping.bytes.toString('latin1').split('HTTP/1.1 408 ')).toHaveLength(2);
      const unused = await HostileClient.open(port);
      await unused.untilOver();
      idle.write(request);
      await idle.until(() => idle.bytes.toString('latin1').split('Hello').length === 3, 'another response');
      for (const client of [idle, dripping, unused]) client.destroy();
    });

    it('closes on a message that makes no headway: single bytes do not renew its time (T04)', async ({
      expect,
    }) => {
      const frame = frameBytes(text('x'.repeat(10_000)), SAMPLE_KEY);
      const client = await HostileClient.upgrade(at(name).port, '/time?id=slow-frame');
      await trickle(client, frame, 500);
      await client.untilOver();
      expect(client.frames.map(wordsOf).at(-1)).toBe('close 1001');
      client.destroy();
      await until(() => at(name).closesOf('slow-frame').length > 0, 'the close handler is called');
      expect(at(name).closesOf('slow-frame')).toEqual([
        { id: 'slow-frame', code: 1006, message: 'WebSocket timed out from inactivity' },
      ]);
    });

    it('closes on fragments that trickle, also when pings come in between (T04)', async ({ expect }) => {
      const client = await HostileClient.upgrade(at(name).port, '/time?id=slow-fragments');
      send(client, textStart('a'));
      while (!client.isOver) {
        send(client, more('b'), ping('still here'));
        await sleep(400);
      }
      expect(client.frames.map(wordsOf).at(-1)).toBe('close 1001');
      client.destroy();
    });

    it('finds a peer that vanished: no answer to the ping (T05)', async ({ expect }) => {
      const clients = await Promise.all(
        Array.from({ length: 20 }, (_, i) => HostileClient.upgrade(at(name).port, `/time?id=gone-${i}`)),
      );
      // They read, but they answer nothing.
      await Promise.all(clients.map((client) => client.untilOver()));
      for (const client of clients) {
        expect(client.frames.map(wordsOf)).toEqual(['ping', 'close 1001']);
        client.destroy();
      }
      await until(() => clients.every((_, i) => at(name).closesOf(`gone-${i}`).length > 0), 'all are closed');
      for (let i = 0; i < clients.length; i++) {
        expect(
          at(name)
            .closesOf(`gone-${i}`)
            .map(({ code }) => code),
        ).toEqual([1006]);
      }
    });

    it('finds a peer that does not even read, with a full socket (T05)', async ({ expect }) => {
      const client = await HostileClient.upgrade(at(name).port, '/time?id=deaf');
      client.socket.pause();
      for (let i = 0; i < 200; i++) send(client, text('x'.repeat(60_000)));
      await until(() => at(name).closesOf('deaf').length > 0, 'the peer is given up');
      expect(
        at(name)
          .closesOf('deaf')
          .map(({ code }) => code),
      ).toEqual([1006]);
      client.destroy();
    });

    it('gives up a peer that talks on and does not read', async ({ expect }) => {
      const client = await HostileClient.upgrade(at(name).port, '/time?id=talker');
      client.socket.pause();
      for (let i = 0; i < 200; i++) send(client, text('x'.repeat(60_000)));
      const talk = setInterval(() => send(client, ping('still here')), 300);
      try {
        await until(() => at(name).closesOf('talker').length > 0, 'the peer is given up');
      } finally {
        clearInterval(talk);
      }
      expect(at(name).closesOf('talker')).toEqual([
        { id: 'talker', code: 1006, message: 'WebSocket timed out from inactivity' },
      ]);
      client.destroy();
    });

    it('leaves a peer alone that answers pings, or sends anything at all (T06)', async ({ expect }) => {
      const [ponging, talking] = await openMany(at(name).port, 2, '/time');
      const end = performance.now() + IDLE_TIMEOUT * 1000 + 4000;
      let answered = 0;
      while (performance.now() < end) {
        const pings = ponging!.frames.filter(({ opcode }) => opcode === 9).length;
        // With another payload than the ping had, and late.
        for (; answered < pings; answered++) send(ponging!, pong('whatever'));
        send(talking!, text('hello'));
        await sleep(1500);
      }
      expect([ponging!.isOver, talking!.isOver]).toEqual([false, false]);
      expect(answered).toBeGreaterThan(1);
      expect(talking!.frames.every(({ opcode }) => opcode === 1)).toBe(true);
      ponging!.destroy();
      talking!.destroy();
    });

    it('cuts off a peer that never answers our Close (C07)', async ({ expect }) => {
      const client = await HostileClient.upgrade(at(name).port, '/ending?id=mute');
      send(client, text('4000'));
      expect((await client.untilFrames(1)).map(wordsOf)).toEqual(['close 4000 as told']);
      // It even goes on talking.
      while (!client.isOver) {
        send(client, text('still here'));
        await sleep(200);
      }
      client.destroy();
      expect(at(name).closesOf('mute')).toEqual([{ id: 'mute', code: 4000, message: 'as told' }]);
    });

    it('cuts off a peer that answers our Close and never ends its side (C07)', async ({ expect }) => {
      const client = await HostileClient.upgrade(at(name).port, '/ending?id=lingering');
      send(client, text('4000'));
      await client.untilFrames(1);
      send(client, close(4000));
      await client.untilOver();
      expect(client.hasFin).toBe(true);
      // Reset at last: writing to it fails.
      await until(() => {
        client.write('x');
        return client.isClosed;
      }, 'the connection is cut off');
      expect(['ECONNRESET', 'EPIPE']).toContain(client.error);
    });

    it('cuts off a peer that sends its own Close and never ends its side (C07)', async ({ expect }) => {
      const client = await HostileClient.upgrade(at(name).port, '/time?id=never-ending');
      send(client, close(1000));
      await client.untilOver();
      expect(client.frames.map(wordsOf)).toEqual(['close 1000']);
      await until(() => {
        client.write('x');
        return client.isClosed;
      }, 'the connection is cut off');
      expect(
        at(name)
          .closesOf('never-ending')
          .map(({ code }) => code),
      ).toEqual([1000]);
    });

    it('takes FIN without a Close for 1006, and ends its side too (C07)', async ({ expect }) => {
      const client = await HostileClient.upgrade(at(name).port, '/time?id=half');
      send(client, text('hello'));
      client.socket.end();
      await client.untilOver();
      expect(client.hasFin).toBe(true);
      expect(client.frames.map(wordsOf)).toEqual(['text hello']);
      await until(() => at(name).closesOf('half').length > 0, 'the close handler is called');
      expect(
        at(name)
          .closesOf('half')
          .map(({ code }) => code),
      ).toEqual([1006]);
      client.destroy();
    });
  });

  it('closes nobody for the silence of a shard that was blocked (T06)', async ({ expect }) => {
    const clients = await openMany(halting.port, 20, '/time');
    // Until the server has pinged them all and waits for the answers.
    await Promise.all(clients.map((client) => client.untilFrames(1)));
    const blockers = await openMany(halting.port, 2, '/control');
    for (const blocker of blockers) send(blocker, text('!block:5000'));
    for (const client of clients) send(client, pong(), text('after the pause'));
    await Promise.all(clients.map((client) => client.untilFrames(2)));
    // As long as a verdict could take that was only put off.
    await sleep(1500);
    expect(clients.filter(({ isOver }) => isOver)).toEqual([]);
    for (const client of [...clients, ...blockers]) client.destroy();
  });

  it('goes on with the clients of one shard while the other is blocked, and takes new ones (T09)', async ({
    expect,
  }) => {
    const clients = await openMany(blocking.port, 40, '/control', 1);
    await Promise.all(clients.map((client) => client.untilFrames(1)));
    const shardOf = (client: HostileClient): string => Buffer.from(client.frames[0]!.payload).toString();
    const blocked = clients.filter((client) => shardOf(client) === '0');
    const others = clients.filter((client) => shardOf(client) === '1');
    expect([blocked.length, others.length]).toEqual([20, 20]);

    const start = performance.now();
    send(blocked[0]!, text('!block:3000'));
    const newcomer = HostileClient.upgrade(blocking.port, '/control');
    let rounds = 0;
    while (performance.now() < start + 2000) {
      rounds++;
      for (const client of others) send(client, text(`round ${rounds}`));
      await Promise.all(others.map((client) => client.untilFrames(1 + rounds)));
    }
    // If the blocked shard had a part in it there were one.
    expect(rounds).toBeGreaterThan(10);
    await newcomer;
    for (const client of blocked) send(client, text('afterwards'));
    await Promise.all(blocked.map((client) => client.untilFrames(2)));
    for (const client of others) {
      expect(client.frames.slice(1).map(wordsOf)).toEqual(
        Array.from({ length: rounds }, (_, i) => `text round ${i + 1}`),
      );
    }
    expect(clients.filter(({ isOver }) => isOver)).toEqual([]);
    for (const client of [...clients, await newcomer]) client.destroy();
  });
});

it('has nothing left of all these', async () => {
  await alive.check();
});

it('closes nobody for the silence of the one thread, the clients among it (T06)', async () => {
  const clients = await openMany(at('App').port, 20, '/time');
  await Promise.all(clients.map((client) => client.untilFrames(1)));
  for (const client of clients) send(client, pong(), text('after the pause'));
  // The answers are with the kernel when the time for them is over.
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  const end = performance.now() + 5000;
  while (performance.now() < end);
  await Promise.all(clients.map((client) => client.untilFrames(2)));
  await sleep(1500);
  expect(clients.filter(({ isOver }) => isOver)).toEqual([]);
  for (const client of clients) client.destroy();
  await alive.check();
});
