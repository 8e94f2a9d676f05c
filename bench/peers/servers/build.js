// @ts-check
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * Loads a build of millrace.
 *
 * @param {string} folder which has its package.json and dist/
 * @returns {Promise<{ millrace: typeof import('../../../src/index.ts'), version: string }>}
 */
export async function loadBuild(folder) {
  const root = pathToFileURL(`${folder}/`);
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  return { millrace: await import(new URL('dist/src/index.js', root).href), version };
}
