// @ts-check
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Throws when `dist` is not what the sources are now: threads and benchmarks load what was compiled, and would
 * otherwise test or measure an older program without a word.
 */
export function requireFreshBuild(folder = root) {
  const stale = ['src', 'workers'].flatMap((part) => [
    ...staleFiles(join(folder, part), join(folder, 'dist', part)),
    ...orphans(join(folder, part), join(folder, 'dist', part)),
  ]);
  if (stale.length === 0) return;
  const more = stale.length > 1 ? ` and ${stale.length - 1} more` : '';
  throw new Error(`dist is older than the sources (${stale[0]}${more}): run 'npm run build' first`);
}

/**
 * @param {string} sources
 * @param {string} built
 * @returns {string[]} sources that were changed after they were compiled, or never compiled
 */
function staleFiles(sources, built) {
  /** @type {string[]} */
  const stale = [];
  for (const entry of readdirSync(sources, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !/(?<!\.d)\.c?ts$/.test(entry.name)) continue;
    const source = join(entry.parentPath, entry.name);
    const output = join(built, source.slice(sources.length)).replace(/ts$/, 'js');
    if (!existsSync(output) || statSync(output).mtimeMs < statSync(source).mtimeMs) stale.push(source);
  }
  return stale;
}

/**
 * @param {string} sources
 * @param {string} built
 * @returns {string[]} what was compiled from a source that is there no more
 */
function orphans(sources, built) {
  if (!existsSync(built)) return [];
  return readdirSync(built, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.c?js$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !existsSync(join(sources, file.slice(built.length)).replace(/js$/, 'ts')));
}
