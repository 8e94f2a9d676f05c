import { afterEach, beforeEach, expect, it } from 'vitest';
import { Acceptor } from '../../../src/acceptor/acceptor.ts';
import type { SocketSender } from '../../../src/acceptor/shard-channels.ts';
import { AddressTable } from '../../../src/admission/address-table.ts';
import { newHashKey } from '../../../src/keyed-hash.ts';
import { ControlBlock, Gauge } from '../../../src/metrics/control-block.ts';
import type { TcpHandle } from '../../../src/net/node-internals.ts';
import { checkServeLimits } from '../../../src/options/server-limits.ts';
import { HandoffMode } from '../../../src/shard/control-message.ts';
import { AcceptedHandles } from '../../support/servers/accepted-handles.ts';

let sockets: AcceptedHandles;
beforeEach(async () => {
  sockets = await AcceptedHandles.start();
});
afterEach(() => {
  sockets.close();
});

async function accepted(): Promise<TcpHandle> {
  return (await sockets.accept()).handle;
}

/** A port says nothing of a thread at its other end that has ended: it takes all, and gives nothing back. */
function portOfNobody(): SocketSender {
  return {
    isFull: false,
    pending: 0,
    onUnsent: null,
    send(_message, handle): boolean {
      handle.close();
      return true;
    },
    cancel(): void {},
    finish(): void {},
    close(): void {},
  };
}

it('forgets what it sent to a shard between its end and hearing of it', async () => {
  const control = new ControlBlock(1);
  const table = AddressTable.create(2, 100);
  const acceptor = new Acceptor(
    {
      mode: HandoffMode.TRANSFER,
      control: control.memory,
      addresses: table.memory,
      shards: 1,
      limits: checkServeLimits('serve', { maxConnections: 100, maxConnectionsPerAddress: 2 }),
      hosts: { allowedHosts: null, behindTls: false },
      balance: 'round-robin',
      hashKey: newHashKey(),
      isTls: false,
      listenFd: -1,
    },
    control,
    () => {},
  );
  const counts = (): number[] => [control.gauge(0, Gauge.LIVE), table.total(table.rowOf('127.0.0.1'))];
  acceptor.shardUp(0, [], portOfNobody, () => {});
  acceptor.accept(await accepted());
  expect(counts()).toEqual([1, 1]);
  // As the main thread does when it sees the end of the thread.
  control.endShard(0);
  table.clear(0);
  acceptor.accept(await accepted());
  acceptor.accept(await accepted());
  expect(counts()).toEqual([2, 2]);
  acceptor.shardGone(0);
  expect(counts()).toEqual([0, 0]);
});
