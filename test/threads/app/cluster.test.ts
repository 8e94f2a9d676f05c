import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const FIXTURE = fileURLToPath(new URL('../fixtures/cluster.js', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
const sharesPorts = process.platform === 'linux' && (major > 22 || (major === 22 && minor >= 12));

it('workers of a cluster share a port where Node.js can, and where it cannot all but the first are told', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [FIXTURE]);
  const count = sharesPorts ? 3 : 1;
  expect(JSON.parse(stdout)).toEqual({ listening: count, answered: count });
});
