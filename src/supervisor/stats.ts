import { type LinkMemory, ringRegion } from '../bus/link-memory.ts';
import { type ControlBlock, Gauge, ShardState } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { ringDepth } from '../ring/byte-ring.ts';
import { PairCounter, PairTable } from '../ring/pair-table.ts';
import { SubscriberCounts } from '../ring/subscriber-counts.ts';

/** Counters of one thread since the server started; they go on when a shard is started anew. */
export interface ThreadStats {
  /** Sockets taken and not yet closed. */
  readonly sockets: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** HTTP requests, handshakes included. */
  readonly requests: number;
  /** Handshakes and requests refused with an error status. */
  readonly refused: number;
  /** Connections closed because a deadline passed. */
  readonly timeouts: number;
  /** Connections closed before their first request was whole, because `maxConnections` was reached and others came. */
  readonly evicted: number;
}

export interface ShardStats extends ThreadStats {
  readonly index: number;
  /** 'stalled': it is ready, and has not taken the connections it was sent for a second; newcomers go to others. */
  readonly state: 'down' | 'starting' | 'ready' | 'stalled' | 'draining';
  /** Open WebSockets. */
  readonly webSockets: number;
  readonly opened: number;
  readonly closed: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  /** Messages not sent because of `maxBackpressure`. */
  readonly dropped: number;
  readonly blockedWrites: number;
  /** Times that a connection had more to be handled than its share of a turn of the event loop, and gave way to others. */
  readonly yields: number;
  readonly protocolErrors: number;
  readonly handlerErrors: number;
  readonly published: number;
  readonly delivered: number;
  /** Subscriptions refused because of `maxSubscriptions`, `maxTopics` or `maxTopicLength`. */
  readonly subscriptionsRefused: number;
  /**
   * Topics with subscribers here that other threads cannot count, for want of memory. While it is not 0, `numSubscribers`
   * elsewhere may be too low, and `publish` elsewhere may return true for a topic without subscribers.
   */
  readonly uncountedTopics: number;
  /** Sockets that came from the acceptor. */
  readonly adopted: number;
  /** TLS handshakes that were done, and those of them that resumed a session. */
  readonly tlsHandshakes: number;
  readonly tlsResumed: number;
  /** TLS handshakes that failed in any way, and those of them that gave way because of `maxHandshakes`. */
  readonly tlsFailed: number;
  readonly tlsEvicted: number;
  /** Messages compressed, published ones once for all, their bytes before and after, and the ms it took. */
  readonly deflated: number;
  readonly deflateBytesIn: number;
  readonly deflateBytesOut: number;
  readonly deflateTime: number;
  /** Bytes of compressed messages as they came and decompressed, and the ms it took. */
  readonly inflateBytesIn: number;
  readonly inflateBytesOut: number;
  readonly inflateTime: number;
  /** Bytes of its heap in use, about a second ago, and the number with which V8 ends the thread. */
  readonly heapUsed: number;
  readonly heapLimit: number;
  /** Times it was replaced because its heap was full, see `heapWatermark`. */
  readonly recycled: number;
}

export interface AcceptorStats extends ThreadStats {
  /** Connections refused because a connection limit was reached. */
  readonly overLimit: number;
  /** Times that nothing was accepted for a while, mostly because few descriptors were left; the backlog holds who comes. */
  readonly acceptErrors: number;
  /** Connections cut off at once because few descriptors were left (`handoff: 'transfer'`). */
  readonly cutShort: number;
  readonly handoffFailed: number;
}

/** The ring from one thread to a shard. `from` is the number of shards for the main thread. */
export interface RingStats {
  readonly from: number;
  readonly to: number;
  /** Bytes in it now. */
  readonly depth: number;
  /** Messages written into it. */
  readonly written: number;
  /** Messages that found no room and waited, and the bytes that wait now. */
  readonly overflowed: number;
  readonly overflowBytes: number;
  /** Messages given up because `maxOverflow` was reached, or because the shard died. */
  readonly dropped: number;
  /** Times the sleeping shard was woken through it. */
  readonly wakes: number;
  /** Messages the shard read, and messages missing in the sender's numbering. */
  readonly received: number;
  readonly lost: number;
  /** Times it was found damaged. */
  readonly resets: number;
}

export interface ServerStats {
  readonly acceptor: AcceptorStats;
  readonly shards: readonly ShardStats[];
  /** Sums over the shards. */
  readonly total: Omit<ShardStats, 'index' | 'state'>;
  /** Pairs of threads that anything was published between. */
  readonly rings: readonly RingStats[];
}

const STATE_NAMES = {
  [ShardState.DOWN]: 'down',
  [ShardState.STARTING]: 'starting',
  [ShardState.READY]: 'ready',
  [ShardState.DRAINING]: 'draining',
} as const;

/** Reads the control block. */
export function serverStats(control: ControlBlock, links: LinkMemory): ServerStats {
  const counts = new SubscriberCounts(links.counts);
  const shards = Array.from({ length: control.shards }, (_, index) => shardStats(control, counts, index));
  const counters = control.counters(control.shards);
  return {
    acceptor: {
      ...threadStats(counters),
      overLimit: sumOf(control, Counter.OVER_LIMIT),
      acceptErrors: counters[Counter.ACCEPT_ERRORS]!,
      cutShort: counters[Counter.CUT_SHORT]!,
      handoffFailed: sumOf(control, Counter.HANDOFF_FAILED),
    },
    shards,
    total: totalOf(shards),
    rings: ringStats(links),
  };
}

