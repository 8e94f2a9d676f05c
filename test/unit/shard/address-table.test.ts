import { describe, expect, test } from 'vitest';
import { ADDRESS_SLOTS, ControlBlock } from '../../../src/ring/control-block.ts';
import { AddressTable } from '../../../src/shard/address-table.ts';
import { NO_ADDRESS } from '../../../src/shard/shard.ts';

function filled(count: number): { control: ControlBlock; table: AddressTable; rows: number[] } {
  const control = new ControlBlock(1);
  const table = new AddressTable(control);
  const rows = Array.from({ length: count }, (_, i) => {
    const row = table.rowOf(`address ${i}`);
    control.addAddress(row, 0, 1);
    return row;
  });
  return { control, table, rows };
}

describe('an address table', () => {
  test('gives each address a row of its own, the same every time', () => {
    const { table, rows } = filled(1000);
    expect(new Set(rows).size).toBe(1000);
    rows.forEach((row, i) => {
      expect(table.rowOf(`address ${i}`)).toBe(row);
    });
  });

  test('has rows for as many addresses as there are, then none', () => {
    const { table, rows } = filled(ADDRESS_SLOTS);
    expect(new Set(rows).size).toBe(ADDRESS_SLOTS);
    expect(Math.min(...rows.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(table.rowOf('one more')).toBe(NO_ADDRESS);
    expect(table.rowOf('address 5')).toBe(rows[5]);
  });

  test('gives the row of an address without sockets to another, never one in use', () => {
    const { control, table, rows } = filled(ADDRESS_SLOTS);
    control.addAddress(rows[10]!, 0, -1);
    expect(table.rowOf('new')).toBe(rows[10]);
    control.addAddress(rows[10]!, 0, 1);
    // Who lost it gets another, or none: not this one.
    expect(table.rowOf('address 10')).toBe(NO_ADDRESS);
    for (let i = 0; i < 200; i++) expect(table.rowOf('address 10')).not.toBe(rows[10]);
  });

  test('finds a free row anywhere, a part of the table at a time', () => {
    const { control, table, rows } = filled(ADDRESS_SLOTS);
    control.addAddress(rows[ADDRESS_SLOTS - 1]!, 0, -1);
    let row: number = NO_ADDRESS;
    for (let i = 0; i < ADDRESS_SLOTS / 1024 && row === NO_ADDRESS; i++) row = table.rowOf('new');
    expect(row).toBe(rows[ADDRESS_SLOTS - 1]);
  });

  test('stays bounded while addresses come and go', () => {
    const control = new ControlBlock(1);
    const table = new AddressTable(control);
    let wrong = 0;
    for (let i = 0; i < 3 * ADDRESS_SLOTS; i++) {
      const row = table.rowOf(`address ${i}`);
      if (row !== i % ADDRESS_SLOTS) wrong++;
      control.addAddress(row, 0, 1);
      control.addAddress(row, 0, -1);
    }
    expect(wrong).toBe(0);
  });
});
