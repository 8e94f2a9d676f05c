// @ts-check
import { spawnSync } from 'node:child_process';

/** uWebSockets.js 20.57, from npm. */
export const ORIGINAL = '@btc-vision/uwebsockets.js';
/** The package under test, under the name that its users give it. */
export const OURS = 'uWebSockets.js';

/**
 * The command that runs the original. Where the C library is older than the addon wants, ORIGINAL_NODE may name a script
 * that starts Node.js with a newer one.
 */
export const ORIGINAL_NODE = process.env['ORIGINAL_NODE'] ?? process.execPath;

/**
 * Why the original cannot be run here, or null when it can. It is a native addon for Node.js 20, 22, 24 and 25 and a C
 * library of 2023 or later: nothing else may keep it from loading.
 *
 * @returns {string | null}
 */
export function obstacle() {
  const script = `require('${ORIGINAL}')`;
  const cwd = import.meta.dirname;
  const { status, stderr } = spawnSync(ORIGINAL_NODE, ['-e', script], { cwd, encoding: 'utf8' });
  if (status === 0) return null;
  const library = /version `GLIBC_[\d.]+' not found|Error loading shared library|Error relocating/.exec(
    stderr,
  );
  if (library !== null) return `the C library here is another: ${library[0]}`;
  const addon = /Cannot find module '\.\/(uws_\w+\.node)'/.exec(stderr);
  if (addon !== null) return `it has no ${addon[1]}`;
  throw new Error(`The original cannot be loaded:\n${stderr}`);
}
