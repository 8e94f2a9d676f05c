import { type ControlBlock, Gauge } from '../metrics/control-block.ts';
import type { SocketHandle } from '../net/node-internals.ts';
import { peerAddress } from '../net/peer-name.ts';
import { AddressTable, NO_ADDRESS } from './address-table.ts';
import type { AddressKey } from './peer-address.ts';

/** What `enter` returns for a connection too many of its address. */
export const OVER_LIMIT = -2;

/**
 * AddressLimit: counts the connections of each address from the moment they are accepted, and says which are too many.
 * `column` of the table is that of the thread that accepts.
 */
export class AddressLimit {
  readonly table: AddressTable;
  readonly column: number;
  readonly #max: number;

  constructor(table: AddressTable, column: number, max: number) {
    this.table = table;
    this.column = column;
    this.#max = max;
  }

  /**
   * Counts one more connection. Returns the row that it is counted in; NO_ADDRESS when it has no address (a Unix socket, or
   * a peer that has left already), OVER_LIMIT when it is one too many, and is not counted.
   */
  enter(handle: SocketHandle): number {
    return this.#enter(this.table.rowOf(peerAddress(handle)));
  }

  /** The same for a client that a proxy speaks for. */
  enterKey([high, low]: AddressKey): number {
    return this.#enter(this.table.rowOfKey(high, low));
  }

  /** The row of an address, to tell those too many of one from those of another. */
  rowOf(handle: SocketHandle): number {
    return this.table.rowOf(peerAddress(handle));
  }

  leave(row: number): void {
    if (row >= 0) this.table.add(row, this.column, -1);
  }

  #enter(row: number): number {
    if (row === NO_ADDRESS) return NO_ADDRESS;
    if (this.table.total(row) >= this.#max) return OVER_LIMIT;
    this.table.add(row, this.column, 1);
    return row;
  }
}

/** How many connections there may be. */
export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

/**
 * Admission: how many connections the shards have, all together and of each address, and whether that is too many. A
 * connection counts for its address from the moment it is accepted, and for all together from when it is sent to a shard,
 * which counts it down when it ends.
 */
export class Admission {
  readonly #control: ControlBlock;
  readonly #maxConnections: number;
  readonly #addresses: AddressLimit | null;

  /** @param addresses memory of the address table; null: addresses are not limited */
  constructor(control: ControlBlock, limits: ConnectionLimits, addresses: SharedArrayBuffer | null) {
    const { maxConnections, maxConnectionsPerAddress } = limits;
    this.#control = control;
    this.#maxConnections = maxConnections;
    this.#addresses =
      addresses === null
        ? null
        : new AddressLimit(new AddressTable(addresses), control.shards, maxConnectionsPerAddress);
  }

  /** Connections that the shards have. */
  get total(): number {
    let total = 0;
    for (let i = 0; i < this.#control.shards; i++) total += this.#control.gauge(i, Gauge.LIVE);
    return total;
  }

  /** The shards have as many as they may. */
  get isFull(): boolean {
    return this.#maxConnections !== 0 && this.total >= this.#maxConnections;
  }

  /** Counts a connection that was accepted, see {@link AddressLimit}. */
  enter(handle: SocketHandle): number {
    return this.#addresses === null ? NO_ADDRESS : this.#addresses.enter(handle);
  }

  /** It is over before a shard had it. */
  leave(row: number): void {
    this.#addresses?.leave(row);
  }

  /** The row of an address that has too many. */
  rowOf(handle: SocketHandle): number {
    return this.#addresses?.rowOf(handle) ?? NO_ADDRESS;
  }

  /** A connection goes to the shard. Call it before it is sent: the shard may close it, and count down, at once. */
  add(shard: number, row: number): void {
    this.#move(shard, row, 1);
  }

  /** It could not be sent. */
  takeBack(shard: number, row: number): void {
    this.#move(shard, row, -1);
  }

  /** The shard is gone, with all that it was sent. */
  clear(shard: number): void {
    this.#control.setGauge(shard, Gauge.LIVE, 0);
    this.#addresses?.table.clear(shard);
  }

  #move(shard: number, row: number, change: number): void {
    this.#control.addGauge(shard, Gauge.LIVE, change);
    if (row === NO_ADDRESS || this.#addresses === null) return;
    const { table, column } = this.#addresses;
    // In this order the sum is never too low: a row without connections is another address's.
    table.add(row, change > 0 ? shard : column, 1);
    table.add(row, change > 0 ? column : shard, -1);
  }
}
