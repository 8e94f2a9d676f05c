import { expect, it } from 'vitest';
import { isSpecial, specialBefore } from '../../../src/load/roles.ts';

it.each([
  [1, 1],
  [10, 0],
  [10, 1],
  [10, 3],
  [10, 10],
  [997, 100],
])('of %d connections %d have the role, numbered in order and spread evenly', (connections, special) => {
  const having = Array.from({ length: connections }, (_, i) => i).filter((i) =>
    isSpecial(i, special, connections),
  );
  expect(having).toHaveLength(special);
  expect(having.map((i) => specialBefore(i, special, connections))).toEqual(having.map((_, n) => n));
  const gaps = having.slice(1).map((at, n) => at - having[n]!);
  if (gaps.length > 0) expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
});
