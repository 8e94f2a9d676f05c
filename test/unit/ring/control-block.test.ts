import { describe, expect, test } from 'vitest';
import {
  ADDRESS_SLOTS,
  COUNTER_SLOTS,
  ControlBlock,
  Gauge,
  ShardState,
} from '../../../src/ring/control-block.ts';

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
    block.addAddress(0, 0, 7);
    block.addAddress(ADDRESS_SLOTS - 1, 2, 9);
    const other = new ControlBlock(3, block.memory);
    for (let thread = 0; thread <= 3; thread++) {
      const counters = other.counters(thread);
      for (let i = 0; i < COUNTER_SLOTS; i++) expect(counters[i]).toBe(thread * 1000 + i + 1);
      expect(other.gauge(thread, Gauge.LIVE)).toBe(-1 - thread);
      expect(other.gauge(thread, Gauge.STATE)).toBe(ShardState.READY);
    }
    expect([other.addressTotal(0), other.addressTotal(1), other.addressTotal(ADDRESS_SLOTS - 1)]).toEqual([
      7, 0, 9,
    ]);
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

  test('adds the sockets of an address up over the shards', () => {
    const block = new ControlBlock(4);
    for (let shard = 0; shard < 4; shard++) block.addAddress(10, shard, shard + 1);
    block.addAddress(11, 0, 100);
    expect(block.addressTotal(10)).toBe(10);
    block.addAddress(10, 3, -4);
    expect([block.addressTotal(9), block.addressTotal(10), block.addressTotal(11)]).toEqual([0, 6, 100]);
  });

  test('forgets the sockets of a shard that died, and nothing else', () => {
    const block = new ControlBlock(3);
    for (let shard = 0; shard < 3; shard++) {
      block.setGauge(shard, Gauge.STATE, ShardState.READY);
      block.setGauge(shard, Gauge.LIVE, 10 + shard);
      block.counters(shard)[0] = 50;
      for (const slot of [0, 77, ADDRESS_SLOTS - 1]) block.addAddress(slot, shard, 5);
    }
    block.clearShard(1);
    expect([0, 1, 2].map((shard) => block.gauge(shard, Gauge.LIVE))).toEqual([10, 0, 12]);
    expect([0, 1, 2].map((shard) => block.gauge(shard, Gauge.STATE))).toEqual([
      ShardState.READY,
      ShardState.DOWN,
      ShardState.READY,
    ]);
    expect([0, 77, ADDRESS_SLOTS - 1].map((slot) => block.addressTotal(slot))).toEqual([10, 10, 10]);
    // Counters go on when the shard is started anew.
    expect(block.counters(1)[0]).toBe(50);
  });
});
