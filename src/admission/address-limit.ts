import type { SocketHandle } from '../net/node-internals.ts';
import { peerAddress } from '../net/peer-name.ts';
import { type AddressTable, NO_ADDRESS } from './address-table.ts';
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
