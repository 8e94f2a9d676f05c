import { Counter } from '../metrics/counter.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { type AddressLimit, OVER_LIMIT } from './address-limit.ts';
import { NO_ADDRESS } from './address-table.ts';
import type { AddressKey } from './peer-address.ts';
import { type Refusal, Refusing } from './refusing.ts';

/** Admitting: what takes the connections that a gate lets in. */
export interface Admitting {
  /**
   * Another connection may be open here.
   *
   * @param refusing how many of those that are were refused, and are told so
   */
  hasRoom(refusing: number): boolean;
  /** Ends the oldest connection that has not said yet what it wants. Returns false when there is none. */
  makeRoom(): boolean;
  /** A connection that is refused may be open here, to be told so. */
  canTell(): boolean;
  /**
   * Takes a connection over.
   *
   * @param row what it is counted in, to be counted down when it is gone
   * @param refusal not null: only answers its first request with this status, and gives the place back when it is gone
   */
  admit(client: TcpHandle, row: number, refusal: Refusal | null): void;
  /** A connection of the row, which was not taken over, is gone. */
  discard(row: number): void;
}

/**
 * Gate: what every connection passes that a thread accepts, whichever way it goes on. It is counted for its address, let in
 * where there is room or somebody who says nothing gives way, and refused otherwise: a few at a time are told so, by the
 * answer to their first request, and the others are cut off.
 *
 *     accept ─▶ enter: counted ─▶ admit ─▶ room, or room is made ─▶ taken over
 *                └▶ too many of its address ─▶ 429 ┐
 *                              no room, no shard ─▶ 503 ┴▶ told behind its request, or cut off
 */
export class Gate {
  readonly #admitting: Admitting;
  readonly #addresses: AddressLimit | null;
  readonly #counters: Float64Array;
  readonly #isDirect: boolean;
  readonly #refusing = new Refusing();

  /**
   * @param addresses null: addresses are not limited
   * @param isDirect connections are their clients' own; false: those of proxies, which say later whom they speak for
   */
  constructor(admitting: Admitting, addresses: AddressLimit | null, counters: Float64Array, isDirect = true) {
    this.#admitting = admitting;
    this.#addresses = addresses;
    this.#counters = counters;
    this.#isDirect = isDirect;
  }

  /** Counts a connection that was accepted, see {@link AddressLimit}. */
  enter(client: TcpHandle): number {
    return this.#addresses === null || !this.#isDirect ? NO_ADDRESS : this.#addresses.enter(client);
  }

  /** Lets a connection in that was counted, or refuses it. `row`: what `enter` returned. */
  admit(client: TcpHandle, row: number): void {
    if (row === OVER_LIMIT) {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#turnAway(client, NO_ADDRESS, 429, this.#addresses!.rowOf(client));
    } else if (this.#admitting.hasRoom(this.#refusing.total) || this.#admitting.makeRoom()) {
      this.#admitting.admit(client, row, null);
    } else {
      this.refuse(client, row);
    }
  }

  /** Refuses a connection that was counted: there are as many as there may be. */
  refuse(client: TcpHandle, row: number): void {
    this.#counters[Counter.OVER_LIMIT]!++;
    this.turnAway(client, row);
  }

  /** Refuses a connection that was counted: nobody can take it now. */
  turnAway(client: TcpHandle, row: number): void {
    this.#turnAway(client, row, 503, NO_ADDRESS);
  }

  /** It is over, and nobody else counts it down. */
  leave(row: number): void {
    this.#addresses?.leave(row);
  }

  /**
   * Counts an open connection for the client that a proxy speaks for. Returns its row, or OVER_LIMIT, see
   * {@link AddressLimit}; of connections without an address there may be any number.
   */
  enterKey(key: AddressKey | undefined): number {
    if (this.#addresses === null || key === undefined) return NO_ADDRESS;
    const row = this.#addresses.enterKey(key);
    if (row === OVER_LIMIT) this.#counters[Counter.OVER_LIMIT]!++;
    return row;
  }

  /** A place for an open connection that is one too many of the address; null: it is to be cut off. */
  refuseKey(key: AddressKey): Refusal | null {
    return this.#refusing.take(429, this.#addresses!.table.rowOfKey(...key));
  }

  /** A connection that was refused is gone. */
  giveBack(refusal: Refusal): void {
    this.#refusing.giveBack(refusal);
  }

  /** @param over row of the address that has too many */
  #turnAway(client: TcpHandle, row: number, status: number, over: number): void {
    const refusal = this.#admitting.canTell() ? this.#refusing.take(status, over) : null;
    if (refusal === null) {
      this.#admitting.discard(row);
      client.close();
    } else {
      this.#admitting.admit(client, row, refusal);
    }
  }
}
