import { setImmediate as turn } from 'node:timers/promises';

/**
 * Resolves when every handle of this thread has read what the kernel held for it at the time of the call: up to a
 * buffer each, and one connection of a listening socket. The turn of the event loop that is under way may have polled
 * before that, so it is the next one that counts.
 */
export async function readWaiting(): Promise<void> {
  await turn();
  await turn();
}

/** Resolves when a whole turn leaves a number as it is, but after `timeout` ms at the latest. */
export async function untilQuiet(count: () => number, timeout: number): Promise<void> {
  const end = performance.now() + timeout;
  let before: number;
  do {
    before = count();
    await readWaiting();
  } while (count() !== before && performance.now() < end);
}
