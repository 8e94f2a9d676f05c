import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a promise, `timeout` ms at most. Returns whether the promise was fulfilled by then. */
export async function isFulfilled(promise: Promise<unknown>, timeout: number): Promise<boolean> {
  const limit = new AbortController();
  const { signal } = limit;
  const late = sleep(timeout, false, { signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    limit.abort();
  }
}

/** Waits for a promise, `timeout` ms at most. */
export async function within(promise: Promise<unknown>, timeout: number): Promise<void> {
  await isFulfilled(promise, timeout);
}

/** Ms that threads get to answer before they are ended by force. */
export const ANSWER_TIMEOUT = 1000;

/** Calls back after `seconds`, unless it is cleared before; 0: never. Keeps no process alive. */
export function deadline(seconds: number, onLate: () => void): NodeJS.Timeout | undefined {
  return seconds === 0 ? undefined : setTimeout(onLate, seconds * 1000).unref();
}

/** Ms that a thread which is ended by force gets to be gone: native code that it is in cannot be ended. */
export const END_TIMEOUT = 5000;
