import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import * as store from '../../../src/app/key-value-store.ts';

/** Of this file; the store is that of the process. */
const A = 'key-value-store.test a';
const B = 'key-value-store.test b';

afterEach(() => {
  for (const collection of [A, B]) {
    store.deleteStringCollection(collection);
    store.deleteIntegerCollection(collection);
  }
});

describe('strings', () => {
  it('are kept by collection and key, apart from integers', () => {
    store.setString('k', 'é€𝄞', A);
    store.setString('k', 'other', B);
    store.setInteger('k', 5, A);
    expect([store.getString('k', A), store.getString('k', B), store.getString('none', A)]).toEqual([
      'é€𝄞',
      'other',
      '',
    ]);
    store.setString('k', '', A);
    expect([store.getString('k', A), store.getStringKeys(A)]).toEqual(['', ['k']]);
    store.deleteString('k', A);
    expect([store.getStringKeys(A), store.getInteger('k', A), store.getString('k', B)]).toEqual([
      [],
      5,
      'other',
    ]);
  });

  it('have keys and values that are text or bytes of it', () => {
    store.setString(Buffer.from('schlüssel'), new Uint8Array([0x61, 0x62]).buffer, Buffer.from(A));
    expect(store.getString('schlüssel', A)).toBe('ab');
    expect(store.getStringKeys(A)).toEqual(['schlüssel']);
  });

  it('are in the collection of no name when none is given', () => {
    store.setString(A, 'v');
    expect([store.getString(A), store.getString(A, ''), store.getStringKeys().includes(A)]).toEqual([
      'v',
      'v',
      true,
    ]);
    store.deleteString(A);
    expect(store.getStringKeys()).not.toContain(A);
  });

  it('are deleted by the collection, and no others', () => {
    for (const key of ['a', 'b', 'c']) store.setString(key, key, A);
    store.setString('a', 'kept', B);
    store.setInteger('a', 1, A);
    expect(store.getStringKeys(A).sort()).toEqual(['a', 'b', 'c']);
    store.deleteStringCollection(A);
    expect([store.getStringKeys(A), store.getString('a', B), store.getInteger('a', A)]).toEqual([
      [],
      'kept',
      1,
    ]);
    store.deleteIntegerCollection(A);
    expect([store.getIntegerKeys(A), store.getString('a', B)]).toEqual([[], 'kept']);
  });
});

describe('integers', () => {
  it.each([
    [2 ** 31, -(2 ** 31)],
    [-1, -1],
    [1.9, 1],
    [-1.9, -1],
    [Number.NaN, 0],
    [2 ** 32 + 7, 7],
  ])('%d is kept as %d', (given, kept) => {
    store.setInteger('n', given, A);
    expect(store.getInteger('n', A)).toBe(kept);
  });

  it('start at 0, and wrap around', () => {
    expect(store.getInteger('n', A)).toBe(0);
    expect([store.incInteger('n', 5, A), store.incInteger('n', -7, A)]).toEqual([5, -2]);
    store.setInteger('n', 2 ** 31 - 1, A);
    expect(store.incInteger('n', 1, A)).toBe(-(2 ** 31));
    expect(store.getIntegerKeys(A)).toEqual(['n']);
    store.deleteInteger('n', A);
    expect([store.getInteger('n', A), store.getIntegerKeys(A)]).toEqual([0, []]);
  });
});

describe('the lock', () => {
  const state = (message: string) =>
    expect.objectContaining({
      code: 'MILLRACE_APP_STATE',
      message: expect.stringContaining(message) as string,
    }) as Error;

  it('is taken once and given back once', () => {
    expect(() => {
      store.unlock();
    }).toThrow(state('this thread does not hold the lock'));
    store.lock();
    try {
      expect(() => {
        store.lock();
      }).toThrow(state('this thread already holds the lock'));
      // It keeps nobody from the other functions.
      expect(store.incInteger('n', 1, A)).toBe(1);
    } finally {
      store.unlock();
    }
    store.lock();
    store.unlock();
  });
});

/** The built module: these processes are none of the test runner's. */
const url = new URL('../../../dist/src/app/key-value-store.js', import.meta.url).href;
const run = promisify(execFile);

it('is inherited by threads that are started later', async () => {
  // The main thread of a process of its own makes the memory: this one may be a thread of the test runner.
  const code = `
    import { Worker } from 'node:worker_threads';
    const store = await import(${JSON.stringify(url)});
    store.setString('k', 'from main');
    const worker = new Worker(${JSON.stringify(`
      import(${JSON.stringify(url)}).then(async (store) => {
        const { parentPort } = await import('node:worker_threads');
        store.setInteger('n', 3);
        parentPort.postMessage(store.getString('k'));
      });`)}, { eval: true });
    worker.on('message', (text) => console.log(text, store.incInteger('n', 1)));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code]);
  expect(stdout).toBe('from main 4\n');
});

it('throws in a thread whose main thread did not import it before', async () => {
  const thread = `import(${JSON.stringify(url)}).then((store) => {
    try { store.getString('k'); } catch (error) { console.log(error.code, error.message); }
  });`;
  const code = `new (require('node:worker_threads').Worker)(${JSON.stringify(thread)}, { eval: true })`;
  const { stdout } = await run(process.execPath, ['-e', code]);
  expect(stdout).toMatch(/^MILLRACE_APP_STATE .*is not shared with this thread/);
});
