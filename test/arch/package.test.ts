import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/errors.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

describe('the error table', () => {
  it('has a section in docs/errors.md for each code, and the document no other', () => {
    const documented = Array.from(read('docs/errors.md').matchAll(/^## `([A-Z_]+)`$/gm), ([, code]) => code);
    expect(documented).toEqual(Object.keys(ERRORS));
  });

  it('is used: each code is thrown or reported somewhere', () => {
    const used = sources('src').replace(read('src/errors.ts'), '');
    for (const code of Object.keys(ERRORS)) expect(used, code).toContain(code);
  });
});

describe('the package', () => {
  it('says in docs/dependencies.md why it needs each of its dependencies', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    const document = read('docs/dependencies.md');
    for (const name of Object.keys(dependencies)) expect(document).toContain(`| \`${name}\``);
  });

  it('locks versions without naming a registry', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"|https?:\/\/[^"]*registry/);
  });

  it('has the exports it had', async () => {
    const names = Object.keys(await import('millrace')).sort();
    expect(names).toMatchSnapshot();
  });

  it('has the exports it had in millrace/bench', async () => {
    const names = Object.keys(await import('millrace/bench')).sort();
    expect(names).toEqual([
      'BENCH_LIMITS',
      'PERCENTILES',
      'SCENARIOS',
      'bench',
      'benchReport',
      'formatBytes',
      'formatMilliseconds',
    ]);
  });

  it('can be had by import of the default and by require', async () => {
    const { default: uWS } = await import('millrace');
    const required = createRequire(import.meta.url)(
      fileURLToPath(new URL('dist/src/index.js', root)),
    ) as object;
    expect(typeof uWS.App).toBe('function');
    expect(Object.keys(required)).toContain('App');
  });
});

function sources(folder: string): string {
  return readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => read(`${folder}/${file}`))
    .join('\n');
}
