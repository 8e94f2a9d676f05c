import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolder } from '../../../src/profile/make-folder.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-make-folder-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

it('makes a folder with those above it, and leaves one that is there', () => {
  const path = join(folder, 'a', 'b', 'c');
  makeFolder(path);
  writeFileSync(join(path, 'file'), '');
  makeFolder(path);
  expect(statSync(join(path, 'file')).isFile()).toBe(true);
});

it('throws what the system says when it cannot be made', () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(() => {
    makeFolder(join(file, 'a', 'b'));
  }).toThrow('ENOTDIR');
});

it('throws at once where the system has no such file, and never will', () => {
  // In a process of its own: what goes wrong here does not end.
  const module = new URL('../../../dist/src/profile/make-folder.js', import.meta.url).href;
  const program = `import { makeFolder } from '${module}'; makeFolder('/proc/none/a');`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 8000,
  });
  expect(status).toBe(1);
  expect(stderr).toContain("ENOENT: no such file or directory, mkdir '/proc/none'");
});
