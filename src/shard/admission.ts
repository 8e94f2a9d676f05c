import { type ControlBlock, Gauge } from '../ring/control-block.ts';
import { AddressTable } from './address-table.ts';
import type { AcceptorLimits } from './control-message.ts';
import { NO_ADDRESS } from './shard.ts';

/**
 * Admission: how many connections the shards have, all together and of each address, and whether that is too many. An
 * acceptor counts a connection when it sends it to a shard, which counts it down when it ends.
 */
export class Admission {
  readonly #control: ControlBlock;
  readonly #limits: AcceptorLimits;
  readonly #addresses: AddressTable;

  constructor(control: ControlBlock, limits: AcceptorLimits) {
    this.#control = control;
    this.#limits = limits;
    this.#addresses = new AddressTable(control);
  }

  /** Addresses are counted. */
  get countsAddresses(): boolean {
    return this.#limits.maxConnectionsPerAddress !== 0;
  }

  /** Connections that the shards have. */
  get total(): number {
    let total = 0;
    for (let i = 0; i < this.#control.shards; i++) total += this.#control.gauge(i, Gauge.LIVE);
    return total;
  }

  /** What connections of the address are counted in, a row of the address table; NO_ADDRESS when it has none. */
  rowOf(address: string): number {
    return this.#addresses.rowOf(address);
  }

  /** The status that refuses one more connection of the row's address, or 0. */
  refusal(row: number): number {
    const { maxConnections, maxConnectionsPerAddress } = this.#limits;
    if (maxConnections !== 0 && this.total >= maxConnections) return 503;
    if (row === NO_ADDRESS) return 0;
    return this.#control.addressTotal(row) >= maxConnectionsPerAddress ? 429 : 0;
  }

  /** A connection goes to the shard. Call it before it is sent: the shard may close it, and count down, at once. */
  add(shard: number, row: number): void {
    this.#count(shard, row, 1);
  }

  /** It could not be sent. */
  takeBack(shard: number, row: number): void {
    this.#count(shard, row, -1);
  }

  #count(shard: number, row: number, change: number): void {
    this.#control.addGauge(shard, Gauge.LIVE, change);
    if (row !== NO_ADDRESS) this.#control.addAddress(row, shard, change);
  }
}
