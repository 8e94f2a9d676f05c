import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { collect } from './probes/collect.js';
import { DIFFERENCES } from './probes/differences.js';
import { ORIGINAL, ORIGINAL_NODE, OURS, obstacle } from './probes/original.js';
import { PROBES } from './probes/table.js';

interface Recorded {
  there: unknown;
  /** What this package gives, where it differs. */
  here?: unknown;
}

const recorded = JSON.parse(readFileSync(new URL('probes/recorded.json', import.meta.url), 'utf8')) as Record<
  string,
  Recorded
>;
const page = readFileSync(new URL('../../docs/migrate-from-uwebsockets.md', import.meta.url), 'utf8');

const ids = Object.keys(PROBES);
const rowOf = new Map(Object.entries(DIFFERENCES).flatMap(([row, probes]) => probes.map((id) => [id, row])));

describe('the page for those who come from uWebSockets.js', () => {
  const rows = Array.from(page.matchAll(/^\|(.*)\|$/gm), ([, row]) => row!).filter(
    (row) => !/^ (where|---) \|/.test(row),
  );

  const named = rows.map((row) => /^ <a id="([a-z0-9-]+)"><\/a>/.exec(row)?.[1] ?? row);

  it('has an id for each row of its tables, and no id twice', () => {
    expect(named.filter((id, at) => !/^[a-z0-9-]+$/.test(id) || named.indexOf(id) !== at)).toEqual([]);
  });

  it('has a row for each difference', () => {
    expect(Object.keys(DIFFERENCES).filter((id) => !named.includes(id))).toEqual([]);
  });

  it('says of each what is there and what is here', () => {
    for (const row of rows) expect(row.split(' | ')).toHaveLength(3);
  });

  it('has one row at most for each probe, and none for a probe that is not there', () => {
    const listed = Object.values(DIFFERENCES).flat();
    expect(listed.filter((id, at) => !ids.includes(id) || listed.indexOf(id) !== at)).toEqual([]);
  });
});

describe('uWebSockets.js and this package', () => {
  const reason = obstacle();
  let here: Record<string, unknown> = {};

  beforeAll(async () => {
    here = await collect(OURS, ids);
  });

  it('have a record of each probe', () => {
    expect(Object.keys(recorded)).toEqual(ids);
  });

  // Where the addon cannot be loaded (obstacle() tells which causes are none of ours) the record stands for it.
  it.skipIf(reason !== null)(
    `the record is what the original gives${reason === null ? '' : `: ${reason}`}`,
    async () => {
      const there = await collect(ORIGINAL, ids, ORIGINAL_NODE);
      for (const id of ids) expect(there[id], id).toEqual(recorded[id]!.there);
    },
  );

  it.each(ids)('%s', (id) => {
    const { there, here: expected } = recorded[id]!;
    const row = rowOf.get(id);
    if (row === undefined) {
      expect(here[id]).toEqual(there);
      return;
    }
    expect(here[id], `no difference any more: take it from '${row}'`).not.toEqual(there);
    expect(here[id]).toEqual(expected);
  });
});
