import { App, type AppDescriptor, serve } from 'millrace';
import { request } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { TopicClient } from '../../support/clients/topic-client.ts';
import { HOST } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';
import { ChildApp, JoinedApps } from './joined-apps.ts';

let apps: JoinedApps;
const start = async (
  children: number,
  fixture = 'topics-app.js',
  ...rest: [data?: unknown, options?: object]
) => {
  apps = await JoinedApps.start(children, fixture, ...rest);
};
afterEach(() => apps.stop());

/** A client for each child, in their order. */
async function clientOfEach(): Promise<TopicClient[]> {
  const clients = await TopicClient.connectAll(apps.children.length, apps.port);
  return clients.sort((a, b) => a.shard - b.shard);
}

/** Keeps the texts that a client gets. */
function textsOf(client: TopicClient): string[] {
  const texts: string[] = [];
  client.onMessage = (payload) => texts.push(payload.toString());
  return texts;
}

describe('connections of an acceptor App', () => {
  it('go to its children in turn, and each serves HTTP', async () => {
    await start(3, 'main-app.js');
    const seen: string[] = [];
    for (let i = 0; i < 9; i++) {
      const client = await Client.connect(`ws://${HOST}:${apps.port}/shard`);
      seen.push((await client.next()) as string);
      await client.close();
    }
    expect(seen).toEqual([...seen.slice(0, 3), ...seen.slice(0, 3), ...seen.slice(0, 3)]);
    expect(seen.slice(0, 3).sort()).toEqual(['0', '1', '2']);
    for (let i = 0; i < 6; i++) {
      const response = await request(`http://${HOST}:${apps.port}/nowhere`, { reset: true });
      expect(response.statusCode).toBe(404);
      expect(await response.body.text()).toContain('File Not Found');
    }
    await until(() => apps.stats.children.every(({ waiting }) => waiting === 0), 'all are taken');
    expect(apps.stats.children.map(({ sent, state }) => [sent, state])).toEqual([
      [5, 'joined'],
      [5, 'joined'],
      [5, 'joined'],
    ]);
  });

  it('echo with the client of undici and that of ws, 200 at a time', async () => {
    await start(2, 'main-app.js');
    const url = `ws://${HOST}:${apps.port}/echo`;
    const clients = await Promise.all(
      Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? Client.connect(url) : Client.connectUndici(url))),
    );
    await Promise.all(
      clients.map(async (client, i) => {
        for (let round = 0; round < 5; round++) {
          expect(await client.ask(`client ${i} round ${round}`)).toBe(`client ${i} round ${round}`);
        }
      }),
    );
    const closes = await Promise.all(clients.map((client) => client.close(1000, 'done')));
    expect(new Set(closes.map(({ code }) => code))).toEqual(new Set([1000]));
  });

  it('wait for the first child, when they come before it has answered', async () => {
    await start(0, 'main-app.js');
    const child = await apps.add(0, false);
    const early = [Client.connect(`ws://${HOST}:${apps.port}/shard`)];
    apps.acceptor.addChildAppDescriptor(child.descriptor);
    early.push(Client.connect(`ws://${HOST}:${apps.port}/shard`));
    for (const client of await Promise.all(early)) expect(await client.next()).toBe('0');
  });

  it('are served by the acceptor itself as long as it has no child, and again when the last one is removed', async () => {
    await start(0, 'main-app.js');
    apps.acceptor.get('/who', (res) => {
      res.end('the acceptor');
    });
    const who = async (): Promise<string> => {
      const { body } = await request(`http://${HOST}:${apps.port}/who`, { reset: true });
      return body.text();
    };
    expect(await who()).toBe('the acceptor');
    const child = await apps.add();
    await apps.joined(1);
    expect(await who()).toContain('File Not Found');
    apps.acceptor.removeChildAppDescriptor(child.descriptor);
    expect(await who()).toBe('the acceptor');
    apps.acceptor.addChildAppDescriptor(child.descriptor);
    expect(await who()).toContain('File Not Found');
  });
});

