import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type MetricReading, type ServeOptions, type Server, serve } from 'millrace';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { participantOf } from '../../../dist/src/app/participant-of.js';
import { RING_METRICS, THREAD_METRICS } from '../../../src/metrics/table.ts';
import { Client } from '../../support/clients/clients.ts';
import { HOST } from '../../support/servers/server.ts';
import { StompClient } from '../../support/stomp/stomp-client.ts';
import { SERVER_CERTIFICATE, tlsOptions } from '../../support/tls/tls-mode.ts';
import { sleep, until, within } from '../../support/tools/deadline.ts';
import { Kind } from '../fixtures/asks-app.js';
import { damagedRing, endedReader, fullCounts } from './shared-memory.ts';

/**
 * Each metric of the table is made to move by what really happens. A row that no action moves fails, and so does an action
 * that does not move what it says.
 */

const APP = new URL('../fixtures/metrics-app.js', import.meta.url);
const LEAKING = new URL('../../threads/fixtures/leaking-app.js', import.meta.url);
const LONE_SERVER = fileURLToPath(new URL('../../threads/fixtures/lone-server.js', import.meta.url));
const ASKS = new URL('../fixtures/asks-app.js', import.meta.url);
const QUEUES = new URL('../../threads/fixtures/stomp-queue-app.js', import.meta.url);
const TOPICS = new URL('../../threads/fixtures/stomp-topic-app.js', import.meta.url);
const HOSTILE = new URL('../fixtures/hostile-app.js', import.meta.url).href;

type ThreadMetric = keyof typeof THREAD_METRICS;
type RingMetric = `ring${Capitalize<keyof typeof RING_METRICS>}`;
type Name = ThreadMetric | RingMetric;

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

type Readings = readonly MetricReading[];

/** What a reader has of a metric: its values, of a histogram how much was observed. */
function valuesOf(readings: Readings, name: string): string {
  const { values } = readings.find((reading) => reading.name === name)!;
  return values
    .map(({ labels, value }) =>
      [...Object.values(labels), typeof value === 'number' ? value : value.count].join(' '),
    )
    .join(', ');
}

let server: Server;
let gate: Int32Array;
const clients: Client[] = [];
const sockets: Socket[] = [];
const stomps: StompClient[] = [];

beforeEach(() => {
  gate = new Int32Array(new SharedArrayBuffer(8));
});
afterEach(async () => {
  open();
  for (const { socket } of clients.splice(0)) socket.terminate();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const one of stomps.splice(0)) one.close();
  await server?.close({ drain: 0 });
});

async function start(options: Partial<ServeOptions> = {}): Promise<void> {
  server = await serve({
    app: APP,
    port: 0,
    host: HOST,
    shards: 2,
    balance: 'round-robin',
    data: { gate },
    onCrash: () => {},
    ...options,
  });
}

/** A client, and the shard that it is on. */
async function client(options = {}): Promise<{ client: Client; shard: string }> {
  const one = await Client.connect(`ws://${HOST}:${server.port}/`, options);
  clients.push(one);
  return { client: one, shard: (await one.next()) as string };
}

/** A client on each shard. */
async function onEach(): Promise<[Client, Client]> {
  const two = [await client(), await client()];
  const of = (shard: string): Client => two.find((one) => one.shard === shard)!.client;
  return [of('0'), of('1')];
}

function raw(bytes = ''): Socket {
  const socket = connectTcp(server.port, HOST);
  socket.on('error', () => {});
  socket.write(bytes);
  sockets.push(socket);
  return socket;
}

/** Frames of a client with a mask of zeros. */
function frames(text: string, count: number, firstByte = 0x81): Buffer {
  const head = Buffer.from([firstByte, 0x80 | text.length, 0, 0, 0, 0]);
  return Buffer.concat(Array.from({ length: count }, () => Buffer.concat([head, Buffer.from(text)])));
}

async function stomp(): Promise<StompClient> {
  const one = await StompClient.connect(`ws://${HOST}:${server.port}/stomp`);
  stomps.push(one);
  return one;
}

/** The thread that was told so is held. */
async function held(): Promise<void> {
  await until(() => Atomics.load(gate, 0) === 1, 'the shard is held');
}

