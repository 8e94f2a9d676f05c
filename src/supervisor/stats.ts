import { type LinkMemory, ringRegion } from '../bus/link-memory.ts';
import { type ControlBlock, ShardState, type ThreadMetrics } from '../metrics/control-block.ts';
import { constantName } from '../metrics/counter.ts';
import { PairCounter, type PairCounters, PairTable } from '../metrics/pair-table.ts';
import {
  type Elsewhere,
  type MetricReading,
  NOTHING_ELSEWHERE,
  type ReadThread,
  readThreads,
  type StatsOf,
  statsOf,
} from '../metrics/readings.ts';
import { RING_METRICS } from '../metrics/table.ts';
import { ringDepth } from '../ring/byte-ring.ts';
import { SubscriberCounts } from '../ring/subscriber-counts.ts';

/** Metrics of the main thread since the server started; docs/metrics.md describes each. */
export type MainStats = StatsOf<'main'>;

/** The same of a shard: counters and histograms go on when it is started anew, gauges are 0 while it is down. */
export interface ShardStats extends Omit<StatsOf<'shard'>, 'state'> {
  readonly index: number;
  /** 'stalled': it is ready, and has not taken the connections it was sent for a second; newcomers go to others. */
  readonly state: 'down' | 'starting' | 'ready' | 'stalled' | 'draining';
}

/** The same of the acceptor. `overLimit` and `handoffFailed` are what it and the shards counted together. */
export type AcceptorStats = StatsOf<'acceptor'>;

/** The metrics of an App that is none of `serve()`'s, since it was made; docs/metrics.md describes each. */
export type AppStats = StatsOf<'app'>;

/** The metrics of the ring from one thread to a shard; docs/metrics.md describes each. `from` is the number of shards for the main thread. */
export type RingStats = { readonly from: number; readonly to: number } & {
  readonly [Name in keyof typeof RING_METRICS]: number;
};

export interface ServerStats {
  readonly main: MainStats;
  readonly acceptor: AcceptorStats;
  readonly shards: readonly ShardStats[];
  /** What the shards have together: sums, of `heartbeatAge` the largest. */
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

/** The metrics of all threads, now, from memory that they write meanwhile. */
export function serverStats(control: ControlBlock, links: LinkMemory): ServerStats {
  const { main, acceptor, shards } = threadsOf(control, links);
  const { state: _, ...total } = statsOf<'shard'>(shards);
  const own = statsOf<'acceptor'>([acceptor]);
  return {
    main: statsOf([main]),
    acceptor: {
      ...own,
      overLimit: own.overLimit + total.overLimit,
      handoffFailed: own.handoffFailed + total.handoffFailed,
    },
    shards: shards.map(shardStats),
    total,
    rings: ringStats(links),
  };
}

/** The same for exporters: each metric with its values of all threads, then those of the rings. */
export function serverMetrics(control: ControlBlock, links: LinkMemory): MetricReading[] {
  const { main, acceptor, shards } = threadsOf(control, links);
  const rings = ringStats(links);
  const ofRings = Object.entries(RING_METRICS).map(([name, { kind, unit, help }]) => ({
    name: `ring${name[0]!.toUpperCase()}${name.slice(1)}`,
    kind,
    unit,
    help,
    values: rings.map((ring) => ({
      labels: { from: String(ring.from), to: String(ring.to) },
      value: ring[name as keyof typeof RING_METRICS],
    })),
  }));
  return [...readThreads([main, acceptor, ...shards]), ...ofRings];
}

function threadsOf(
  control: ControlBlock,
  links: LinkMemory,
): { main: ReadThread; acceptor: ReadThread; shards: ReadThread[] } {
  const counts = new SubscriberCounts(links.counts);
  return {
    main: {
      role: 'main',
      labels: { thread: 'main' },
      metrics: control.main,
      elsewhere: NOTHING_ELSEWHERE,
    },
    acceptor: {
      role: 'acceptor',
      labels: { thread: 'acceptor' },
      metrics: control.acceptor,
      elsewhere: NOTHING_ELSEWHERE,
    },
    shards: Array.from({ length: control.shards }, (_, index) => ({
      role: 'shard' as const,
      labels: { thread: 'shard', shard: String(index) },
      metrics: control.shard(index),
      elsewhere: {
        ...control.gauges(index),
        uncountedTopics: counts.uncounted(index),
      },
    })),
  };
}

function shardStats(shard: ReadThread, index: number): ShardStats {
  return { ...statsOf<'shard'>([shard]), index, state: stateName(shard.elsewhere) };
}

function stateName({ state, stalled }: Elsewhere): ShardStats['state'] {
  return state === ShardState.READY && stalled !== 0 ? 'stalled' : STATE_NAMES[state as ShardState];
}

/** The metrics of an App's own thread, now. */
export function appStats(metrics: ThreadMetrics): AppStats {
  return statsOf([{ role: 'app', labels: { thread: 'app' }, metrics, elsewhere: NOTHING_ELSEWHERE }]);
}

/** The pairs of threads that anything was published between. */
export function ringStats(links: LinkMemory): RingStats[] {
  const pairs = new PairTable(links.pairs, links.threads, links.threads);
  const rings: RingStats[] = [];
  for (let from = 0; from < links.threads; from++) {
    for (let to = 0; to < links.threads; to++) {
      if (links.inboxes[to] === undefined) continue;
      const counters = pairs.counters(from, to);
      // Of 64 threads there are 4,096 pairs, most of them unused.
      if (!isUsed(counters)) continue;
      rings.push(pairStats(counters, from, to, ringDepth(ringRegion(links, from, to))));
    }
  }
  return rings;
}

function isUsed(pair: PairCounters): boolean {
  const { WRITTEN, OVERFLOWED, DROPPED } = PairCounter;
  return pair.get(WRITTEN) > 0 || pair.get(OVERFLOWED) > 0 || pair.get(DROPPED) > 0;
}

function pairStats(counters: PairCounters, from: number, to: number, depth: number): RingStats {
  const stats: Record<string, number> = { from, to, depth };
  const places = PairCounter as Readonly<Record<string, PairCounter>>;
  for (const name of Object.keys(RING_METRICS)) {
    const place = places[constantName(name)];
    if (place !== undefined) stats[name] = counters.get(place);
  }
  return stats as unknown as RingStats;
}