describe('topics of joined Apps', () => {
  it('reach the subscribers of all threads, whoever publishes', async () => {
    await start(3);
    const own: string[] = [];
    const clients = await clientOfEach();
    const texts = clients.map(textsOf);
    for (const client of clients) await client.subscribe('t');
    expect(apps.acceptor.numSubscribers('t')).toBe(3);
    expect(await apps.children[1]!.ask('count', 't')).toBe(3);
    expect(apps.acceptor.publish('t', 'from the acceptor')).toBe(true);
    expect(await apps.children[0]!.ask('publish', { topic: 't', message: 'from a worker' })).toBe(true);
    await clients[2]!.ask({ ask: 'publish', topic: 't', message: 'from a socket' });
    const expected = ['from a socket', 'from a worker', 'from the acceptor'];
    await until(() => texts.flat().length === 8, 'all have all');
    expect(texts.map((list) => list.sort())).toEqual([
      expected,
      expected,
      ['from a worker', 'from the acceptor'],
    ]);
    expect(apps.acceptor.publish('nobody', 'listens')).toBe(false);
    expect(await apps.children[0]!.ask('publish', { topic: 'nobody', message: 'listens' })).toBe(false);
    expect(own).toEqual([]);
  });

  it('come to sockets of the acceptor too, which were there before the children', async () => {
    await start(0);
    const { default: run } = await import('../../integration/fixtures/topics-app.js');
    await run(apps.acceptor, { index: 9, count: 0, data: null });
    const [first] = await TopicClient.connectAll(1, apps.port);
    await first!.subscribe('early', 'other');
    const texts = textsOf(first!);
    await apps.add();
    await apps.joined(1);
    expect(await apps.children[0]!.ask('count', 'early')).toBe(1);
    expect(await apps.children[0]!.ask('publish', { topic: 'early', message: 'hello' })).toBe(true);
    await until(() => texts.length === 1, 'it has it');
    expect(texts).toEqual(['hello']);
    await first!.unsubscribe('early');
    await until(() => apps.acceptor.numSubscribers('early') === 0, 'nobody is left');
    expect(await apps.children[0]!.ask('count', 'early')).toBe(0);
  });

  it('reach a child that joined while the publisher was blocked, and has not turned its event loop since', async () => {
    await start(2);
    const wake = await apps.children[0]!.blockThenPublish('t', 'welcome');
    await apps.add();
    await apps.joined(3);
    const clients = [];
    // The connections of the blocked child wait.
    for (let i = 0; i < 3; i++) clients.push(TopicClient.connect(apps.port));
    const served: TopicClient[] = [];
    for (const client of clients) void client.then((connected) => served.push(connected));
    await until(() => served.length === 2, 'the other two are served');
    const newcomer = served.find(({ shard }) => shard === 2)!;
    await newcomer.subscribe('t');
    const texts = textsOf(newcomer);
    expect(await wake()).toBe(true);
    await until(() => texts.length === 1, 'it has it');
    expect(texts).toEqual(['welcome']);
    await Promise.all(clients);
  });

  it('keep the order of each publisher, and lose nothing', async () => {
    await start(3);
    const clients = await clientOfEach();
    const got = clients.map(() => new Map<string, number[]>());
    clients.forEach((client, i) => {
      client.onMessage = (payload) => {
        const [name = '', number] = payload.toString().split(' ');
        const list = got[i]!.get(name) ?? [];
        got[i]!.set(name, list);
        list.push(Number(number));
      };
    });
    for (const client of clients) await client.subscribe('t');
    const count = 4000;
    await Promise.all(
      clients.map((client, i) =>
        client.ask({ ask: 'publishMany', topic: 't', name: `child${i}`, count, every: 200, size: 60 }),
      ),
    );
    await until(() => clients.every((client) => client.count === 3 * count), 'all have all');
    const inOrder = Array.from({ length: count }, (_, i) => i);
    for (const lists of got) {
      for (let i = 0; i < 3; i++) expect(lists.get(`child${i}`)).toEqual(inOrder);
    }
    for (const ring of apps.stats.rings) expect(ring).toMatchObject({ dropped: 0, lost: 0, resets: 0 });
  });

  it('are dropped for the one child that is blocked, beyond its ring and the overflow, and counted', async () => {
    await start(2, 'topics-app.js', null, { ringSize: 4096, maxOverflow: 64 * 1024 });
    const clients = await clientOfEach();
    for (const client of clients) await client.subscribe('t');
    const wake = await apps.children[0]!.block();
    const message = 'x'.repeat(500);
    for (let i = 0; i < 1000; i++) {
      apps.acceptor.publish('t', message);
      // At the other one's pace.
      if (i % 5 === 0) await until(() => clients[1]!.count >= i - 5, 'the other one follows');
    }
    await until(() => clients[1]!.count === 1000, 'the other one has all');
    const indexOf = (child: ChildApp): number => apps.statsOf(child)!.index;
    const to = (child: ChildApp) => apps.stats.rings.find((ring) => ring.to === indexOf(child))!;
    const { dropped } = to(apps.children[0]!);
    expect(dropped).toBeGreaterThan(500);
    expect(to(apps.children[1]!).dropped).toBe(0);
    await wake();
    await until(() => clients[0]!.count === 1000 - dropped, 'the blocked one has the rest');
    // A gap is seen by what comes behind it.
    apps.acceptor.publish('t', 'one more');
    await until(() => clients[0]!.count === 1001 - dropped, 'the blocked one has it');
    expect(to(apps.children[0]!)).toMatchObject({ dropped, lost: dropped, overflowBytes: 0, depth: 0 });
  });

  it('go on being shared by a child that was removed, which gets no more connections', async () => {
    await start(2);
    const clients = await clientOfEach();
    const texts = clients.map(textsOf);
    for (const client of clients) await client.subscribe('t');
    apps.acceptor.removeChildAppDescriptor(apps.children[0]!.descriptor);
    apps.acceptor.removeChildAppDescriptor(apps.children[0]!.descriptor);
    const others = await TopicClient.connectAll(4, apps.port);
    expect(others.map(({ shard }) => shard)).toEqual([1, 1, 1, 1]);
    apps.acceptor.publish('t', 'for both');
    await until(() => texts.flat().length === 2, 'both have it');
    await clients[0]!.ask({ ask: 'publish', topic: 't', message: 'still here' });
    await until(() => texts[1]!.length === 2, 'the other has it');
    expect(texts[1]).toEqual(['for both', 'still here']);
    expect(apps.statsOf(apps.children[0]!)).toMatchObject({ state: 'removed' });
    apps.acceptor.addChildAppDescriptor(apps.children[0]!.descriptor);
    const after = await TopicClient.connectAll(4, apps.port);
    expect(after.map(({ shard }) => shard).sort()).toEqual([0, 0, 1, 1]);
  });
});