function open(): void {
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
}

/** Resolves when all of these have moved. Those that go back are seen while they are away. */
async function moved(names: readonly Name[], before: Readings, read: () => Readings): Promise<void> {
  const left = new Set<string>(names);
  await until(
    () => {
      const now = read();
      for (const name of left) if (valuesOf(now, name) !== valuesOf(before, name)) left.delete(name);
      return left.size === 0;
    },
    `these have moved: ${names.join(', ')}`,
  ).catch((error: unknown) => {
    throw new Error(`not moved: ${[...left].join(', ')}`, { cause: error });
  });
}

interface Action {
  readonly moves: readonly Name[];
  /** Starts the server, calls `from` when what moves begins, and does it. */
  readonly run: (from: () => void) => Promise<void>;
}

const tls = (): Partial<ServeOptions> => ({ tls: tlsOptions() });

/** Speaks TLS. Resolves with a session that can be resumed. */
async function greet(): Promise<Buffer> {
  const socket = speakTls();
  const ticket = within(once(socket, 'session'), 'a ticket') as Promise<[Buffer]>;
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.resume();
  return (await ticket)[0];
}

function speakTls(session?: Buffer): TLSSocket {
  const socket = connectTls({
    port: server.port,
    host: HOST,
    ca: SERVER_CERTIFICATE.cert,
    servername: 'localhost',
    ...(session === undefined ? {} : { session }),
  });
  sockets.push(socket);
  socket.on('error', () => {});
  return socket;
}

const BYTES = Uint8Array.of(1);

