import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { processThreads } from '../../../src/app/process-threads.ts';
import { until } from '../../support/tools/deadline.ts';

const onLinux = process.platform === 'linux';

it.runIf(onLinux)('knows this thread by the number of the system, and that it lives', () => {
  const threads = processThreads();
  expect(readdirSync('/proc/self/task')).toContain(String(threads.self));
  expect(threads.hasEnded(threads.self)).toBe(false);
});

it.runIf(onLinux)('knows whether another one has ended, also one that was terminated', async () => {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
    parentPort.postMessage(Number(require('node:fs').readlinkSync('/proc/thread-self').split('/').at(-1)));
    parentPort.on('message', () => {});`,
    { eval: true },
  );
  const [number] = (await once(worker, 'message')) as [number];
  const threads = processThreads();
  expect(number).not.toBe(threads.self);
  expect(threads.hasEnded(number)).toBe(false);
  await worker.terminate();
  await until(() => threads.hasEnded(number) === true, 'the system has taken the thread out');
});
