import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Metric } from '../../../src/metrics/metric.ts';
import { RING_METRICS, THREAD_METRICS } from '../../../src/metrics/table.ts';

const FILE = new URL('../../../docs/metrics.md', import.meta.url);
const TABLES = /(<!-- metrics -->\n)[^]*(<!-- \/metrics -->)/;

function tableOf(table: Readonly<Record<string, Metric>>): string {
  const lines = Object.entries(table).map(([name, { kind, unit, threads, writers, help }]) => {
    const by = writers.join() === threads.join() ? '' : ` (written by ${writers.join(', ')})`;
    return `| \`${name}\` | ${kind}, ${unit} | ${threads.join(', ')}${by} | ${help.replaceAll('|', '\\|')} |`;
  });
  return ['| name | kind, unit | of | what it is |', '| --- | --- | --- | --- |', ...lines, ''].join('\n');
}

/** `npm run docs` writes what this compares. */
test('docs/metrics.md has the tables of all metrics', () => {
  const tables = `### Of a thread\n\n${tableOf(THREAD_METRICS)}\n### Of a ring\n\n${tableOf(RING_METRICS)}`;
  const text = readFileSync(FILE, 'utf8');
  const expected = text.replace(TABLES, (_all, begin: string, end: string) => `${begin}\n${tables}\n${end}`);
  if (process.env['WRITE_DOCS'] === '1') writeFileSync(FILE, expected);
  expect(readFileSync(FILE, 'utf8')).toBe(expected);
});
