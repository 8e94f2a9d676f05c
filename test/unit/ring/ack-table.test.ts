import { expect, test } from 'vitest';
import { AckTable } from '../../../src/ring/ack-table.ts';

test('each thread counts for itself, and all see it', () => {
  const memory = AckTable.create(64);
  const [one, other] = [new AckTable(memory), new AckTable(memory)];
  for (let i = 0; i < 3; i++) one.add(0);
  one.add(63);
  expect([other.get(0), other.get(1), other.get(63)]).toEqual([3, 0, 1]);
  other.clear(0);
  expect([one.get(0), one.get(63)]).toEqual([0, 1]);
});
