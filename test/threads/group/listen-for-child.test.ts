import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { beforeAll, expect, it } from 'vitest';
import { connectChannel } from '../../../src/net/handoff-channel.ts';
import { HandoffReceiver } from '../../../src/net/handoff-receiver.ts';
import { openDescriptors } from '../../support/clients/alive.ts';
import { until } from '../../support/tools/deadline.ts';

const LISTENS = new URL('../fixtures/listens-for-child.js', import.meta.url);

/** An end that was accepted for a worker that has not heard of it: the worker is blocked. */
interface Accepted {
  readonly worker: Worker;
  /** Has the worker go on. */
  readonly wake: (word: number) => void;
  /** Whether the end that was accepted is closed. */
  readonly isOver: () => boolean;
  /** Closes the end that connected. */
  readonly close: () => void;
}

async function acceptedEnd(): Promise<Accepted> {
  const memory = new SharedArrayBuffer(4);
  const worker = new Worker(LISTENS, { workerData: memory });
  const [path] = (await once(worker, 'message')) as [string];
  const pipe = await connectChannel(path);
  let isOver = false;
  const receiver = new HandoffReceiver(
    pipe,
    () => {},
    () => {
      isOver = true;
    },
  );
  await until(() => !existsSync(path), 'the main thread has accepted');
  return {
    worker,
    wake: (word) => {
      Atomics.store(new Int32Array(memory), 0, word);
      Atomics.notify(new Int32Array(memory), 0);
    },
    isOver: () => isOver,
    close: () => {
      receiver.close();
    },
  };
}

beforeAll(async () => {
  // In the main thread, the package listens for all threads.
  await import('millrace');
  // What is made at first use is there from then on.
  const { worker, wake, isOver } = await acceptedEnd();
  wake(1);
  await once(worker, 'exit');
  await until(isOver, 'the end is closed');
});

it('a listener that is closed when a child was accepted already leaves no descriptor', async () => {
  const before = openDescriptors();
  for (let round = 0; round < 5; round++) {
    const { worker, wake, isOver } = await acceptedEnd();
    const said = once(worker, 'message');
    const exit = once(worker, 'exit');
    wake(1);
    expect(await said).toEqual(['the listener was closed']);
    await exit;
    await until(isOver, 'the accepted end is closed');
  }
  await until(() => openDescriptors() === before, 'as many descriptors as before');
});

it('what was accepted for a thread that has ended, or is busy for long, is closed; and never by both', async () => {
  const before = openDescriptors();
  const dead = await acceptedEnd();
  const busy = await acceptedEnd();
  await dead.worker.terminate();
  expect([dead.isOver(), busy.isOver()]).toEqual([false, false]);
  await until(() => dead.isOver() && busy.isOver(), 'both ends are closed');
  const said = once(busy.worker, 'message');
  const exit = once(busy.worker, 'exit');
  busy.wake(2);
  expect(await said).toEqual(['this thread was busy for too long']);
  await exit;
  await until(() => openDescriptors() === before, 'as many descriptors as before');
});

it('a thread that takes what was accepted for it is the only one to close it', async () => {
  const { worker, wake, isOver, close } = await acceptedEnd();
  const said = once(worker, 'message');
  wake(2);
  expect(await said).toEqual(['number']);
  // The thread ends without opening it; the main thread would have closed it by then.
  await new Promise((resolve) => setTimeout(resolve, 5500));
  expect(isOver()).toBe(false);
  close();
});
