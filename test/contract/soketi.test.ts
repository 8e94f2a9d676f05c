import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Pusher from 'pusher';
import pusherJs, { type Channel, type PresenceChannel } from 'pusher-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

// Its typings tell of an ES module, which it is not.
const PusherJs = pusherJs as unknown as typeof pusherJs.default;
type PusherClient = InstanceType<typeof PusherJs>;

const PROGRAM = createRequire(import.meta.url).resolve('@soketi/soketi/bin/server.js');
const KEYS = { key: 'a-key', secret: 'a-secret' };

/** soketi takes no port 0. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function happens<T>(channel: Channel | PusherClient, event: string): Promise<T> {
  return new Promise((resolve) => channel.bind(event, resolve));
}

// Its parts for Amazon's services, which are loaded and not used here, have an empty package for their SDK of 100 MB.
describe('soketi', () => {
  const clients: PusherClient[] = [];
  let folder = '';
  let child: ChildProcess;
  let port = 0;
  let metricsPort = 0;
  let api: Pusher;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-soketi-'));
    [port, metricsPort] = await Promise.all([freePort(), freePort()]);
    const config = {
      host: '127.0.0.1',
      port,
      'metrics.enabled': true,
      'metrics.host': '127.0.0.1',
      'metrics.port': metricsPort,
      'appManager.array.apps': [
        { id: 'app', ...KEYS, enableClientMessages: true, maxConnections: 20, enabled: true },
      ],
    };
    await writeFile(join(folder, 'config.json'), JSON.stringify(config));
    child = spawn(process.execPath, [PROGRAM, 'start', '--config=config.json'], { cwd: folder });
    await new Promise<void>((resolve, reject) => {
      let output = '';
      const look = (data: Buffer): void => {
        output += data.toString();
        if (output.includes('up and running')) resolve();
      };
      child.stdout!.on('data', look);
      child.stderr!.on('data', look);
      child.once('exit', (code) => {
        reject(new Error(`soketi ended with ${code}: ${output}`));
      });
    });
    api = new Pusher({ appId: 'app', ...KEYS, host: '127.0.0.1', port: String(port), useTLS: false });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.disconnect();
  });
  afterAll(async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  function connect(user = 'nobody', key = KEYS.key): PusherClient {
    const client = new PusherJs(key, {
      cluster: '',
      wsHost: '127.0.0.1',
      wsPort: port,
      forceTLS: false,
      enabledTransports: ['ws'],
      disableStats: true,
      channelAuthorization: {
        endpoint: '',
        transport: 'ajax',
        customHandler: ({ socketId, channelName }, done) => {
          const member = { user_id: user, user_info: { name: user } };
          const isPresence = channelName.startsWith('presence-');
          done(null, api.authorizeChannel(socketId, channelName, isPresence ? member : undefined));
        },
      },
    });
    clients.push(client);
    return client;
  }

  async function subscribed(client: PusherClient, name: string): Promise<Channel> {
    const channel = client.subscribe(name);
    await happens(channel, 'pusher:subscription_succeeded');
    return channel;
  }

  it('brings what is triggered by HTTP to the subscribers of a channel', async () => {
    const [a, b, c] = await Promise.all([
      subscribed(connect(), 'news'),
      subscribed(connect(), 'news'),
      subscribed(connect(), 'other'),
    ]);
    const [toA, toB] = [happens(a, 'said'), happens(b, 'said')];
    const toC = happens(c, 'last');
    c.bind('said', () => expect.fail('it is for another channel'));
    await api.trigger('news', 'said', { text: 'Grüße', list: [1, 2] });
    expect(await toA).toEqual({ text: 'Grüße', list: [1, 2] });
    expect(await toB).toEqual({ text: 'Grüße', list: [1, 2] });
    await api.triggerBatch([
      { channel: 'other', name: 'last', data: 'one' },
      { channel: 'news', name: 'unheard', data: 'two' },
    ]);
    expect(await toC).toBe('one');
  });

  it('knows who is present', async () => {
    const ada = (await subscribed(connect('ada'), 'presence-room')) as PresenceChannel;
    const added = happens<{ id: string }>(ada, 'pusher:member_added');
    const bobsClient = connect('bob');
    const bob = (await subscribed(bobsClient, 'presence-room')) as PresenceChannel;
    expect((await added).id).toBe('bob');
    expect([bob.members.count, bob.members.me.id]).toEqual([2, 'bob']);
    const response = await api.get({ path: '/channels/presence-room/users' });
    const { users } = (await response.json()) as { users: { id: string }[] };
    expect(users.map(({ id }) => id).sort()).toEqual(['ada', 'bob']);
    const removed = happens<{ id: string }>(ada, 'pusher:member_removed');
    bobsClient.disconnect();
    expect((await removed).id).toBe('bob');
  });

  it('carries events of clients in private channels', async () => {
    const [a, b] = await Promise.all([
      subscribed(connect(), 'private-talk'),
      subscribed(connect(), 'private-talk'),
    ]);
    const heard = happens(b, 'client-typing');
    a.trigger('client-typing', { at: 7 });
    expect(await heard).toEqual({ at: 7 });
  });

  it('refuses a key it does not know, and a request that is not signed', async () => {
    const error = await happens<{ data: { code: number } }>(
      connect('x', 'wrong').connection as never,
      'error',
    );
    expect(JSON.stringify(error)).toContain('4001');
    const response = await fetch(`http://127.0.0.1:${port}/apps/app/channels`);
    // It writes the headers of CORS first, after which a status comes too late.
    expect(await response.json()).toMatchObject({ code: 401 });
  });

  it('answers health checks, and with its counters', async () => {
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('OK');
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    expect(metrics).toMatch(/soketi_\w*new_connections_total\{[^}]*\} [1-9]/);
    const usage = (await (await fetch(`http://127.0.0.1:${metricsPort}/usage`)).json()) as object;
    expect(usage).toHaveProperty('memory');
  });
});
