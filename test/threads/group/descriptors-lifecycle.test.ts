import { setTimeout as delay } from 'node:timers/promises';
import type { ChildAppStats } from 'millrace';
import { afterEach, describe, expect, it } from 'vitest';
import { openDescriptors } from '../../support/clients/alive.ts';
import { Client } from '../../support/clients/clients.ts';
import { HostileClient, handshakeHead, inParallel } from '../../support/clients/hostile-client.ts';
import { Talker } from '../../support/clients/talker.ts';
import { TopicClient } from '../../support/clients/topic-client.ts';
import { frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { HOST } from '../../support/servers/server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';
import { withTemporary } from '../../support/tools/temporary.ts';
import { ChildApp, JoinedApps } from './joined-apps.ts';

let apps: JoinedApps;
const uncaught: unknown[] = [];
process.on('unhandledRejection', (error) => uncaught.push(error));
afterEach(async () => {
  for (const client of HostileClient.live) client.destroy();
  await apps.stop();
  expect(uncaught).toEqual([]);
});

/** Children that run the app of the hostile tests, whose '/control' talkers use. */
async function startControl(children: number, options: object = {}): Promise<void> {
  const data = { tally: new SharedArrayBuffer(64), channel: `descriptors ${process.pid}` };
  apps = await JoinedApps.start(children, 'hostile-app.js', data, options);
}

const startTopics = async (children: number): Promise<void> => {
  apps = await JoinedApps.start(children, 'topics-app.js');
};

/** So many connections that have said what they want, and got no answer yet. */
async function openUnanswered(count: number): Promise<HostileClient[]> {
  const clients: HostileClient[] = [];
  await inParallel(Array.from({ length: count }), 50, async () => {
    const client = await HostileClient.open(apps.port);
    client.write(handshakeHead('/control'));
    clients.push(client);
  });
  return clients;
}

/** The child that serves a connection, once it has answered. */
async function childOf(client: HostileClient): Promise<string> {
  const HEAD_AND_FRAME = 130;
  await client.until(() => client.isOver || client.received >= HEAD_AND_FRAME, 'an answer');
  expect(client.bytes.toString('latin1', 0, 12)).toBe('HTTP/1.1 101');
  return client.bytes.toString('latin1').at(-1)!;
}

/** What is printed to standard error during a call, each print a line. */
async function printed(during: (lines: readonly string[]) => Promise<void>): Promise<readonly string[]> {
  const lines: string[] = [];
  const { error } = console;
  console.error = (...words: unknown[]): void => {
    lines.push(words.join(' '));
  };
  try {
    await during(lines);
  } finally {
    console.error = error;
  }
  return lines;
}

const waitingFor = (child: ChildApp): number => apps.statsOf(child)?.waiting ?? -1;

/** Connections that were sent to the children. */
const sent = (): number => apps.acceptor.childAppStats().children.reduce((sum, child) => sum + child.sent, 0);

describe('a child whose thread ends', () => {
  it.each([
    ['is terminated', (child: ChildApp) => void child.worker.terminate()],
    ['exits', (child: ChildApp) => child.tell('exit', 0)],
    ['throws', (child: ChildApp) => child.tell('throw')],
  ])('%s: gets no more connections, counts no more, and costs the others nothing', async (_how, end) => {
    await startControl(3);
    const talkers: Talker[] = [];
    for (let i = 0; i < 30; i++) talkers.push(await Talker.open(apps.port));
    for (const talker of talkers) talker.start();
    const clients = await Promise.all(
      Array.from({ length: 6 }, () => Client.connect(`ws://${HOST}:${apps.port}/topics`)),
    );
    for (const client of clients) expect(await client.ask('t')).toBe('true');
    expect(apps.acceptor.numSubscribers('t')).toBe(6);
    end(apps.children[1]!);
    await apps.joined(2);
    expect(apps.acceptor.numSubscribers('t')).toBe(4);
    for (let i = 0; i < 10; i++) {
      const talker = await Talker.open(apps.port);
      expect(talker.shard).not.toBe('1');
      talker.client.destroy();
    }
    await delay(100);
    for (const talker of talkers) await talker.stop();
    const wrong = talkers.filter(({ problem, shard }) => problem !== '' && shard !== '1');
    expect(wrong.map(({ problem }) => problem)).toEqual([]);
    expect(talkers.filter(({ shard }) => shard === '1').every(({ client }) => client.isOver)).toBe(true);
    for (const { socket } of clients) socket.terminate();
  });

  it('loses none of the connections on their way to it: the others serve them', async () => {
    await startControl(3);
    await apps.children[0]!.block();
    const clients = await openUnanswered(300);
    await until(() => sent() === 300, 'all were sent to a child');
    expect(waitingFor(apps.children[0]!)).toBeGreaterThan(0);
    await apps.children[0]!.worker.terminate();
    const served = await Promise.all(clients.map(childOf));
    expect(served.filter((child) => child === '0')).toEqual([]);
    expect(served).toHaveLength(300);
  });

  it('leaves its connections to the acceptor, when it was the last', async () => {
    await startControl(1);
    apps.acceptor.ws('/control', { open: (ws) => void ws.send('#') });
    await apps.children[0]!.block();
    const clients = await openUnanswered(20);
    await until(() => waitingFor(apps.children[0]!) === 20, 'all wait');
    await apps.children[0]!.worker.terminate();
    expect(new Set(await Promise.all(clients.map(childOf)))).toEqual(new Set(['#']));
  });

  it('is replaced by another, 30 times under churn: nobody else is hurt, and no descriptor is left', async () => {
    await startControl(3);
    const talkers: Talker[] = [];
    while (talkers.length < 20) {
      const talker = await Talker.open(apps.port);
      // Child 1 is the one that dies.
      if (talker.shard === '1') talker.client.destroy();
      else talkers.push(talker);
    }
    for (const talker of talkers) talker.start();
    let isOn = true;
    let served = 0;
    const lane = async (): Promise<void> => {
      while (isOn) {
        const client = await HostileClient.open(apps.port);
        client.write(handshakeHead('/control'));
        await client.until(() => client.isOver || client.received > 129, 'a connection made during a crash');
        if (!client.isOver) served++;
        client.reset();
      }
    };
    const lanes = Array.from({ length: 4 }, lane);
    let before = 0;
    for (let round = 0; round < 30; round++) {
      const victim = apps.children[1]!;
      if (round % 2 === 0) void victim.worker.terminate();
      else victim.tell('exit', round);
      await until(() => victim.exitCode !== null, 'the thread has ended');
      await apps.joined(2);
      await apps.add(1);
      await apps.joined(3);
      if (round === 4) before = openDescriptors();
    }
    isOn = false;
    await Promise.all(lanes);
    for (const talker of talkers) await talker.stop();
    expect(talkers.map(({ problem }) => problem).filter((problem) => problem !== '')).toEqual([]);
    expect(served).toBeGreaterThan(200);
    await until(() => openDescriptors() <= before, `no more than ${before} descriptors are open`);
  });
});

describe('a child that is blocked', () => {
  it('gets its connections when it goes on; those of the others do not wait', async () => {
    await startControl(2);
    const wake = await apps.children[0]!.block();
    const clients = await openUnanswered(100);
    await until(() => sent() === 100, 'all were sent to a child');
    // Half of them, unless it took so long that it counts as stalled.
    const waiting = waitingFor(apps.children[0]!);
    expect(waiting).toBeGreaterThan(0);
    await until(
      () => clients.filter(({ received }) => received > 129).length === 100 - waiting,
      'the others are served',
    );
    await wake();
    const served = await Promise.all(clients.map(childOf));
    expect(served.filter((child) => child === '0')).toHaveLength(waiting);
    await until(() => waitingFor(apps.children[0]!) === 0, 'all are taken');
  });

  it('gets no more once it has not taken any for a second, and gets them again when it goes on', async () => {
    await startControl(2);
    const blocked = apps.children[0]!;
    const stateOf = (child: ChildApp): string => apps.statsOf(child)!.state;
    const wake = await blocked.block();
    const first = await openUnanswered(10);
    await until(() => stateOf(blocked) === 'stalled', 'it is stalled');
    const waiting = waitingFor(blocked);
    const later = await openUnanswered(20);
    expect(new Set(await Promise.all(later.map(childOf)))).toEqual(new Set(['1']));
    expect(waitingFor(blocked)).toBe(waiting);
    await wake();
    await Promise.all(first.map(childOf));
    await until(() => stateOf(blocked) === 'joined', 'it takes them again');
    const last = await openUnanswered(4);
    expect(await Promise.all(last.map(childOf))).toContain('0');
  });

  it('has 1024 waiting at most; what is too much is answered 503, and everybody is served later', async () => {
    await startControl(1);
    const wake = await apps.children[0]!.block();
    const clients = await openUnanswered(1024);
    await until(() => waitingFor(apps.children[0]!) === 1024, 'as many wait as may');
    const excess = await openUnanswered(5);
    for (const client of excess) {
      await client.untilOver();
      expect(client.bytes.toString('latin1', 0, 12)).toBe('HTTP/1.1 503');
    }
    await wake();
    expect(new Set(await Promise.all(clients.map(childOf)))).toEqual(new Set(['0']));
  });
});

describe('closing', () => {
  it('a child: its connections end, what was on its way goes to the others, and its thread can end', async () => {
    await startTopics(2);
    const [closing, staying] = apps.children as [ChildApp, ChildApp];
    const clients = await TopicClient.connectAll(6, apps.port);
    for (const client of clients) await client.subscribe('t');
    expect(await closing.ask('close')).toBe(true);
    await Promise.all(clients.filter(({ shard }) => shard === 0).map(({ closed }) => closed));
    await until(() => closing.exitCode === 0, 'its thread has ended by itself');
    await apps.joined(1);
    expect(await staying.ask('count', 't')).toBe(3);
    expect(clients.filter(({ isClosed }) => !isClosed).every(({ shard }) => shard === 1)).toBe(true);
    const more = await TopicClient.connectAll(4, apps.port);
    expect(more.map(({ shard }) => shard)).toEqual([1, 1, 1, 1]);
  });

  it('the acceptor: nobody can connect any more; what is there goes on, topics too', async () => {
    await startTopics(2);
    const clients = await TopicClient.connectAll(2, apps.port);
    for (const client of clients) await client.subscribe('t');
    apps.acceptor.close();
    await expect(TopicClient.connect(apps.port)).rejects.toThrow();
    expect(await apps.children[0]!.ask('count', 't')).toBe(2);
    await apps.children[0]!.ask('publish', { topic: 't', message: 'still' });
    await until(() => clients.every(({ count }) => count === 1), 'both have it');
    // It still notices who ends.
    await apps.children[1]!.worker.terminate();
    await until(() => clients.some(({ isClosed }) => isClosed), 'the connections of the other are over');
    const count = async (): Promise<number> => (await apps.children[0]!.ask('count', 't')) as number;
    while ((await count()) !== 1) await sleep(10);
  });
});

describe('without a temporary folder', () => {
  it('an acceptor App says once what it lacks, and is joined with its children by another folder', async () => {
    await startTopics(0);
    const said = await printed(async () => {
      await withTemporary('/nonexistent', async () => {
        await apps.add();
        await apps.joined(1);
        await apps.add();
        await apps.joined(2);
      });
    });
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^millrace: could not make a folder in \/nonexistent .* lie in \/tmp now/);
  });
});

