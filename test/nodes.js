// @ts-check
/**
 * Runs the test suite on Node.js 20, 22, 24 and 26. The binaries come from the npm package `node`, into a folder
 * beside the dependencies.
 *
 *     npm run test:nodes            all of them
 *     npm run test:nodes -- 24 26   these
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const versions = process.argv.length > 2 ? process.argv.slice(2) : ['20', '22', '24', '26'];

/** @param {string} version @returns {string} */
function nodeBinary(version) {
  const folder = `${root}/node_modules/.cache/node-${version}`;
  const binary = `${folder}/node_modules/node/bin/node`;
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/package.json`, '{"private":true}\n');
    // The package's install script copies the binary of the platform package into place.
    const install = spawnSync(
      'npm',
      ['install', '--no-audit', '--no-fund', '--foreground-scripts', `node@${version}`],
      {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    if (install.status !== 0) throw new Error(`npm cannot install node@${version}`);
  }
  return binary;
}

/** The long ones last, one at a time, as `npm run test:long` runs them. */
const runs = [
  ['unit', 'conformance', 'threads', 'integration', 'contract'].flatMap((p) => ['--project', p]),
  ['--project', 'long', '--maxWorkers', '1'],
];

/** @type {string[]} */
const failed = [];
for (const version of versions) {
  const binary = nodeBinary(version);
  const name = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim();
  for (const projects of runs) {
    console.log(`\n=== Node.js ${name}: ${projects.filter((p) => !p.startsWith('--')).join(', ')}`);
    const run = spawnSync(binary, [`${root}/node_modules/vitest/vitest.mjs`, 'run', ...projects], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, PATH: `${binary.slice(0, -'/node'.length)}:${process.env['PATH']}` },
    });
    if (run.status !== 0) failed.push(name);
  }
}
if (failed.length > 0) console.log(`\nfailed on ${[...new Set(failed)].join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
