import { describe, expect, test } from 'vitest';
import { AddressTable, MAX_ROWS, NO_ADDRESS } from '../../../src/admission/address-table.ts';

const address = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;

function filled(count: number, connections = count): { table: AddressTable; rows: number[] } {
  const table = AddressTable.create(2, connections);
  const rows = Array.from({ length: count }, (_, i) => {
    const row = table.rowOf(address(i));
    table.add(row, 0, 1);
    return row;
  });
  return { table, rows };
}

describe('an address table', () => {
  test('gives each address a row of its own, the same every time', () => {
    const { table, rows } = filled(1000);
    expect(new Set(rows).size).toBe(1000);
    expect(rows.map((_, i) => table.rowOf(address(i)))).toEqual(rows);
  });

  test('gives no row to what is no address', () => {
    const table = AddressTable.create(1, 10);
    expect([table.rowOf(''), table.rowOf('/run/x')]).toEqual([NO_ADDRESS, NO_ADDRESS]);
  });

  test('is found as it was by the next thread that accepts', () => {
    const { table, rows } = filled(1000);
    const next = new AddressTable(table.memory);
    expect([next.name, next.rows, next.columns]).toEqual([table.name, table.rows, 2]);
    expect(rows.map((_, i) => next.rowOf(address(i)))).toEqual(rows);
    expect(rows.every((row) => next.total(row) === 1)).toBe(true);
  });

  test('has a row for each address of as many connections as there may be', () => {
    const { table, rows } = filled(20_000);
    // By chance some few find the rows that they may have taken.
    expect(new Set(rows).size).toBeGreaterThan(19_990);
    expect(table.rows).toBe(65_536);
    expect(AddressTable.create(1, Number.POSITIVE_INFINITY).rows).toBe(MAX_ROWS);
    expect(AddressTable.create(1, 1).rows).toBe(1024);
  });

  test('gives the row of an address without connections to another, never one in use', () => {
    const table = AddressTable.create(1, 1);
    const open: number[] = [];
    for (let i = 0; i < 200_000; i++) {
      const row = table.rowOf(address(i));
      if (table.total(row) !== 0) expect.fail(`row ${row} is another's`);
      table.add(row, 0, 1);
      open.push(row);
      if (open.length > 100) table.add(open.shift()!, 0, -1);
    }
  });

  test('that is full has the next address share a row, always the same, and counts it there', () => {
    const { table, rows } = filled(1024, 1);
    // A table of 1,024 rows: nearly all are taken.
    expect(table.rows).toBe(1024);
    for (let i = 2000; i < 6000; i++) table.add(table.rowOf(address(i)), 0, 1);
    const shared = table.rowOf('192.0.2.1');
    const before = table.total(shared);
    expect(before).toBeGreaterThan(0);
    for (let i = 0; i < 5; i++) {
      expect(table.rowOf('192.0.2.1')).toBe(shared);
      table.add(shared, 1, 1);
    }
    expect(table.total(shared)).toBe(before + 5);
    // Whoever had a row has it still.
    expect(rows.filter((row, i) => table.rowOf(address(i)) !== row)).toEqual([]);
    // The others are not all in one row.
    const totals = Array.from({ length: 1024 }, (_, row) => table.total(row));
    expect(Math.max(...totals)).toBeLessThan(40);
  });

  test('forgets the column of a dead thread, and takes the counts that a living one gives', () => {
    const { table, rows } = filled(10);
    for (const row of rows) table.add(row, 1, 2);
    table.clear(0);
    expect(rows.map((row) => table.total(row))).toEqual(rows.map(() => 2));
    table.recount(1, new Map([[rows[3]!, 7]]));
    expect(rows.map((row) => table.total(row))).toEqual(rows.map((_, i) => (i === 3 ? 7 : 0)));
  });
});
