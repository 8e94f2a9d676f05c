import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../../../src/cli/args.ts';
import { moduleUrl } from '../../../src/cli/module-url.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-modules-'));
  mkdirSync(join(folder, 'apps'));
  for (const name of ['a.js', 'b c#?.js', 'd.mjs']) writeFileSync(join(folder, name), '');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test('a path becomes a URL, whatever characters are in it', () => {
  for (const name of ['a.js', 'b c#?.js']) {
    const path = join(folder, name);
    expect(moduleUrl(path).href).toBe(pathToFileURL(path).href);
  }
});

test('a file: URL stays what it is', () => {
  const url = pathToFileURL(join(folder, 'b c#?.js'));
  expect(moduleUrl(url.href).href).toBe(url.href);
});

test('a path is taken from the current directory', () => {
  expect(moduleUrl('package.json').href).toBe(pathToFileURL(join(process.cwd(), 'package.json')).href);
});

test.each([
  ['a', /there is no file .*a$/, /^Did you mean .*a\.js\?$/],
  ['d', /there is no file .*d$/, /^Did you mean .*d\.mjs\?$/],
  ['nothing.js', /there is no file .*nothing\.js$/, /^Paths are taken from /],
  ['apps', /apps is a directory$/, /^Name the app module in it/],
])('%s is refused with a remedy', (name, message, remedy) => {
  try {
    moduleUrl(join(folder, name));
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toMatch(message);
    expect((error as UsageError).remedy).toMatch(remedy);
  }
});
