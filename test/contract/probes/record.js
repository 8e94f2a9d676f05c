// @ts-check
/**
 * Writes recorded.json: what each probe gives with the original, where that can be run, and what it gives here where that
 * is another thing.
 *
 *     npm run contract:record
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { collect } from './collect.js';
import { ORIGINAL, ORIGINAL_NODE, OURS, obstacle } from './original.js';
import { PROBES } from './table.js';

const FILE = new URL('recorded.json', import.meta.url);
const ids = Object.keys(PROBES);

const reason = obstacle();
if (reason !== null)
  console.log(`What the original gives stays as it was recorded, as it cannot be run: ${reason}.`);
const there = reason === null ? await collect(ORIGINAL, ids, ORIGINAL_NODE) : recorded();
const here = await collect(OURS, ids);
const lines = ids.map((id) => {
  const differs = !isDeepStrictEqual(there[id], here[id]);
  return `${JSON.stringify(id)}: ${JSON.stringify({ there: there[id], ...(differs ? { here: here[id] } : {}) })}`;
});
writeFileSync(FILE, `{\n${lines.join(',\n')}\n}\n`);
console.log(`${ids.length} probes`);

/** @returns {Record<string, unknown>} */
function recorded() {
  const entries = Object.entries(JSON.parse(readFileSync(FILE, 'utf8')));
  return Object.fromEntries(entries.map(([id, entry]) => [id, entry.there]));
}
