// @ts-check
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atEnd } from '../servers/child-process.js';
import { root } from '../servers/server-process.js';

/** @param {readonly string[]} args */
const git = (...args) =>
  execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

/**
 * Builds another revision of this repository in a temporary worktree, which is removed when this process ends,
 * however it ends. Packages are those that are installed here.
 *
 * @param {string} revision whatever git takes for a commit
 * @returns {{ folder: string, commit: string }}
 */
export function buildRevision(revision) {
  const commit = commitOf(revision);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  atEnd(() => {
    spawnSync('git', ['-C', root, 'worktree', 'remove', '--force', folder], { stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
    spawnSync('git', ['-C', root, 'worktree', 'prune'], { stdio: 'ignore' });
  });
  git('worktree', 'add', '--detach', folder, commit);
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const build = spawnSync(process.execPath, [tsc, '-p', join(folder, 'tsconfig.json')], { encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`${revision} cannot be built:\n${build.stdout}${build.stderr}`);
  return { folder, commit };
}

/** @param {string} revision */
function commitOf(revision) {
  try {
    return git('rev-parse', '--verify', '--end-of-options', `${revision}^{commit}`);
  } catch {
    throw new Error(`there is no revision ${revision} in this repository`);
  }
}
