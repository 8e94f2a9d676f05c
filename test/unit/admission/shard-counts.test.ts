import { expect, it } from 'vitest';
import { AddressLimit } from '../../../src/admission/address-limit.ts';
import { AddressTable, NO_ADDRESS } from '../../../src/admission/address-table.ts';
import { ShardCounts } from '../../../src/admission/shard-counts.ts';
import { ControlBlock, Gauge } from '../../../src/metrics/control-block.ts';

function countsOf(maxConnections: number) {
  const control = new ControlBlock(2);
  const table = AddressTable.create(3, 100);
  const limit = new AddressLimit(table, 2, 10);
  return { control, table, limit, counts: new ShardCounts(control, maxConnections, limit) };
}

it('counts a connection for a shard when it is sent, and for its address all the time', () => {
  const { control, table, limit, counts } = countsOf(2);
  const row = limit.enterKey([1, 2]);
  expect([counts.total, table.total(row), counts.isFull]).toEqual([0, 1, false]);
  counts.add(1, row);
  expect([control.gauge(1, Gauge.LIVE), counts.total, table.total(row)]).toEqual([1, 1, 1]);
  counts.takeBack(1, row);
  expect([control.gauge(1, Gauge.LIVE), counts.total, table.total(row)]).toEqual([0, 0, 1]);
  counts.add(0, row);
  counts.add(1, NO_ADDRESS);
  expect([counts.total, counts.isFull]).toEqual([2, true]);
  counts.clear(0);
  expect([counts.total, table.total(row), counts.isFull]).toEqual([1, 0, false]);
});

it('is never full without a limit', () => {
  const { counts } = countsOf(0);
  for (let i = 0; i < 1000; i++) counts.add(i & 1, NO_ADDRESS);
  expect([counts.total, counts.isFull]).toEqual([1000, false]);
});
