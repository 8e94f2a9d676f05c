import { describe, expect, it } from 'vitest';
import { ViewTable } from '../../../src/net/view-table.ts';
import { Random } from '../../support/chunked.ts';

describe('ViewTable', () => {
  it('gives what subarray gives, whatever was asked before', () => {
    const table = new ViewTable();
    const memory = new ArrayBuffer(9000);
    const blocks = [new Uint8Array(memory, 1, 5000), new Uint8Array(memory, 300), new Uint8Array(5000)];
    const random = new Random(3);
    for (let run = 0; run < 20_000; run++) {
      const bytes = blocks[random.below(run % 1000 < 900 ? 1 : blocks.length)]!;
      const offset = random.below(4000);
      const length = random.below(run % 2 === 0 ? 8 : 1000);
      const view = table.view(bytes, offset, length);
      if (
        view.buffer !== bytes.buffer ||
        view.byteOffset !== bytes.byteOffset + offset ||
        view.length !== length
      ) {
        expect.fail(`(${offset}, ${length}) gave (${view.byteOffset}, ${view.length})`);
      }
    }
  });

  it('gives the same object for the same place', () => {
    const table = new ViewTable();
    const bytes = new Uint8Array(100);
    const view = table.view(bytes, 3, 20);
    table.view(bytes, 4, 20);
    expect(table.view(bytes, 3, 20)).toBe(view);
  });

  it('gives an empty view its place', () => {
    const table = new ViewTable();
    const bytes = new Uint8Array(100);
    expect(table.view(bytes, 0, 0).buffer).toBe(bytes.buffer);
    expect(table.view(bytes, 7, 0).byteOffset).toBe(7);
  });

  it('keeps views of one block of memory only', () => {
    const table = new ViewTable();
    const [a, b] = [new Uint8Array(10), new Uint8Array(10)];
    const first = table.view(a, 1, 2);
    expect(table.view(b, 1, 2).buffer).toBe(b.buffer);
    expect(table.view(a, 1, 2)).not.toBe(first);
    expect(table.view(a, 1, 2).buffer).toBe(a.buffer);
  });
});
