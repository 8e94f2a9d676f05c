import { describe, expect, test } from 'vitest';
import { ControlBlock, Gauge, ShardState, type ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { Counter, Level, THREAD_SLOTS } from '../../../src/metrics/counter.ts';

describe('a control block', () => {
  const threads = (block: ControlBlock): ThreadMetrics[] => [
    block.main,
    block.acceptor,
    ...Array.from({ length: block.shards }, (_, index) => block.shard(index)),
  ];

  test('has slots for every thread, none on top of another or of a gauge', () => {
    const block = new ControlBlock(3);
    for (const [thread, { counters }] of threads(block).entries()) {
      expect(counters).toHaveLength(THREAD_SLOTS);
      for (let i = 0; i < THREAD_SLOTS; i++) counters[i] = thread * 1000 + i + 1;
    }
    for (let shard = 0; shard < 3; shard++) {
      for (const gauge of Object.values(Gauge)) block.setGauge(shard, gauge, -1 - shard - 10 * gauge);
    }
    const other = new ControlBlock(3, block.memory);
    for (const [thread, { counters }] of threads(other).entries()) {
      for (let i = 0; i < THREAD_SLOTS; i++) expect(counters[i]).toBe(thread * 1000 + i + 1);
    }
    for (let shard = 0; shard < 3; shard++) {
      for (const gauge of Object.values(Gauge))
        expect(other.gauge(shard, gauge)).toBe(-1 - shard - 10 * gauge);
    }
  });

  test('counts in numbers beyond 32 bits', () => {
    const block = new ControlBlock(1);
    block.shard(0).counters[Counter.BYTES_IN] = 2 ** 33;
    block.shard(0).counters[Counter.BYTES_IN]! += 1;
    expect(new ControlBlock(1, block.memory).shard(0).counters[Counter.BYTES_IN]).toBe(2 ** 33 + 1);
  });

  test('adds to gauges what several threads add', () => {
    const block = new ControlBlock(2);
    const acceptor = new ControlBlock(2, block.memory);
    acceptor.addGauge(1, Gauge.LIVE, 3);
    block.addGauge(1, Gauge.LIVE, -1);
    expect([block.gauge(0, Gauge.LIVE), block.gauge(1, Gauge.LIVE)]).toEqual([0, 2]);
  });

  test('sets the gauges of a shard that died to 0; its counters and histograms go on', () => {
    const block = new ControlBlock(3);
    for (let shard = 0; shard < 3; shard++) {
      for (const gauge of Object.values(Gauge)) block.setGauge(shard, gauge, 3);
      const { counters, histograms } = block.shard(shard);
      counters[Counter.OPENED] = 50;
      counters[Counter.CLOSED] = 20;
      counters[Counter.SOCKETS_OPENED] = 60;
      counters[Counter.MESSAGES_IN] = 7;
      for (const level of Object.values(Level)) counters[level] = 9;
      histograms.loopDelay.record(4);
    }
    block.endShard(1);
    for (let shard = 0; shard < 3; shard++) {
      const isDead = shard === 1;
      const { counters, histograms } = block.shard(shard);
      for (const gauge of Object.values(Gauge)) expect(block.gauge(shard, gauge)).toBe(isDead ? 0 : 3);
      for (const level of Object.values(Level)) expect(counters[level]).toBe(isDead ? 0 : 9);
      // Its sockets died with it.
      expect(counters[Counter.CLOSED]).toBe(isDead ? 50 : 20);
      expect(counters[Counter.SOCKETS_CLOSED]).toBe(isDead ? 60 : 0);
      expect([counters[Counter.OPENED], counters[Counter.MESSAGES_IN]]).toEqual([50, 7]);
      expect(histograms.loopDelay.read()).toMatchObject({ count: 1, sum: 4 });
    }
    expect(block.gauges(1).state).toBe(ShardState.DOWN);
  });
});
