import { describe, expect, it } from 'vitest';
import { createLinkMemory } from '../../../src/bus/link-memory.ts';
import { ControlBlock } from '../../../src/metrics/control-block.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { PairCounter, PairTable } from '../../../src/metrics/pair-table.ts';
import { serverMetrics, serverStats } from '../../../src/supervisor/stats.ts';

const SHARDS = 3;
const control = new ControlBlock(SHARDS);
const links = createLinkMemory(SHARDS, 1, 4096, 4096);

describe('the readings of a server', () => {
  it('of the acceptor have what it and the shards let in or lost together', () => {
    control.acceptor.counters[Counter.OVER_LIMIT] = 1;
    control.acceptor.counters[Counter.HANDOFF_FAILED] = 10;
    for (let shard = 0; shard < SHARDS; shard++) {
      control.shard(shard).counters[Counter.OVER_LIMIT] = 100;
      control.shard(shard).counters[Counter.HANDOFF_FAILED] = 1000;
    }
    const { acceptor, total } = serverStats(control, links);
    expect(acceptor).toMatchObject({ overLimit: 301, handoffFailed: 3010 });
    expect(total).toMatchObject({ overLimit: 300, handoffFailed: 3000 });
  });

  it('of histograms add up over the shards, each estimated from what all observed', () => {
    for (let shard = 0; shard < SHARDS; shard++) {
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

  it('of rings are those of pairs that were used: written, overflowed or dropped', () => {
    expect(serverStats(control, links).rings).toEqual([]);
    const pairs = new PairTable(links.pairs, links.threads, links.threads);
    pairs.counters(0, 1).add(PairCounter.WRITTEN, 4);
    pairs.counters(1, 2).add(PairCounter.OVERFLOWED, 5);
    pairs.counters(3, 0).add(PairCounter.DROPPED, 6);
    expect(serverStats(control, links).rings).toMatchObject([
      { from: 0, to: 1, written: 4, depth: 0 },
      { from: 1, to: 2, overflowed: 5 },
      { from: 3, to: 0, dropped: 6 },
    ]);
    const written = serverMetrics(control, links).find(({ name }) => name === 'ringWritten');
    expect(written!.values).toEqual([
      { labels: { from: '0', to: '1' }, value: 4 },
      { labels: { from: '1', to: '2' }, value: 0 },
      { labels: { from: '3', to: '0' }, value: 0 },
    ]);
  });
});
