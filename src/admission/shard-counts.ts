import { type ControlBlock, Gauge } from '../metrics/control-block.ts';
import type { AddressLimit } from './address-limit.ts';

/**
 * ShardCounts: how many connections the shards have, all together and of each address. A connection counts for its address
 * from the moment it is accepted, and for all together from when it is sent to a shard, which counts it down when it ends.
 */
export class ShardCounts {
  readonly #control: ControlBlock;
  readonly #maxConnections: number;
  readonly #addresses: AddressLimit | null;

  /**
   * @param maxConnections 0: any number
   * @param addresses counts those that no shard has yet; null: addresses are not limited
   */
  constructor(control: ControlBlock, maxConnections: number, addresses: AddressLimit | null) {
    this.#control = control;
    this.#maxConnections = maxConnections;
    this.#addresses = addresses;
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

  /** A connection goes to the shard. Call it before it is sent: the shard may close it, and count down, at once. */
  add(shard: number, row: number): void {
    this.#control.addGauge(shard, Gauge.LIVE, 1);
    this.#addresses?.table.move(row, this.#addresses.column, shard);
  }

  /** It could not be sent. */
  takeBack(shard: number, row: number): void {
    this.#control.addGauge(shard, Gauge.LIVE, -1);
    this.#addresses?.table.move(row, shard, this.#addresses.column);
  }

  /** The shard is gone, with all that it was sent. */
  clear(shard: number): void {
    this.#control.setGauge(shard, Gauge.LIVE, 0);
    this.#addresses?.table.clear(shard);
  }
}
