import { describe, expect, test } from 'vitest';
import { COUNTER_SLOTS, ControlBlock, Gauge, ShardState } from '../../../src/metrics/control-block.ts';

describe('a control block', () => {
  test('has counters for every shard and the acceptor, none on top of another or of a gauge', () => {
    const block = new ControlBlock(3);
    for (let thread = 0; thread <= 3; thread++) {
      const counters = block.counters(thread);
      expect(counters).toHaveLength(COUNTER_SLOTS);
      for (let i = 0; i < COUNTER_SLOTS; i++) counters[i] = thread * 1000 + i + 1;
      block.setGauge(thread, Gauge.LIVE, -1 - thread);
      block.setGauge(thread, Gauge.STATE, ShardState.READY);
    }
    const other = new ControlBlock(3, block.memory);
    for (let thread = 0; thread <= 3; thread++) {
      const counters = other.counters(thread);
      for (let i = 0; i < COUNTER_SLOTS; i++) expect(counters[i]).toBe(thread * 1000 + i + 1);
      expect(other.gauge(thread, Gauge.LIVE)).toBe(-1 - thread);
      expect(other.gauge(thread, Gauge.STATE)).toBe(ShardState.READY);
    }
  });

  test('counts in numbers beyond 32 bits', () => {
    const block = new ControlBlock(1);
    block.counters(0)[5] = 2 ** 33;
    block.counters(0)[5]! += 1;
    expect(new ControlBlock(1, block.memory).counters(0)[5]).toBe(2 ** 33 + 1);
  });

  test('adds to gauges what several threads add', () => {
    const block = new ControlBlock(2);
    const acceptor = new ControlBlock(2, block.memory);
    acceptor.addGauge(1, Gauge.LIVE, 3);
    block.addGauge(1, Gauge.LIVE, -1);
    expect([block.gauge(0, Gauge.LIVE), block.gauge(1, Gauge.LIVE)]).toEqual([0, 2]);
  });

  test('forgets the sockets of a shard that died, and nothing else', () => {
    const block = new ControlBlock(3);
    for (let shard = 0; shard < 3; shard++) {
      block.setGauge(shard, Gauge.STATE, ShardState.READY);
      block.setGauge(shard, Gauge.LIVE, 10 + shard);
      block.counters(shard)[0] = 50;
      block.setGauge(shard, Gauge.WAITING, 3);
    }
    block.clearShard(1);
    expect([0, 1, 2].map((shard) => block.gauge(shard, Gauge.LIVE))).toEqual([10, 0, 12]);
    expect([0, 1, 2].map((shard) => block.gauge(shard, Gauge.STATE))).toEqual([
      ShardState.READY,
      ShardState.DOWN,
      ShardState.READY,
    ]);
    expect([0, 1, 2].map((shard) => block.gauge(shard, Gauge.WAITING))).toEqual([3, 0, 3]);
    // Counters go on when the shard is started anew.
    expect(block.counters(1)[0]).toBe(50);
  });
});
