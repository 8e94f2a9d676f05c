import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { threadId, Worker } from 'node:worker_threads';
import {
  deleteInteger,
  deleteIntegerCollection,
  deleteString,
  deleteStringCollection,
  getInteger,
  getIntegerKeys,
  getString,
  getStringKeys,
  incInteger,
  lock,
  MillraceError,
  setInteger,
  setString,
  unlock,
} from 'millrace';
import { afterEach, describe, expect, it } from 'vitest';

const WORKER = new URL('../fixtures/store-worker.js', import.meta.url);
const PACKAGE = new URL('../../../dist/src/index.js', import.meta.url).href;

async function run(...tasks: { task: string; rounds?: number }[]): Promise<void> {
  const ends = tasks.map(
    (workerData) =>
      new Promise<void>((resolve, reject) => {
        const worker = new Worker(WORKER, { workerData });
        worker.once('error', reject);
        worker.once('exit', () => resolve());
      }),
  );
  await Promise.all(ends);
}

afterEach(() => {
  for (const collection of ['', 'threads', 'other']) {
    deleteStringCollection(collection);
    deleteIntegerCollection(collection);
  }
});

describe('the key-value store', () => {
  it('holds strings and integers by collection, under the names of uWebSockets.js', () => {
    setString('key', 'grün');
    setString('key', new Uint8Array([104, 105]), 'other');
    setInteger('key', 2 ** 31, 'other');
    expect([getString('key'), getString('key', 'other'), getString('none')]).toEqual(['grün', 'hi', '']);
    expect([getInteger('key', 'other'), getInteger('key'), incInteger('n', 3), incInteger('n', -4)]).toEqual([
      -(2 ** 31),
      0,
      3,
      -1,
    ]);
    setString('second', '');
    expect(getStringKeys().sort()).toEqual(['key', 'second']);
    expect(getIntegerKeys()).toEqual(['n']);
    deleteString('key');
    deleteInteger('n');
    deleteInteger('n');
    expect([getString('key'), getInteger('n'), getStringKeys(), getIntegerKeys()]).toEqual([
      '',
      0,
      ['second'],
      [],
    ]);
    deleteStringCollection('other');
    expect([getString('key', 'other'), getInteger('key', 'other')]).toEqual(['', -(2 ** 31)]);
  });

  it('is shared with threads that the user starts, and with those that they start', async () => {
    const rounds = 20_000;
    await run({ task: 'add', rounds }, { task: 'add', rounds }, { task: 'nest', rounds });
    expect(getInteger('sum', 'threads')).toBe(3 * rounds);
  });

  it('has a lock that makes one of several calls', async () => {
    const rounds = 3000;
    await run({ task: 'lock', rounds }, { task: 'lock', rounds }, { task: 'lock', rounds });
    expect(getString('locked', 'threads')).toBe(String(3 * rounds));
  });

  it('gets its lock back from a thread that ends', async () => {
    await run({ task: 'hold' });
    lock();
    unlock();
  });

  it.runIf(process.platform === 'linux')('takes its lock from a thread that was terminated', async () => {
    const worker = new Worker(WORKER, { workerData: { task: 'holdOn' } });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    lock();
    unlock();
  });

  it('refuses what would wait for ever, and to give back what is not held', () => {
    lock();
    expect(() => lock()).toThrow(/lock: this thread already holds the lock/);
    unlock();
    expect(() => unlock()).toThrow(MillraceError);
    expect(threadId).toBe(0);
  });

  it('says what to do in a thread that could not inherit it', () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      new Worker(${JSON.stringify(fileURLToPath(WORKER))}).once('message', (message) => {
        console.log(message);
        import(${JSON.stringify(PACKAGE)}).then(() => {
          new Worker(${JSON.stringify(fileURLToPath(WORKER))}).once('message', (message) => console.log([message]));
        });
      });`;
    const output = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' });
    expect(output).toBe(
      'MILLRACE_APP_STATE: The key-value store is not shared with this thread: import millrace in the main ' +
        "thread before this thread is started\n[ '' ]\n",
    );
  });
});
