import type { RequestHead } from '../http/request-head.ts';
import { type HashKey, KeyedHash } from '../keyed-hash.ts';
import { type ControlBlock, Gauge } from '../metrics/control-block.ts';
import type { Balance } from '../shard/control-message.ts';

/** Chooses the shard for a connection among those that take connections. */
export class Balancer {
  readonly #balance: Balance;
  readonly #control: ControlBlock;
  readonly #hash: KeyedHash;
  #turn = 0;

  /** @param hashKey random for each server: a client that names a path or a cookie must not be able to choose the shard */
  constructor(balance: Balance, control: ControlBlock, hashKey: HashKey) {
    this.#balance = balance;
    this.#control = control;
    this.#hash = new KeyedHash(hashKey);
  }

  /**
   * The index of a shard, or -1 when `isAvailable` holds for none.
   *
   * @param head the request; null when the choice comes before it is read
   */
  choose(isAvailable: (shard: number) => boolean, head: RequestHead | null, address: () => string): number {
    if (this.#balance === 'round-robin') return this.#nextAvailable(isAvailable, this.#turn++);
    if (this.#balance === 'least-connections') return this.#leastConnections(isAvailable);
    const key = stickyKey(this.#balance.sticky, head, address);
    return key === ''
      ? this.#leastConnections(isAvailable)
      : this.#nextAvailable(isAvailable, this.#hash.text(key));
  }

  /** The available shard with the most connections that have not said yet what they want, or -1. */
  mostWaiting(isAvailable: (shard: number) => boolean): number {
    let best = -1;
    let most = 0;
    for (let shard = 0; shard < this.#control.shards; shard++) {
      const waiting = this.#control.gauge(shard, Gauge.WAITING);
      if (waiting <= most || !isAvailable(shard)) continue;
      most = waiting;
      best = shard;
    }
    return best;
  }

  #leastConnections(isAvailable: (shard: number) => boolean): number {
    let best = -1;
    let fewest = Number.POSITIVE_INFINITY;
    // Starting elsewhere each time spreads the ties.
    const { shards } = this.#control;
    const first = this.#turn++ % shards;
    for (let i = 0; i < shards; i++) {
      const shard = (first + i) % shards;
      if (!isAvailable(shard)) continue;
      const live = this.#control.gauge(shard, Gauge.LIVE);
      if (live < fewest) {
        fewest = live;
        best = shard;
      }
    }
    return best;
  }

  #nextAvailable(isAvailable: (shard: number) => boolean, from: number): number {
    const { shards } = this.#control;
    for (let i = 0; i < shards; i++) {
      const shard = (from + i) % shards;
      if (isAvailable(shard)) return shard;
    }
    return -1;
  }
}

type Sticky = Exclude<Balance, string>['sticky'];

function stickyKey(sticky: Sticky, head: RequestHead | null, address: () => string): string {
  if (sticky === 'ip' || head === null) return address();
  if (sticky === 'url') return head.path;
  if ('header' in sticky) return head.header(sticky.header.toLowerCase());
  return cookieValue(head.header('cookie'), sticky.cookie);
}

/** The value of a cookie in a Cookie header (RFC 6265 §5.4), '' when absent. */
export function cookieValue(header: string, name: string): string {
  for (let start = 0; start < header.length; ) {
    let end = header.indexOf(';', start);
    if (end < 0) end = header.length;
    const pair = header.slice(start, end);
    const equals = pair.indexOf('=');
    if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
    start = end + 1;
  }
  return '';
}
