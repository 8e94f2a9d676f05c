import { expect, it } from 'vitest';
import { createLinkMemory } from '../../../src/bus/link-memory.ts';
import { ControlBlock, Gauge, ShardState, ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { PairCounter, PairTable } from '../../../src/metrics/pair-table.ts';
import { appStats, ringStats, serverMetrics, serverStats } from '../../../src/supervisor/stats.ts';

const CAPACITY = 64 * 1024;

function memoryOf(shards: number) {
  return { control: new ControlBlock(shards), links: createLinkMemory(shards, 1, CAPACITY) };
}

it('sums up what the shards counted, and what the acceptor refused with them', () => {
  const { control, links } = memoryOf(2);
  control.shard(0).counters[Counter.MESSAGES_IN] = 3;
  control.shard(1).counters[Counter.MESSAGES_IN] = 4;
  control.shard(1).counters[Counter.OVER_LIMIT] = 5;
  control.acceptor.counters[Counter.OVER_LIMIT] = 6;
  const { shards, total, acceptor } = serverStats(control, links);
  expect(shards.map(({ index, messagesIn }) => [index, messagesIn])).toEqual([
    [0, 3],
    [1, 4],
  ]);
  expect(total.messagesIn).toBe(7);
  expect([acceptor.overLimit, total.overLimit]).toEqual([11, 5]);
  expect(total).not.toHaveProperty('state');
});

it('names the states of shards; one that is ready may be stalled', () => {
  const { control, links } = memoryOf(5);
  const states = [
    ShardState.DOWN,
    ShardState.STARTING,
    ShardState.READY,
    ShardState.READY,
    ShardState.DRAINING,
  ];
  for (const [index, state] of states.entries()) {
    control.setGauge(index, Gauge.STATE, state);
    if (index !== 2) control.setGauge(index, Gauge.STALLED, 1);
  }
  const names = serverStats(control, links).shards.map(({ state }) => state);
  expect(names).toEqual(['down', 'starting', 'ready', 'stalled', 'draining']);
});

it('has the rings that anything was published through, and only those', () => {
  const { control, links } = memoryOf(2);
  expect(ringStats(links)).toEqual([]);
  const pairs = new PairTable(links.pairs, links.threads, links.threads);
  pairs.counters(2, 1).set(PairCounter.DROPPED, 9);
  pairs.counters(0, 1).set(PairCounter.WRITTEN, 4);
  const rings = ringStats(links);
  expect(rings).toMatchObject([
    { from: 0, to: 1, written: 4, dropped: 0, depth: 0 },
    { from: 2, to: 1, written: 0, dropped: 9, depth: 0 },
  ]);
  expect(serverStats(control, links).rings).toEqual(rings);
  const written = serverMetrics(control, links).find(({ name }) => name === 'ringWritten');
  expect(written?.values).toEqual([
    { labels: { from: '0', to: '1' }, value: 4 },
    { labels: { from: '2', to: '1' }, value: 0 },
  ]);
});

it('serverMetrics says whose each value is', () => {
  const { control, links } = memoryOf(2);
  control.shard(1).counters[Counter.MESSAGES_IN] = 8;
  const messages = serverMetrics(control, links).find(({ name }) => name === 'messagesIn');
  expect(messages?.values).toEqual([
    { labels: { thread: 'shard', shard: '0' }, value: 0 },
    { labels: { thread: 'shard', shard: '1' }, value: 8 },
  ]);
});

it('appStats reads the metrics of one thread', () => {
  const metrics = ThreadMetrics.alone();
  metrics.counters[Counter.SOCKETS_OPENED] = 5;
  metrics.counters[Counter.SOCKETS_CLOSED] = 2;
  expect(appStats(metrics)).toMatchObject({ sockets: 3, socketsOpened: 5 });
});

it('adds histograms up over the shards, and estimates from what all observed', () => {
  const { control, links } = memoryOf(3);
  for (let shard = 0; shard < 3; shard++) {
    const { handlerTime } = control.shard(shard).histograms;
    for (let i = 1; i <= 100; i++) handlerTime.record(shard * 100 + i);
  }
  const { shards, total } = serverStats(control, links);
  expect(total.handlerTime).toMatchObject({ count: 300, sum: 45_150 });
  expect(shards.map(({ handlerTime }) => handlerTime.count)).toEqual([100, 100, 100]);
  // A bucket is a fifth of its values wide at most.
  expect(Math.abs(total.handlerTime.p50 - 150)).toBeLessThan(30);
  expect(Math.abs(total.handlerTime.p99 - 297)).toBeLessThan(60);
  expect(Math.abs(shards[0]!.handlerTime.p50 - 50)).toBeLessThan(10);
});

it('percentiles of small sizes are sizes', () => {
  const { control, links } = memoryOf(1);
  const { messageSize } = control.shard(0).histograms;
  for (let i = 0; i < 5; i++) messageSize.record(2);
  expect(serverStats(control, links).total.messageSize).toEqual({ count: 5, sum: 10, p50: 2, p99: 2 });
});
