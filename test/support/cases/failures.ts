import { runInNewContext } from 'node:vm';

/** How user code fails: each way it can throw, and each kind of promise that it can return. */
export const WAYS = {
  throws: (): never => {
    throw new Error('the handler failed');
  },
  'rejects at once': () => Promise.reject(new Error('the handler failed')),
  'rejects later': async (): Promise<never> => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    throw new Error('the handler failed');
  },
  'returns a rejected promise of another realm': () =>
    runInNewContext('Promise.reject(error)', { error: new Error('the handler failed') }) as Promise<never>,
  'returns an object with a then method that calls back with an error, twice': () => ({
    // oxlint-disable-next-line unicorn/no-thenable -- what is tested
    then: (_done: unknown, failed: (error: Error) => void) => {
      failed(new Error('the handler failed'));
      failed(new Error('again'));
    },
  }),
  'returns an object whose then method throws': () => ({
    // oxlint-disable-next-line unicorn/no-thenable -- what is tested
    then: () => {
      throw new Error('the handler failed');
    },
  }),
  'returns an object whose then cannot be read': () => ({
    // oxlint-disable-next-line unicorn/no-thenable -- what is tested
    get then() {
      throw new Error('the handler failed');
    },
  }),
  'returns a promise that resolves with a rejected one': () =>
    new Promise((resolve) => {
      resolve(Promise.reject(new Error('the handler failed')));
    }),
} as const;
export type Way = keyof typeof WAYS;