const ACTIONS: Readonly<Record<string, Action>> = {
  'a topic is used': {
    moves: ['topicSubscriptions', 'topicMessages', 'stompSessions', 'stompSends', 'stompSubscribes'],
    run: async () => {
      await start({ app: TOPICS });
      const client = await stomp();
      await client.subscribe('/topic/a', 'auto');
      await client.confirmed('SEND', { destination: '/topic/a' }, 'a');
    },
  },
  'a STOMP client sends what it may not': {
    moves: ['stompErrors', 'stompRefused'],
    run: async () => {
      await start({ app: TOPICS });
      await (await stomp()).confirmed('SEND', { destination: '/nothing/a' }, 'a');
      await (await stomp()).confirmed('SEND', { destination: '/topic/forbidden' }, 'a');
    },
  },
  'a STOMP client does not read': {
    moves: ['stompSlowReaders'],
    run: async () => {
      await start({ app: TOPICS, data: { maxBackpressure: 1024 } });
      const [sender, reader] = [await stomp(), await stomp()];
      await reader.subscribe('/topic/a', 'auto');
      reader.socket.pause();
      const isCut = (): boolean => server.stats().shards.some((shard) => shard.stompSlowReaders > 0);
      while (!isCut()) await sender.confirmed('SEND', { destination: '/topic/a' }, 'x'.repeat(100_000));
    },
  },
  'a queue is used': {
    moves: [
      'queueMessages',
      'queueBytes',
      'queueUnacknowledged',
      'queueStored',
      'queueRemoved',
      'queueRedelivered',
      'queueDeadLettered',
      'queueRefused',
      'stompAcks',
      'stompNacks',
    ],
    run: async () => {
      await start({ app: QUEUES, data: { maxQueueMessages: 2 } });
      const [sender, consumer] = [await stomp(), await stomp()];
      await consumer.subscribe('/queue/a', 'client', 1);
      await sender.confirmed('SEND', { destination: '/queue/a' }, 'a');
      await sender.confirmed('SEND', { destination: '/queue/a' }, 'b');
      await sender.confirmed('SEND', { destination: '/queue/a' }, 'c');
      expect(sender.errors).toEqual(['the queue is full']);
      const next = async (count: number): Promise<string> => {
        await until(() => consumer.messages.length === count, 'a message');
        return consumer.messages[count - 1]!.headers['ack']!;
      };
      consumer.send('NACK', { id: await next(1) });
      consumer.send('NACK', { id: await next(2), requeue: 'false' });
      consumer.send('ACK', { id: await next(3) });
    },
  },
  'messages of a queue grow old': {
    moves: ['queueDropped'],
    run: async () => {
      await start({ app: QUEUES, data: { maxQueueAge: 1 } });
      await (await stomp()).confirmed('SEND', { destination: '/queue/a' }, 'a');
    },
  },
  'the owner of a queue dies': {
    moves: ['queueLost', 'queueRecovered'],
    run: async () => {
      await start({ app: QUEUES, data: {} });
      const main = participantOf(server as never);
      let name = 0;
      while (main.ownerOf(`host\n/queue/${name}`) !== 1) name++;
      const destination = `/queue/${name}`;
      // On both shards.
      for (const one of [await stomp(), await stomp()]) {
        await one.subscribe(destination, 'client', 1);
        await one.confirmed('SEND', { destination }, 'a');
        await until(() => one.messages.length === 1, 'the message is there');
      }
      // They go to the shards in turn.
      for (let i = 0; i < 2; i++) raw('GET /crash/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    },
  },
  'threads ask others, and are answered': {
    moves: ['asks', 'answers', 'asksFailed', 'answersFailed', 'answersRefused'],
    run: async () => {
      await start({ app: ASKS, data: { gate } });
      const main = participantOf(server as never);
      expect(await main.ask(0, Kind.ECHO, BYTES)).toEqual(BYTES);
      await expect(main.ask(0, Kind.THROW, BYTES)).rejects.toThrow('as told');
      await expect(main.ask(0, Kind.NONE, BYTES)).rejects.toMatchObject({ code: 'MILLRACE_ASK_REFUSED' });
    },
  },
  'an answer is late': {
    moves: ['askTimeouts', 'lateAnswers'],
    run: async () => {
      await start({ app: ASKS, data: { gate } });
      const asked = participantOf(server as never).ask(0, Kind.HOLD, BYTES, { timeout: 50 });
      await expect(asked).rejects.toMatchObject({ code: 'MILLRACE_ASK_TIMEOUT' });
      await held();
      open();
    },
  },
  'a thread that asked is gone, and what it kept': {
    moves: ['answersDropped', 'statesLost'],
    run: async (from) => {
      await start({ app: ASKS, data: { gate } });
      from();
      const main = participantOf(server as never);
      const relayed = main.ask(0, Kind.RELAY, BYTES);
      await held();
      const exited = main.ask(0, Kind.EXIT, BYTES);
      await expect(relayed).rejects.toMatchObject({ code: 'MILLRACE_PEER_GONE' });
      await expect(exited).rejects.toMatchObject({ code: 'MILLRACE_PEER_GONE' });
      await until(() => server.stats().shards[0]!.state === 'ready', 'it is started anew');
      open();
    },
  },
  'a shard that keeps state is replaced': {
    moves: ['handovers', 'handoverBytes'],
    run: async (from) => {
      await start({ app: ASKS, data: { gate } });
      from();
      await server.reload();
    },
  },
  'a server starts': {
    moves: ['state', 'heapUsed', 'heapLimit', 'heartbeatAge', 'loopDelay'],
    run: async () => {
      await start();
    },
  },
  'a client connects, is answered and leaves': {
    moves: [
      'socketsOpened',
      'socketsClosed',
      'bytesIn',
      'bytesOut',
      'requests',
      'adopted',
      'taken',
      'opened',
      'closed',
      'messagesIn',
      'messagesOut',
      'handlerTime',
      'messageSize',
      'handshakeTime',
    ],
    run: async (from) => {
      await start();
      from();
      const one = await client();
      await one.client.ask('echo');
      await one.client.close();
    },
  },
  'a client stays': {
    moves: ['sockets', 'webSockets', 'live'],
    run: async (from) => {
      await start();
      from();
      await client();
    },
  },
  'a handler throws': {
    moves: ['handlerErrors'],
    run: async (from) => {
      await start();
      const one = await client();
      from();
      one.client.socket.send('throw');
    },
  },
  'a frame has a reserved opcode': {
    moves: ['protocolErrors'],
    run: async (from) => {
      await start();
      from();
      raw(HANDSHAKE).write(frames('x', 1, 0x83));
    },
  },
  'a handshake has no version': {
    moves: ['refused'],
    run: async (from) => {
      await start();
      from();
      raw(HANDSHAKE.replace('Version: 13', 'Version: 7'));
    },
  },
  'a head does not come': {
    moves: ['timeouts'],
    run: async (from) => {
      await start({ handshakeTimeout: 1 });
      from();
      raw('GET /');
    },
  },
  'connections that say nothing are many': {
    moves: ['evicted'],
    run: async (from) => {
      await start({ maxConnections: 4 });
      from();
      for (let i = 0; i < 100; i++) raw('G');
      await until(() => server.stats().acceptor.socketsOpened === 100, 'all have come');
    },
  },
  'an address has too many connections': {
    moves: ['overLimit'],
    run: async (from) => {
      await start({ maxConnectionsPerAddress: 1 });
      await client();
      from();
      raw(HANDSHAKE);
    },
  },
  'a client does not read': {
    moves: ['dropped', 'blockedWrites'],
    run: async (from) => {
      await start();
      const one = await client();
      from();
      one.client.socket.pause();
      one.client.socket.send('flood');
    },
  },
  'messages take long, and are many': {
    moves: ['yields'],
    run: async (from) => {
      await start();
      from();
      raw(HANDSHAKE).write(frames('work', 100));
    },
  },
  'a topic has a subscriber on another shard': {
    moves: ['published', 'delivered', 'ringWritten', 'ringReceived', 'ringWakes'],
    run: async (from) => {
      await start();
      const [zero, one] = await onEach();
      await one.ask('subscribe news');
      from();
      await zero.ask('publish news');
      await one.next();
    },
  },
  'a shard that stands still is published to': {
    moves: ['ringOverflowed', 'ringOverflowBytes', 'ringDepth', 'ringDropped'],
    run: async (from) => {
      await start({ ringSize: 65_536, maxOverflow: 65_536 });
      const [zero, one] = await onEach();
      await one.ask('subscribe news');
      one.socket.send('hold');
      await held();
      from();
      await zero.ask('publish news 100 10000');
    },
  },
  'what was dropped is missed': {
    moves: ['ringLost'],
    run: async (from) => {
      await start({ ringSize: 65_536, maxOverflow: 65_536 });
      const [zero, one] = await onEach();
      await one.ask('subscribe news');
      one.socket.send('hold');
      await held();
      from();
      await zero.ask('publish news 100 10000');
      open();
      await until(() => server.stats().rings.every(({ depth }) => depth === 0), 'the rest is read');
      await zero.ask('publish news');
    },
  },
  'a topic too many is subscribed to': {
    moves: ['subscriptionsRefused'],
    run: async (from) => {
      await start({ maxTopics: 1 });
      const one = await client();
      await one.client.ask('subscribe one');
      from();
      expect(await one.client.ask('subscribe two')).toBe('false');
    },
  },
  'TLS is spoken, and a session resumed': {
    moves: ['tlsHandshakes', 'tlsResumed', 'tlsHandshakeTime'],
    run: async (from) => {
      await start(tls());
      from();
      speakTls(await greet());
    },
  },
  'what speaks no TLS comes, and a handshake too many': {
    moves: ['tlsFailed', 'tlsEvicted', 'waiting'],
    run: async (from) => {
      await start({ ...tls(), maxHandshakes: 1 });
      from();
      raw();
      raw();
      raw();
      await until(() => server.stats().total.tlsEvicted > 0, 'one gave way');
      raw('nonsense, and more of it\r\n\r\n');
    },
  },
  'messages are compressed both ways': {
    moves: [
      'deflated',
      'deflateBytesIn',
      'deflateBytesOut',
      'deflateTime',
      'inflateBytesIn',
      'inflateBytesOut',
      'inflateTime',
    ],
    run: async (from) => {
      await start();
      const one = await client({ perMessageDeflate: { threshold: 0 } });
      from();
      await one.client.ask(`echo ${'a'.repeat(2000)}`);
    },
  },
  'a heap is full': {
    moves: ['recycled'],
    run: async (from) => {
      const told: string[] = [];
      await start({
        app: LEAKING,
        data: { start: 60, isBusy: true },
        shards: 1,
        maxHeapSize: 128,
        heapWatermark: 30,
        onHeapFull: () => told.push('full'),
      });
      from();
      await until(() => told.length > 0, 'it is told');
    },
  },
  'a thread ends': {
    moves: ['crashes'],
    run: async (from) => {
      await start();
      const one = await client();
      from();
      open();
      one.client.socket.send('hold-and-exit');
    },
  },
  'a shard takes nothing for a second': {
    moves: ['stalled'],
    run: async (from) => {
      await start();
      const one = await client();
      one.client.socket.send('hold');
      await held();
      from();
      raw(HANDSHAKE);
      raw(HANDSHAKE);
    },
  },
  'a shard ends before it has taken what the kernel has no room for': {
    moves: ['handoffFailed'],
    run: async (from) => {
      await start({ shards: 1 });
      const one = await client();
      one.client.socket.send('hold-and-exit');
      await held();
      from();
      // They come behind their handshakes, and are passed on with them.
      const rest = frames('x'.repeat(100), 600);
      for (let i = 0; i < 40; i++) raw(HANDSHAKE).write(rest);
      await until(() => server.stats().acceptor.requests >= 40, 'they are on their way');
      open();
    },
  },
};

/** What cannot be seen in a server of this process: rows, and what moves them. */
const ELSEWHERE: Readonly<
  Record<string, { moves: readonly Name[]; readonly run: () => Promise<[Readings, Readings]> }>
> = {
  'a ring is damaged': { moves: ['ringResets'], run: damagedRing },
  'a thread of the rings ends and another has its number': {
    moves: ['ringUnread', 'ringStale', 'ringUnhandled'],
    run: endedReader,
  },
  'there are more topics than memory to count them': { moves: ['uncountedTopics'], run: fullCounts },
};

test.each(Object.entries(ACTIONS))('%s', async (title, { moves, run }) => {
  let before: Readings = [...Object.keys(THREAD_METRICS), ...ringNames()].map((name) => ({
    name,
    kind: 'counter',
    unit: 'count',
    help: '',
    values: [],
  }));
  await run(() => {
    before = server.metrics();
  });
  expect(before.length, title).toBeGreaterThan(0);
  await moved(moves, before, () => server.metrics());
});

test.each(Object.entries(ELSEWHERE))('%s', async (_title, { moves, run }) => {
  const [before, after] = await run();
  for (const name of moves) expect(valuesOf(after, name)).not.toBe(valuesOf(before, name));
});

/** In a process with few descriptors, by the counters of an App or of the acceptor. */
const SHORT = { acceptErrors: 'serve', cutShort: 'App' } as const;

test.each(Object.entries(SHORT))('%s: descriptors run out (%s)', async (name, mode) => {
  const child = spawn(
    'prlimit',
    ['--nofile=256:256', process.execPath, LONE_SERVER, mode, HOSTILE, 'channel'],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  try {
    const answer = async (): Promise<unknown> => (await within(once(child, 'message'), 'an answer'))[0];
    const { port } = (await answer()) as { port: number };
    for (let i = 0; i < 500; i++) {
      const socket = connectTcp(port, HOST);
      socket.on('error', () => {});
      sockets.push(socket);
    }
    const count = async (): Promise<number> => {
      child.send('stats');
      const { stats } = (await answer()) as { stats: Record<string, unknown> };
      return Number((mode === 'App' ? stats : (stats['acceptor'] as Record<string, unknown>))[name]);
    };
    for (const end = performance.now() + 60_000; (await count()) === 0; await sleep(20)) {
      expect(performance.now()).toBeLessThan(end);
    }
  } finally {
    child.kill('SIGKILL');
  }
});

function ringNames(): string[] {
  return Object.keys(RING_METRICS).map((name) => `ring${name[0]!.toUpperCase()}${name.slice(1)}`);
}

test('every metric of the table is moved by one of these', () => {
  const movedBy = [...Object.values(ACTIONS), ...Object.values(ELSEWHERE)].flatMap(
    ({ moves }) => moves as string[],
  );
  const all = [...movedBy, ...Object.keys(SHORT)].toSorted();
  expect(all).toEqual([...Object.keys(THREAD_METRICS), ...ringNames()].toSorted());
});
