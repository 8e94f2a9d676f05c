import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ShardChannels, type SocketSender } from '../../../src/acceptor/shard-channels.ts';
import { AddressLimit } from '../../../src/admission/address-limit.ts';
import { AddressTable } from '../../../src/admission/address-table.ts';
import { newHashKey } from '../../../src/keyed-hash.ts';
import { ControlBlock, Gauge } from '../../../src/metrics/control-block.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { NO_STAMP } from '../../../src/metrics/monotonic-time.ts';
import type { TcpHandle } from '../../../src/net/node-internals.ts';
import { type AcceptorData, HandoffMode, type RouteEntry } from '../../../src/shard/control-message.ts';
import { HandoffKind, handoffPrefix } from '../../../src/shard/handoff-message.ts';
import { AcceptedHandles, readToEnd } from '../../support/servers/accepted-handles.ts';

let sockets: AcceptedHandles;
beforeEach(async () => {
  sockets = await AcceptedHandles.start();
});
afterEach(() => {
  for (const end of ends.splice(0)) end.closeAll();
  sockets.close();
});

/** The sending end of a channel whose other end nobody reads: what it was given is there to be looked at. */
class End implements SocketSender {
  isFull = false;
  isBroken = false;
  onLost: () => void = () => {};
  onUnsent: SocketSender['onUnsent'] = null;
  readonly sent: { message: string; handle: TcpHandle }[] = [];
  calls: string[] = [];

  get pending(): number {
    return this.sent.length;
  }

  send(message: string, handle: TcpHandle): boolean {
    if (this.isBroken) {
      this.onLost();
      return false;
    }
    this.sent.push({ message, handle });
    return true;
  }

  /** The channel breaks: what it holds comes back. */
  giveBack(): void {
    for (const { message, handle } of this.sent.splice(0)) this.onUnsent!(message, handle);
  }

  cancel(): void {
    this.calls.push('cancel');
  }

  finish(): void {
    this.calls.push('finish');
  }

  close(): void {
    this.calls.push('close');
  }

  closeAll(): void {
    for (const { handle } of this.sent.splice(0)) handle.close();
  }
}

const ends: End[] = [];
const CHAT: RouteEntry[] = [{ pattern: '/chat', rules: {} as RouteEntry['rules'], hasUpgrade: false }];

function channelsOf(shards: number, mode: HandoffMode = HandoffMode.CHANNEL) {
  const control = new ControlBlock(shards);
  const table = AddressTable.create(shards + 1, 100);
  const limit = new AddressLimit(table, shards, 100);
  const data = {
    mode,
    balance: 'round-robin',
    hashKey: newHashKey(),
    limits: { maxConnections: 0 },
  } as unknown as AcceptorData;
  const channels = new ShardChannels(data, control, limit, () => {});
  const open = (index: number, routes: readonly RouteEntry[] = []): End => {
    const end = new End();
    ends.push(end);
    const connect = (onLost: () => void): End => {
      end.onLost = onLost;
      return end;
    };
    channels.open(index, routes, connect, () => {});
    return end;
  };
  const send = async (shard: number) => {
    const { handle, client } = await sockets.accept();
    const row = limit.enter(handle);
    channels.send(handle, shard, handoffPrefix(HandoffKind.UNREAD, 0, row, NO_STAMP), row);
    return client;
  };
  const live = (): number[] => Array.from({ length: shards }, (_, i) => control.gauge(i, Gauge.LIVE));
  const counted = (): number => table.total(table.rowOf('127.0.0.1'));
  return {
    control,
    channels,
    open,
    send,
    live,
    counted,
    failed: () => control.acceptor.counters[Counter.HANDOFF_FAILED]!,
  };
}

const choose = (channels: ShardChannels): number => channels.choose(null, () => '');

describe('the channels of an acceptor', () => {
  it('choose among the shards that have room, and none when there is none', () => {
    const { channels, open } = channelsOf(3);
    expect(choose(channels)).toBe(-1);
    const [, second, third] = [open(0), open(1), open(2)];
    expect(new Set([choose(channels), choose(channels), choose(channels)])).toEqual(new Set([0, 1, 2]));
    second.isFull = true;
    third.isFull = true;
    expect([choose(channels), choose(channels)]).toEqual([0, 0]);
    channels.close(0);
    expect(choose(channels)).toBe(-1);
  });

  it('count a connection for the shard that has it, and for nobody when it could not be sent', async () => {
    const { open, send, live, counted, failed } = channelsOf(2);
    const first = open(0);
    await send(0);
    expect([live(), counted(), first.sent.length]).toEqual([[1, 0], 1, 1]);
    first.isBroken = true;
    const second = open(1);
    await send(0);
    expect([live(), counted(), second.sent.length, failed()]).toEqual([[1, 1], 2, 1, 1]);
  });

  it('send to no shard with other routes, and close what nobody can have', async () => {
    const { channels, open, live, counted, send, failed } = channelsOf(2);
    const first = open(0);
    const other = open(1, CHAT);
    expect([channels.tableOf(0).routes, channels.tableOf(1).routes]).toEqual([[], CHAT]);
    await send(0);
    channels.close(0);
    const client = await send(0);
    expect(await readToEnd(client)).toBe('');
    expect([other.sent.length, live(), counted(), failed()]).toEqual([0, [1, 0], 1, 1]);
    first.giveBack();
    expect([other.sent.length, live(), counted(), failed()]).toEqual([0, [0, 0], 0, 2]);
  });

  it('send what a broken channel gives back to another shard, counted there', async () => {
    const { open, send, live, counted } = channelsOf(2);
    const first = open(0);
    await send(0);
    await send(0);
    first.isFull = true;
    const second = open(1);
    first.giveBack();
    expect([second.sent.length, live(), counted()]).toEqual([2, [0, 2], 2]);
  });

  it('end behind what was sent, each once', () => {
    const { channels, open } = channelsOf(2);
    const [first, second] = [open(0), open(1)];
    channels.finish(0);
    expect(choose(channels)).toBe(1);
    channels.finishAll();
    channels.close(1);
    expect([first.calls, second.calls, choose(channels)]).toEqual([['finish'], ['finish'], -1]);
  });

  it('let 1,024 sockets wait in a port, which takes all it is given', () => {
    const { control, channels, open } = channelsOf(1, HandoffMode.TRANSFER);
    const end = open(0);
    const socket = { close: () => {} } as unknown as TcpHandle;
    for (let i = 0; i < 1024; i++) {
      expect(choose(channels)).toBe(0);
      channels.send(socket, 0, '', -1);
    }
    expect([end.sent.length, choose(channels)]).toEqual([1024, -1]);
    control.addGauge(0, Gauge.TAKEN, 1);
    expect(choose(channels)).toBe(0);
  });
});
