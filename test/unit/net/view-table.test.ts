import { describe, expect, it } from 'vitest';
import { ViewTable } from '../../../src/net/view-table.ts';
import { Random } from '../../support/protocol/chunked.ts';

describe('ViewTable', () => {
  it('gives what subarray gives, whatever was asked before', () => {
    const memory = new ArrayBuffer(9000);
    const blocks = [new Uint8Array(memory, 1, 5000), new Uint8Array(memory, 300), new Uint8Array(5000)];
    const table = new ViewTable(blocks[1]!);
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
    const bytes = new Uint8Array(100);
    const table = new ViewTable(bytes);
    const view = table.view(bytes, 3, 20);
    table.view(bytes, 4, 20);
    expect(table.view(bytes, 3, 20)).toBe(view);
  });

  it('gives an empty view its place', () => {
    const bytes = new Uint8Array(100);
    const table = new ViewTable(bytes);
    expect(table.view(bytes, 0, 0).buffer).toBe(bytes.buffer);
    expect(table.view(bytes, 7, 0).byteOffset).toBe(7);
  });

  it('keeps its views whatever is asked of other memory in between', () => {
    const [home, other] = [new Uint8Array(100), new Uint8Array(100)];
    const table = new ViewTable(home);
    const views = [1, 2, 3, 4].map((offset) => table.view(home, offset, 20));
    // A message in two frames is joined elsewhere: one of those after each plain one, ten thousand times.
    for (let run = 0; run < 10_000; run++) {
      expect(table.view(other, 1, 20).buffer).toBe(other.buffer);
      expect(table.view(home, 1 + (run & 3), 20)).toBe(views[run & 3]);
    }
  });

  it('turns to other memory when it is told', () => {
    const [home, other] = [new Uint8Array(10), new Uint8Array(10)];
    const table = new ViewTable(home);
    const first = table.view(home, 1, 2);
    table.turnTo(other);
    const kept = table.view(other, 1, 2);
    expect(table.view(other, 1, 2)).toBe(kept);
    expect(kept.buffer).toBe(other.buffer);
    expect(table.view(home, 1, 2)).not.toBe(first);
    expect(table.view(home, 1, 2).buffer).toBe(home.buffer);
  });
});