describe('an acceptor App in a worker', () => {
  it('has children in other workers, by way of a main thread that imports millrace', async () => {
    await startControl(0);
    const data = { tally: new SharedArrayBuffer(64), channel: `descriptors ${process.pid}` };
    const acceptor = await ChildApp.start(9, 'hostile-app.js', data, {}, 0);
    apps.children.push(acceptor);
    const first = await apps.add(1, false);
    const second = await apps.add(2, false);
    for (const child of [first, second]) await acceptor.ask('add', child.descriptor);
    const isJoined = async (): Promise<boolean> => {
      const { children } = (await acceptor.ask('stats')) as ChildAppStats;
      return children.every(({ state }) => state === 'joined');
    };
    while (!(await isJoined())) await sleep(10);
    const seen = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const talker = await Talker.open(acceptor.port);
      seen.add(talker.shard);
      talker.client.write(frameBytes(text('!'), SAMPLE_KEY));
    }
    expect(seen).toEqual(new Set(['1', '2']));
    const descriptors = openDescriptors();
    const client = await Client.connect(`ws://${HOST}:${acceptor.port}/topics`);
    expect(await client.ask('t')).toBe('true');
    expect(await acceptor.ask('count', 't')).toBe(1);
    // It dies: its children live on, without it.
    await acceptor.worker.terminate();
    expect(await client.ask('t')).toBe('to t');
    await client.close();
    await until(() => openDescriptors() < descriptors, 'its descriptors are closed');
    // One of them can be joined to another.
    apps.acceptor.addChildAppDescriptor(first.descriptor);
    await apps.joined(1);
    const talker = await Talker.open(apps.port);
    expect(talker.shard).toBe('1');
  });

  it('gets no child that belongs to another, and says so', async () => {
    await startTopics(1);
    const second = await JoinedApps.start(0, 'topics-app.js');
    const said = await printed(async (lines) => {
      second.acceptor.addChildAppDescriptor(apps.children[0]!.descriptor);
      await until(() => lines.length > 0, 'it is said');
    });
    expect(said.join('\n')).toMatch(/the App of thread \d+ cannot be joined: it is the child of another App/);
    expect(second.stats.children).toEqual([]);
    await second.stop();
    const [client] = await TopicClient.connectAll(1, apps.port);
    expect(client!.shard).toBe(0);
  });
});
