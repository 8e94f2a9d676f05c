import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a promise, but not longer than this many ms. */
export async function within(promise: Promise<unknown>, patience: number): Promise<void> {
  const limit = new AbortController();
  const { signal } = limit;
  const timeout = sleep(patience, undefined, { signal }).catch(() => {});
  await Promise.race([promise, timeout]);
  limit.abort();
}

/** Ms that threads get to answer before they are ended by force. */
export const GRACE = 1000;
