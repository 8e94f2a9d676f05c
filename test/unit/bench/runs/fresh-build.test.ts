import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requireFreshBuild } from '../../../../bench/lib/runs/fresh-build.js';

/** A package with two modules, each compiled after it was written. */
function build(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-build-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const files = ['src/net/a.ts', 'dist/src/net/a.js', 'workers/b.cts', 'dist/workers/b.cjs'];
  files.forEach((file, seconds) => {
    const path = join(folder, file);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, '');
    utimesSync(path, seconds, seconds);
  });
  return folder;
}

describe('requireFreshBuild', () => {
  test('takes a build that is newer than its sources', () => {
    expect(() => requireFreshBuild(build())).not.toThrow();
  });

  test('refuses one with a source that was changed since, and says what to do', () => {
    const folder = build();
    utimesSync(join(folder, 'src/net/a.ts'), 9, 9);
    expect(() => requireFreshBuild(folder)).toThrow(
      /older than the sources \(.*a\.ts\): run 'npm run build'/,
    );
  });

  test('refuses one with a module that has no source any more', () => {
    const folder = build();
    writeFileSync(join(folder, 'dist/src/net/moved.js'), '');
    expect(() => requireFreshBuild(folder)).toThrow(/moved\.js/);
  });

  test('refuses one that lacks a source', () => {
    const folder = build();
    writeFileSync(join(folder, 'workers/c.ts'), '');
    expect(() => requireFreshBuild(folder)).toThrow(/c\.ts/);
  });
});