describe('a descriptor', () => {
  beforeEach(() => start(1));

  it('is a number, as in uWebSockets.js, which JSON and structured clones keep, and the same each time', () => {
    const app = App();
    const descriptor = app.getDescriptor();
    expect(Number.isFinite(descriptor) && descriptor !== 0).toBe(true);
    expect(JSON.parse(JSON.stringify(descriptor))).toBe(descriptor);
    expect(structuredClone(descriptor)).toBe(descriptor);
    expect(app.getDescriptor()).toBe(descriptor);
    const other = App();
    expect(other.getDescriptor()).not.toBe(descriptor);
    other.close();
    app.close();
  });

  it('changes nothing when it is added twice, whatever copy of it', async () => {
    const [child] = apps.children;
    expect(apps.acceptor.addChildAppDescriptor(child!.descriptor)).toBe(apps.acceptor);
    apps.acceptor.addChildAppDescriptor(JSON.parse(JSON.stringify(child!.descriptor)) as AppDescriptor);
    expect(apps.stats.children).toHaveLength(1);
    const other = App();
    expect(other.removeChildAppDescriptor(child!.descriptor)).toBe(other);
  });

  it.each([
    ['undefined', () => undefined],
    ['a pointer in a double, as uWebSockets.js has it', () => 4.2e-310],
    ['an object', (d: AppDescriptor) => ({ descriptor: d })],
    ['a text', (d: AppDescriptor) => String(d)],
    ['NaN', () => Number.NaN],
    ['infinite', () => Number.POSITIVE_INFINITY],
    ['negative', (d: AppDescriptor) => -d],
    ['small', () => 12_345],
    ['with a fraction', () => 2 ** 50 + 0.25],
  ])('that is %s is refused', (_name, wrong) => {
    const value = wrong(apps.children[0]!.descriptor) as AppDescriptor;
    for (const method of ['addChildAppDescriptor', 'removeChildAppDescriptor'] as const) {
      // A second App: the first one has a child.
      const app = apps.acceptor;
      expect(() => app[method](value)).toThrow(
        expect.objectContaining({
          code: 'MILLRACE_INVALID_ARGUMENT',
          message: expect.stringContaining(
            `${method}: the argument must be the number that getDescriptor() of an App returned, as it was; got `,
          ),
        }),
      );
    }
  });

  it('of another version or process is refused, and the error says what to do', () => {
    const { descriptor } = apps.children[0]!;
    const add = (value: AppDescriptor) => () => apps.acceptor.addChildAppDescriptor(value);
    expect(add(descriptor + 2 ** 50)).toThrow(/version 2, this copy .* version 1; use one copy/);
    const otherProcess = descriptor + (process.pid % 2 === 0 ? 1 : -1) * 2 ** 34;
    expect(add(otherProcess)).toThrow(/of another process; .* Let every process listen/);
  });

  it('is not made or taken where it makes no sense', async () => {
    const closed = App();
    closed.close();
    const state = expect.objectContaining({ code: 'MILLRACE_APP_STATE' });
    expect(() => closed.getDescriptor()).toThrow(state);
    expect(() => closed.addChildAppDescriptor(apps.children[0]!.descriptor)).toThrow(state);
    const own = App();
    const descriptor = own.getDescriptor();
    expect(() => own.addChildAppDescriptor(descriptor)).toThrow(/the App's own descriptor/);
    own.close();
    await expect(apps.children[0]!.ask('add', apps.acceptor.getDescriptor())).rejects.toThrow(
      /this App is the child of another one; add the descriptor to that one/,
    );
  });

  it('is not to be had in a shard of serve()', async () => {
    const module = `data:text/javascript,export default (app) => { app.getDescriptor(); }`;
    await expect(serve({ app: new URL(module), port: 0, host: HOST, shards: 1 })).rejects.toThrow(
      /getDescriptor: serve\(\) joins its shards itself; remove the call/,
    );
  });
});

it('workers can listen on one port without an acceptor, where Node.js and the system can share it', async () => {
  await start(0);
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const canShare = process.platform === 'linux' && (major > 22 || (major === 22 && minor >= 12));
  const first = await ChildApp.start(0, 'main-app.js', null, {}, 0);
  const second = await ChildApp.start(1, 'main-app.js', null, {}, first.port);
  apps.children.push(first, second);
  expect(second.port).toBe(canShare ? first.port : -1);
  const seen = new Set<unknown>();
  for (let i = 0; i < 40; i++) {
    const client = await Client.connect(`ws://${HOST}:${first.port}/shard`);
    seen.add(await client.next());
    client.socket.terminate();
  }
  expect(seen).toEqual(new Set(canShare ? ['0', '1'] : ['0']));
});

it('63 children are joined to one App, a 64th is one too many, and a topic reaches them all', async () => {
  await start(0);
  const children = Array.from({ length: 63 }, () => App());
  for (const child of children) apps.acceptor.addChildAppDescriptor(child.getDescriptor());
  const tooMany = App();
  expect(() => apps.acceptor.addChildAppDescriptor(tooMany.getDescriptor())).toThrow(
    /an App can have at most 63 children/,
  );
  await apps.joined(63);
  const got: number[] = [];
  children.forEach((child, i) => {
    child.ws('/', {
      open: (ws) => {
        ws.subscribe('t');
        ws.send(String(i));
      },
    });
  });
  const url = `ws://${HOST}:${apps.port}/`;
  const clients = await Promise.all(Array.from({ length: 63 }, () => Client.connect(url)));
  for (const client of clients) got.push(Number(await client.next()));
  expect(new Set(got).size).toBe(63);
  expect(children[62]!.numSubscribers('t')).toBe(63);
  children[40]!.publish('t', 'to everybody');
  for (const client of clients) expect(await client.next()).toBe('to everybody');
  for (const client of clients) client.socket.terminate();
  for (const child of children) child.close();
  tooMany.close();
  await until(() => apps.stats.children.every(({ state }) => state !== 'joined'), 'all are gone');
});
