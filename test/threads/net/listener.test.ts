import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { within } from '../../support/tools/deadline.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/few-descriptors.js', import.meta.url));

it('a listener without descriptors does not start, or gives up by itself before somebody connects', async () => {
  const child = spawn('prlimit', ['--nofile=128:128', process.execPath, SCRIPT], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [seen] = (await within(once(child, 'message'), 'what was seen')) as [unknown];
  child.kill('SIGKILL');
  const EMFILE = -constants.errno.EMFILE;
  expect(seen).toEqual({
    atNone: false,
    atThree: [true, false],
    refused: EMFILE,
    isClosed: true,
    isLeaking: false,
    started: 0,
    lost: EMFILE,
    isGivenUp: true,
  });
});
