import type { AddressLimit } from '../admission/address-limit.ts';
import { ShardCounts } from '../admission/shard-counts.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { ControlBlock } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { type AcceptorData, HandoffMode, type RouteEntry } from '../shard/control-message.ts';
import { addressIn } from '../shard/handoff-message.ts';
import { Balancer } from './balancer.ts';
import { ShardIntakes } from './intake.ts';
import { RouteTable } from './route-table.ts';

/** Sockets that may wait in a port for a shard that does not take them. */
const MAX_IN_PORT = 1024;

/** The sending end of a channel, or a port, that sockets go to a shard by. */
export interface SocketSender {
  /** The shard does not keep up; send elsewhere. */
  readonly isFull: boolean;
  /** Messages that the system has not taken. */
  readonly pending: number;
  /** Gets back what was not sent when the channel is lost, cancelled or closed. */
  onUnsent: ((message: string, handle: TcpHandle) => void) | null;
  /** Sends a socket with a message, one byte a character. On failure the socket stays open, and the caller's. */
  send(message: string, handle: TcpHandle): boolean;
  /** Gives up what is pending: the channel is lost. */
  cancel(): void;
  /** Sends nothing more; what was sent arrives. */
  finish(): void;
  close(): void;
}

/**
 * ShardChannels: the channels from the acceptor to all shards. It chooses the shard for a connection, counts what it sends,
 * and sends it to another shard when the chosen one is gone or stands still.
 */
export class ShardChannels {
  readonly counts: ShardCounts;
  readonly #addresses: AddressLimit | null;
  readonly #counters: Float64Array;
  readonly #balancer: Balancer;
  readonly #intakes: ShardIntakes;
  /** Sockets go by `postMessage`, through ports instead of channels. */
  readonly #isByPort: boolean;
  readonly #senders: (SocketSender | null)[];
  readonly #tables: (RouteTable | null)[];
  /** The shard has room for another. */
  readonly #hasRoom = (shard: number): boolean => {
    const sender = this.#senders[shard];
    if (sender === null || sender === undefined || sender.isFull) return false;
    // A port does not say that it is full.
    return !this.#isByPort || this.#intakes.waiting(shard) < MAX_IN_PORT;
  };
  /** The shard has room, and takes what it is sent, as far as is known. */
  readonly #isAvailable = (shard: number): boolean => this.#hasRoom(shard) && !this.#intakes.isStalled(shard);

  /**
   * @param addresses counts connections that no shard has; null: addresses are not limited
   * @param onStalled a shard does not take what it is sent, or takes it again
   */
  constructor(
    data: AcceptorData,
    control: ControlBlock,
    addresses: AddressLimit | null,
    onStalled: (shard: number, isStalled: boolean) => void,
  ) {
    this.counts = new ShardCounts(control, data.limits.maxConnections, addresses);
    this.#addresses = addresses;
    this.#counters = control.acceptor.counters;
    this.#balancer = new Balancer(data.balance, control, data.hashKey);
    this.#intakes = new ShardIntakes(control, onStalled, (shard) => {
      this.#relieve(shard);
    });
    this.#isByPort = data.mode === HandoffMode.TRANSFER;
    this.#senders = new Array<SocketSender | null>(control.shards).fill(null);
    this.#tables = new Array<RouteTable | null>(control.shards).fill(null);
  }

  /**
   * The shard takes connections.
   *
   * @param connect makes the channel to it; `onLost` is to be called when it breaks
   */
  open(
    index: number,
    routes: readonly RouteEntry[],
    connect: (onLost: () => void) => SocketSender,
    onLost: () => void,
  ): void {
    this.close(index);
    const sender = connect(() => {
      this.#senders[index] = null;
      this.#intakes.closed(index);
      onLost();
    });
    sender.onUnsent = (message, handle) => {
      this.#resend(handle, index, message);
    };
    this.#senders[index] = sender;
    this.#intakes.opened(index);
    this.#tables[index] = this.#tableOf(routes);
  }

  /** The channel is gone. */
  close(index: number): void {
    this.#senders[index]?.close();
    this.#senders[index] = null;
    this.#intakes.closed(index);
  }

  /** The shard gets what was sent to it, and no more; if it stands still, what the kernel has not taken goes to another. */
  finish(index: number): void {
    if (this.#intakes.isStalled(index)) this.#relieve(index);
    this.#finish(index);
  }

  /** Every shard gets what was sent to it, and no more. */
  finishAll(): void {
    for (let i = 0; i < this.#senders.length; i++) this.#finish(i);
  }

  #finish(index: number): void {
    this.#senders[index]?.finish();
    this.#senders[index] = null;
    this.#intakes.closed(index);
  }

  /** The routes of a shard that was chosen. */
  tableOf(shard: number): RouteTable {
    return this.#tables[shard]!;
  }

  /**
   * A shard that can take a connection, or -1; when all are stalled, one whose channel has room.
   *
   * @param head null: the connection is unread
   */
  choose(head: RequestHead | null, address: () => string): number {
    const shard = this.#balancer.choose(this.#isAvailable, head, address);
    return shard >= 0 ? shard : this.#balancer.choose(this.#hasRoom, head, address);
  }

  /** The shard with the most connections that have said nothing and can give way, or -1. */
  mostWaiting(): number {
    return this.#balancer.mostWaiting(this.#isAvailable);
  }

  /** Gives a socket of the row to a shard, or to another with the same routes when that is gone; closes it if there is none. */
  send(handle: TcpHandle, shard: number, message: string, row: number): void {
    for (let at = shard; at >= 0; at = this.#chooseLike(shard)) {
      this.counts.add(at, row);
      if (this.#senders[at]?.send(message, handle) === true) {
        this.#intakes.sent(at);
        return;
      }
      this.#counters[Counter.HANDOFF_FAILED]!++;
      this.counts.takeBack(at, row);
    }
    this.#addresses?.leave(row);
    handle.close();
  }

  /** Another shard for a message that has a route's number in the table of `shard`; -1: there is none. */
  #chooseLike(shard: number): number {
    const table = this.#tables[shard];
    const choose = (isGood: (shard: number) => boolean): number =>
      this.#balancer.choose(
        (other) => isGood(other) && this.#tables[other] === table,
        null,
        () => '',
      );
    const other = choose(this.#isAvailable);
    return other >= 0 ? other : choose(this.#hasRoom);
  }

  /** The shard is stalled: what the kernel has not taken for it goes to another, as soon as there is one. */
  #relieve(shard: number): void {
    const sender = this.#senders[shard];
    if (sender === null || sender === undefined || sender.pending === 0) return;
    const other = this.#chooseLike(shard);
    if (other >= 0 && this.#isAvailable(other)) sender.cancel();
  }

  /** A socket was sent to the shard, and the channel ended before the kernel had it. */
  #resend(handle: TcpHandle, shard: number, message: string): void {
    const row = addressIn(message);
    this.counts.takeBack(shard, row);
    const other = this.#chooseLike(shard);
    if (other >= 0) {
      this.send(handle, other, message, row);
      return;
    }
    this.#counters[Counter.HANDOFF_FAILED]!++;
    this.#addresses?.leave(row);
    handle.close();
  }

  /** Shards of one app module have one table; while a server is reloaded there are two. */
  #tableOf(routes: readonly RouteEntry[]): RouteTable {
    const signature = RouteTable.signatureOf(routes);
    return this.#tables.find((table) => table?.signature === signature) ?? new RouteTable(routes);
  }
}
