import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { runShard } from '../../../src/app/shard-thread.ts';
import { createLinkMemory } from '../../../src/bus/link-memory.ts';
import { ControlBlock } from '../../../src/metrics/control-block.ts';
import { type Channel, createChannel } from '../../../src/net/handoff-channel.ts';
import { HandoffSender } from '../../../src/net/handoff-sender.ts';
import { checkServeLimits } from '../../../src/options/server-limits.ts';
import type { FromShard, ToShard } from '../../../src/shard/control-message.ts';
import { openDescriptors } from '../../support/clients/alive.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

/** A shard in this thread, which the test is the supervisor of. */
class DrivenShard {
  readonly ended: Promise<void>;
  readonly #port: MessagePort;
  /** Descriptors of the channels it has opened. */
  readonly connected: number[] = [];
  /** Of those it closed instead. */
  readonly discarded: number[] = [];
  isReady = false;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message: FromShard) => {
      if (message.type === 'connected') this.connected.push(message.fd);
      if (message.type === 'discarded') this.discarded.push(message.fd);
      if (message.type === 'ready') this.isReady = true;
    });
    this.ended = runShard({
      index: 0,
      count: 1,
      control: new ControlBlock(1).memory,
      addresses: null,
      hosts: { allowedHosts: null, behindTls: false },
      module: new URL('../../../examples/echo.js', import.meta.url).href,
      data: null,
      limits: checkServeLimits('serve', { heapWatermark: 0 }),
      tls: null,
      links: createLinkMemory(1, 1, 4096, 4096),
      isSuccessor: false,
      heapFlag: 0,
      port: port2,
    });
  }

  tell(message: ToShard): void {
    this.#port.postMessage(message);
  }

  async end(): Promise<void> {
    this.tell({ type: 'drain', terms: { code: 1001, deadline: 0, grace: 0 }, isReplaced: false });
    await this.ended;
    this.#port.close();
  }
}

/** A channel whose sending end is watched. */
async function watched(): Promise<{ channel: Channel; sender: HandoffSender; isLost: () => boolean }> {
  const channel = await createChannel();
  let isLost = false;
  const sender = new HandoffSender(channel.sender, () => {
    isLost = true;
  });
  sender.watch();
  return { channel, sender, isLost: () => isLost };
}

async function ready(): Promise<DrivenShard> {
  const shard = new DrivenShard();
  await until(() => shard.isReady, 'the shard is ready');
  return shard;
}

it('a shard that gets a new channel gives up the old one when that does not end', async () => {
  const before = openDescriptors();
  const shard = await ready();
  const old = await watched();
  shard.tell({ type: 'channel', fd: old.channel.receiverFd });
  await until(() => shard.connected.length === 1, 'it has opened the first');
  const next = await watched();
  shard.tell({ type: 'channel', fd: next.channel.receiverFd });
  await sleep(200);
  // What is on its way in the old one comes first.
  expect([shard.connected.length, old.isLost()]).toEqual([1, false]);
  await until(() => shard.connected.length === 2, 'it has opened the second');
  expect(shard.connected).toEqual([old.channel.receiverFd, next.channel.receiverFd]);
  await until(() => old.isLost(), 'the old one is closed');
  expect(next.isLost()).toBe(false);
  await shard.end();
  next.sender.close();
  await until(() => openDescriptors() <= before, 'no descriptor is left');
});

it('a channel that was overtaken before the shard could open it is closed', async () => {
  const before = openDescriptors();
  const shard = await ready();
  const channels = [await watched(), await watched(), await watched()] as const;
  const [first, overtaken, last] = channels;
  for (const { channel } of channels) shard.tell({ type: 'channel', fd: channel.receiverFd });
  await until(() => overtaken.isLost(), 'the second is closed');
  expect([first.isLost(), last.isLost()]).toEqual([false, false]);
  first.sender.close();
  await until(() => shard.connected.length === 2, 'it has opened the last');
  expect(shard.connected).toEqual([first.channel.receiverFd, last.channel.receiverFd]);
  // The main thread closes what it does not hear of.
  expect(shard.discarded).toEqual([overtaken.channel.receiverFd]);
  await shard.end();
  last.sender.close();
  await until(() => openDescriptors() <= before, 'no descriptor is left');
});
