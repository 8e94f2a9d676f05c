import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { serve } from 'millrace';
import { expect, it, vi } from 'vitest';
import {
  ChannelListener,
  connectChannel,
  createChannel,
  discardEnd,
} from '../../../src/net/handoff-channel.ts';
import { HandoffReceiver } from '../../../src/net/handoff-receiver.ts';
import { HandoffSender } from '../../../src/net/handoff-sender.ts';
import { bindAddress, boundPort } from '../../../src/net/listener.ts';
import { openDescriptors } from '../../support/clients/alive.ts';
import { Client } from '../../support/clients/clients.ts';
import { HOST } from '../../support/servers/server.ts';
import { DEADLINE, until } from '../../support/tools/deadline.ts';
import { withTemporary } from '../../support/tools/temporary.ts';

interface Arrived {
  readonly text: string;
  /** The port the socket is bound to; null: none came. */
  readonly port: number | null;
}

/** Receives all, and closes the sockets. */
function receive(end: ConstructorParameters<typeof HandoffReceiver>[0]): {
  arrived: Arrived[];
  ended: () => boolean;
  receiver: HandoffReceiver;
} {
  const arrived: Arrived[] = [];
  let isEnded = false;
  const receiver = new HandoffReceiver(
    end,
    (handle, bytes) => {
      arrived.push({ text: bytes.toString('latin1'), port: handle === null ? null : boundPort(handle) });
      handle?.close();
    },
    () => {
      isEnded = true;
    },
  );
  return { arrived, ended: () => isEnded, receiver };
}

it('messages with and without a socket arrive in order, each with its own, however they are glued and cut', async () => {
  const channel = await createChannel();
  const sender = new HandoffSender(channel.sender);
  const sent: Arrived[] = [];
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (let i = 0; i < 400; i++) {
    // Some longer than a read.
    const text = `${i}`.padEnd(random(20) === 0 ? 300_000 : random(40), '.');
    if (random(2) === 0) {
      sender.tell(text);
      sent.push({ text, port: null });
    } else {
      const socket = bindAddress(HOST, 0);
      sent.push({ text, port: boundPort(socket) });
      sender.send(text, socket);
    }
  }
  const { arrived, receiver } = receive(channel.receiverFd);
  await until(() => arrived.length === sent.length, 'all have arrived');
  expect(arrived).toEqual(sent);
  sender.close();
  receiver.close();
});

it('a duplicate is kept by its sender, which is told when the kernel has it', async () => {
  const channel = await createChannel();
  const sender = new HandoffSender(channel.sender);
  const socket = bindAddress(HOST, 0);
  sender.sendDuplicate('mine', socket);
  await until(() => sender.duplicates === 1, 'the kernel has it');
  const { arrived, receiver } = receive(channel.receiverFd);
  await until(() => arrived.length === 1, 'it has arrived');
  expect(arrived).toEqual([{ text: 'mine', port: boundPort(socket) }]);
  socket.close();
  sender.close();
  receiver.close();
});

it('a sender that watches notices the end of the receiver, and says when its sockets may be closed', async () => {
  const listener = new ChannelListener(10_000);
  const pipe = await connectChannel(listener.path);
  const events: string[] = [];
  const sender = new HandoffSender((await listener.accepted).fd, () => {
    events.push('lost');
    sender.close(() => events.push('idle'));
  });
  sender.watch();
  const { receiver } = receive(pipe);
  sender.tell('hello');
  receiver.close();
  await until(() => events.length === 2, 'both are told');
  expect(events).toEqual(['lost', 'idle']);
  expect(sender.tell('too late')).toBe(false);
});

it('a listener that nobody connects to closes in time, or when it is closed, and leaves nothing behind', async () => {
  const descriptors = openDescriptors();
  const lapsing = new ChannelListener(50);
  await expect(lapsing.accepted).rejects.toThrow(/could not accept on a Unix socket \(nothing arrived\)/);
  const closed = new ChannelListener(10_000);
  closed.close();
  closed.close();
  await expect(closed.accepted).rejects.toThrow('nothing arrived');
  for (const { path } of [lapsing, closed]) {
    await expect(connectChannel(path)).rejects.toThrow(/could not connect to a Unix socket \(ENOENT\)/);
  }
  await until(() => openDescriptors() === descriptors, 'no descriptor is left');
});

it.each([
  ['/nonexistent', 'ENOENT'],
  ['/dev/null', 'ENOTDIR'],
  [`/tmp/${'x'.repeat(79)}`, 'its path is too long for a Unix socket'],
])(
  'without a temporary folder that can be used (TMPDIR=%s) another one is, and it is said what is needed',
  async (folder, reason) => {
    const descriptors = openDescriptors();
    const said = vi.spyOn(console, 'error').mockImplementation(() => {});
    const app = new URL('../../integration/fixtures/main-app.js', import.meta.url);
    await withTemporary(folder, async () => {
      const server = await serve({ app, port: 0, host: HOST, shards: 2, handoff: 'channel' });
      await server.close({ drain: 0 });
    });
    expect(said.mock.calls).toEqual([
      [
        `millrace: could not make a folder in ${folder} (${reason}); the sockets between threads lie in /tmp now. ` +
          'Set TMPDIR to a folder that can be written to, with a path of at most 83 bytes',
      ],
    ]);
    said.mockRestore();
    await until(() => openDescriptors() === descriptors, 'no descriptor is left');
  },
);

it('a temporary folder that is removed keeps neither a shard nor an acceptor from being started anew', async () => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  const threads: Worker[] = [];
  process.on('worker', (worker) => threads.push(worker));
  const folder = mkdtempSync(join(tmpdir(), 'millrace-removed-'));
  await withTemporary(folder, async () => {
    const app = new URL('../../integration/fixtures/hostile-app.js', import.meta.url);
    const data = { tally: new SharedArrayBuffer(64), channel: `removed ${process.pid}` };
    const crashes: unknown[] = [];
    const onCrash = (): void => void crashes.push(1);
    const server = await serve({ app, port: 0, host: HOST, shards: 1, handoff: 'channel', data, onCrash });
    rmSync(folder, { recursive: true });
    await threads.at(-1)!.terminate();
    const url = `ws://${HOST}:${server.port}`;
    const first = await Client.connect(`${url}/control`);
    first.send('!exit:1');
    await until(() => crashes.length === 1, 'the shard ended');
    await until(() => server.stats().shards[0]!.state === 'ready', 'it is back');
    // It is joined a moment later; until then the answer is 503.
    let second: Client | null = null;
    for (const end = performance.now() + DEADLINE; second === null && performance.now() < end; ) {
      second = await Client.connect(`${url}/echo`).catch(() => null);
    }
    expect(await second!.ask('hello')).toBe('hello');
    await second!.close();
    await server.close({ drain: 0 });
  });
  process.removeAllListeners('worker');
  const warnings = said.mock.calls.filter(([text]) => String(text).includes(folder));
  expect(warnings).toHaveLength(1);
  said.mockRestore();
});

it('a socket lies in the folder that was made for it, however long its path may be', async () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-long-'));
  // One byte more would be cut off.
  const folder = join(root, 'x'.repeat(83 - 1 - root.length));
  mkdirSync(folder);
  await withTemporary(folder, async () => {
    const listener = new ChannelListener(10_000);
    expect(readdirSync(root)).toEqual([basename(folder)]);
    expect(readdirSync(dirname(listener.path))).toEqual(['handoff']);
    const pipe = await connectChannel(listener.path);
    pipe.close();
    discardEnd(await listener.accepted);
  });
  rmSync(root, { recursive: true });
});