/** The pairs of threads that anything was published between. */
export function ringStats(links: LinkMemory): RingStats[] {
  const pairs = new PairTable(links.pairs, links.publishers, links.shards);
  const rings: RingStats[] = [];
  for (let from = 0; from < links.publishers; from++) {
    for (let to = 0; to < links.shards; to++) {
      if (links.inboxes[to] === undefined) continue;
      const counters = pairs.counters(from, to);
      const stats: RingStats = {
        from,
        to,
        depth: ringDepth(ringRegion(links, from, to)),
        written: counters.get(PairCounter.WRITTEN),
        overflowed: counters.get(PairCounter.OVERFLOWED),
        overflowBytes: counters.get(PairCounter.OVERFLOW_BYTES),
        dropped: counters.get(PairCounter.DROPPED),
        wakes: counters.get(PairCounter.WAKES),
        received: counters.get(PairCounter.RECEIVED),
        lost: counters.get(PairCounter.LOST),
        resets: counters.get(PairCounter.RESETS),
      };
      if (stats.written + stats.overflowed + stats.dropped > 0) rings.push(stats);
    }
  }
  return rings;
}

/** What the acceptor and the shards count together: the one could not send a socket, or another not take it. */
function sumOf(control: ControlBlock, counter: Counter): number {
  let sum = 0;
  for (let i = 0; i <= control.shards; i++) sum += control.counters(i)[counter]!;
  return sum;
}

/** A shard's thread is dead, and its sockets with it: what it could not count any more is counted here. */
export function settleCounters(counters: Float64Array): void {
  counters[Counter.SOCKETS_CLOSED] = counters[Counter.SOCKETS]!;
  counters[Counter.CLOSED] = counters[Counter.OPENED]!;
  counters[Counter.HEAP_USED] = 0;
}

function shardStats(control: ControlBlock, counts: SubscriberCounts, index: number): ShardStats {
  const counters = control.counters(index);
  const opened = counters[Counter.OPENED]!;
  const closed = counters[Counter.CLOSED]!;
  return {
    ...threadStats(counters),
    index,
    state: stateName(control, index),
    webSockets: opened - closed,
    opened,
    closed,
    messagesIn: counters[Counter.MESSAGES_IN]!,
    messagesOut: counters[Counter.MESSAGES_OUT]!,
    dropped: counters[Counter.DROPPED]!,
    blockedWrites: counters[Counter.BLOCKED_WRITES]!,
    yields: counters[Counter.YIELDS]!,
    protocolErrors: counters[Counter.PROTOCOL_ERRORS]!,
    handlerErrors: counters[Counter.HANDLER_ERRORS]!,
    published: counters[Counter.PUBLISHED]!,
    delivered: counters[Counter.DELIVERED]!,
    subscriptionsRefused: counters[Counter.SUBSCRIPTIONS_REFUSED]!,
    uncountedTopics: counts.uncounted(index),
    adopted: counters[Counter.ADOPTED]!,
    tlsHandshakes: counters[Counter.TLS_HANDSHAKES]!,
    tlsResumed: counters[Counter.TLS_RESUMED]!,
    tlsFailed: counters[Counter.TLS_FAILED]!,
    tlsEvicted: counters[Counter.TLS_EVICTED]!,
    deflated: counters[Counter.DEFLATED]!,
    deflateBytesIn: counters[Counter.DEFLATE_BYTES_IN]!,
    deflateBytesOut: counters[Counter.DEFLATE_BYTES_OUT]!,
    deflateTime: counters[Counter.DEFLATE_TIME]!,
    inflateBytesIn: counters[Counter.INFLATE_BYTES_IN]!,
    inflateBytesOut: counters[Counter.INFLATE_BYTES_OUT]!,
    inflateTime: counters[Counter.INFLATE_TIME]!,
    heapUsed: counters[Counter.HEAP_USED]!,
    heapLimit: counters[Counter.HEAP_LIMIT]!,
    recycled: counters[Counter.RECYCLED]!,
  };
}

function stateName(control: ControlBlock, index: number): ShardStats['state'] {
  const state = control.gauge(index, Gauge.STATE) as ShardState;
  const isStalled = state === ShardState.READY && control.gauge(index, Gauge.STALLED) !== 0;
  return isStalled ? 'stalled' : STATE_NAMES[state];
}

function threadStats(counters: Float64Array): ThreadStats {
  return {
    sockets: counters[Counter.SOCKETS]! - counters[Counter.SOCKETS_CLOSED]!,
    bytesIn: counters[Counter.BYTES_IN]!,
    bytesOut: counters[Counter.BYTES_OUT]!,
    requests: counters[Counter.REQUESTS]!,
    refused: counters[Counter.REFUSED]!,
    timeouts: counters[Counter.TIMEOUTS]!,
    evicted: counters[Counter.EVICTED]!,
  };
}

function totalOf(shards: readonly ShardStats[]): ServerStats['total'] {
  const total: Record<string, number> = {};
  for (const shard of shards) {
    for (const [name, value] of Object.entries(shard)) {
      if (name !== 'index' && typeof value === 'number') total[name] = (total[name] ?? 0) + value;
    }
  }
  return total as unknown as ServerStats['total'];
}
