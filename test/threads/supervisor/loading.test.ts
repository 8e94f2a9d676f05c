import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { type ServeOptions, type Server, serve } from 'millrace';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDescriptors } from '../../support/clients/alive.ts';
import { HOST } from '../../support/servers/server.ts';
import { unchanged, until } from '../../support/tools/deadline.ts';
import { PassingDeadline } from '../../support/tools/passing-deadline.ts';

/** An app module that is never loaded, and what is done to a server while one is loaded. */

/** In seconds. It passes only for threads that hang, see `passWhenHung`. */
const LOAD_TIMEOUT = 3600;

/** Threads that were started and have not ended. */
const threads = new Set<Worker>();
function note(thread: Worker): void {
  threads.add(thread);
  thread.on('exit', () => threads.delete(thread));
}

let server: Server | undefined;
/** A folder, see the module. */
let marks: string;
beforeEach(() => {
  process.on('worker', note);
  marks = mkdtempSync(join(tmpdir(), 'millrace-'));
  // Threads get a copy when they are made.
  process.env['MARKS'] = marks;
});
afterEach(async () => {
  for (const name of ['LOADS', 'GENERATION', 'MARKS']) delete process.env[name];
  release();
  await server?.close({ drain: 0 });
  server = undefined;
  process.off('worker', note);
  await until(() => threads.size === 0, 'no thread is left');
  rmSync(marks, { recursive: true });
});

/** What is in native code leaves it. */
const release = (): void => writeFileSync(join(marks, 'release'), '');

/** Resolves when a thread is in native code. */
const inNativeCode = (): Promise<void> =>
  until(() => readdirSync(marks).some((name) => name.startsWith('native-')), 'a thread is in native code');

const hung = (): number =>
  [...threads].filter(({ threadId }) => existsSync(join(marks, `hangs-${threadId}`))).length;

/** Lets LOAD_TIMEOUT pass while `count` threads hang: one that is cut off earlier can leave a descriptor behind. */
function passWhenHung(count = 1): Disposable {
  const loadTimeout = new PassingDeadline(LOAD_TIMEOUT);
  const interval = setInterval(() => {
    if (hung() < count) return;
    // What the thread said before is read first.
    setImmediate(() => {
      setImmediate(() => {
        if (hung() >= count) loadTimeout.pass();
      });
    });
  }, 5);
  return {
    [Symbol.dispose]: () => {
      clearInterval(interval);
      loadTimeout.end();
    },
  };
}

const start = async (options: Partial<ServeOptions> = {}): Promise<Server> => {
  server = await serve({
    app: new URL('../fixtures/loads.js', import.meta.url),
    host: HOST,
    port: 0,
    shards: 1,
    ...options,
  });
  return server;
};

/** What the shard answers: the generation its module was loaded in. */
async function generation({ port }: Server): Promise<string> {
  const response = await fetch(`http://${HOST}:${port}/`, { headers: { Connection: 'close' } });
  return response.text();
}

const TOO_LATE = {
  code: 'MILLRACE_BAD_MODULE',
  message: expect.stringMatching(/loads\.js: it was not loaded within 3600 s\. .*'loadTimeout'/),
};

describe('an app module that is never loaded', () => {
  it('makes serve() reject, and leaves nothing behind', async () => {
    using _ = passWhenHung(2);
    const before = openDescriptors();
    process.env['LOADS'] = 'awaits for ever';
    await expect(start({ shards: 2, loadTimeout: LOAD_TIMEOUT })).rejects.toMatchObject(TOO_LATE);
    await until(() => openDescriptors() <= before, 'no descriptor is left');
  });

  it('makes reload() reject: the shard serves on, and a later reload works', async () => {
    using _ = passWhenHung();
    process.env['GENERATION'] = 'first';
    const running = await start({ loadTimeout: LOAD_TIMEOUT });
    const before = openDescriptors();
    process.env['GENERATION'] = 'second';
    for (const manner of ['loops for ever', 'never settles']) {
      process.env['LOADS'] = manner;
      await expect(running.reload()).rejects.toMatchObject(TOO_LATE);
      expect(await generation(running)).toBe('first');
    }
    await until(() => openDescriptors() <= before, 'no descriptor is left');
    delete process.env['LOADS'];
    await running.reload();
    expect(await generation(running)).toBe('second');
  });

  it('when its shard is started anew counts as a crash, and is tried again', async () => {
    using _ = passWhenHung();
    const crashes: unknown[] = [];
    const onCrash = (_shard: number, error: unknown) => crashes.push(error);
    const running = await start({ loadTimeout: LOAD_TIMEOUT, onCrash });
    process.env['LOADS'] = 'calls for ever';
    process.env['GENERATION'] = 'second';
    await expect(fetch(`http://${HOST}:${running.port}/exit`)).rejects.toThrow('fetch failed');
    await until(() => crashes.length === 2, 'it is not loaded');
    expect(crashes[1]).toMatchObject(TOO_LATE);
    delete process.env['LOADS'];
    // Until then it is answered 503.
    while ((await generation(running)) !== 'second');
  });

  it('because its event loop stands still as soon as it is: serve() and reload() reject, and it is tried again', async () => {
    using _ = passWhenHung();
    process.env['LOADS'] = 'loops afterwards';
    await expect(start({ loadTimeout: LOAD_TIMEOUT })).rejects.toMatchObject({
      code: 'MILLRACE_BAD_MODULE',
      message: expect.stringMatching(/loads\.js: the event loop stands still .*'loadTimeout'/),
    });
    delete process.env['LOADS'];
    const crashes: unknown[] = [];
    const onCrash = (_shard: number, error: unknown) => crashes.push(error);
    const running = await start({ loadTimeout: LOAD_TIMEOUT, onCrash });
    process.env['LOADS'] = 'loops afterwards';
    process.env['GENERATION'] = 'second';
    await expect(running.reload()).rejects.toMatchObject({ code: 'MILLRACE_BAD_MODULE' });
    delete process.env['LOADS'];
    while ((await generation(running)) !== 'second');
    expect(crashes[0]).toMatchObject({ code: 'MILLRACE_BAD_MODULE' });
  });

  it('is waited for without end when loadTimeout is 0, and close() ends it', async () => {
    const running = await start({ loadTimeout: 0 });
    process.env['LOADS'] = 'loops for ever';
    const reloading = running.reload();
    await until(() => threads.size === 3, 'the successor is there');
    await running.close();
    await reloading;
    expect(threads.size).toBe(0);
  });
});

it.each([
  [
    'throws what is no text',
    'MILLRACE_BAD_MODULE',
    /loads\.js: \[Object: null prototype\] \{ toString: 1 \}$/,
  ],
  ['throws an error without a message', 'MILLRACE_BAD_MODULE', /loads\.js: Error: \[Function/],
  ['throws what is no text afterwards', 'MILLRACE_SHARD_CRASHED', /while it started: \{ toString: 1 \}$/],
])('a module that %s makes serve() and reload() reject', async (manner, code, message) => {
  process.env['LOADS'] = manner;
  const rejected = { code, message: expect.stringMatching(message) };
  await expect(start()).rejects.toMatchObject(rejected);
  delete process.env['LOADS'];
  const running = await start({ onCrash: () => {} });
  process.env['LOADS'] = manner;
  await expect(running.reload()).rejects.toMatchObject(rejected);
});

it('a thread that ends before it runs anything is noticed at once, and another is made', async () => {
  const crashes: unknown[] = [];
  const running = await start({ loadTimeout: 0, onCrash: (_shard, crash) => crashes.push(crash) });
  const end = (thread: Worker): void => void thread.terminate();
  process.on('worker', end);
  try {
    await expect(fetch(`http://${HOST}:${running.port}/exit`)).rejects.toThrow('fetch failed');
    // At once, five times: the count can pass 4 between two looks.
    await until(() => crashes.length >= 4, 'it is tried again');
  } finally {
    process.off('worker', end);
  }
  expect(crashes.join()).toMatch(/exited with code \d before it ran anything/);
  process.env['GENERATION'] = 'second';
  while ((await generation(running)) !== 'second');
});

describe('close() ends all threads', () => {
  it('but one that is in native code, which it does not wait for, and says so', async () => {
    const complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
    const running = await start({ shards: 2 });
    const abort = new AbortController();
    const slept = fetch(`http://${HOST}:${running.port}/sleep`, abort).catch(() => {});
    await inNativeCode();
    abort.abort();
    await slept;
    await running.close({ drain: 0 });
    expect(threads.size).toBe(1);
    expect(complaints.mock.calls.join()).toContain('is not gone after 5 s: it is in native code');
    vi.restoreAllMocks();
  });

  it('at any moment of a reload', async () => {
    let hasSucceeded = false;
    // Until a reload is through before it is closed.
    for (let pause = 0; !hasSucceeded; pause += 40 + pause / 4) {
      const running = await start({ shards: 2 });
      let isThrough = false;
      const reloading = running.reload({ drain: 100 }).then(() => {
        isThrough = true;
      });
      await new Promise((resolve) => setTimeout(resolve, pause));
      hasSucceeded = isThrough;
      await running.close({ drain: 100 });
      await reloading;
      // A thread that is on its way would be there by now.
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect([pause, threads.size]).toEqual([pause, 0]);
    }
  });

  it('when a shard has failed, and its thread ends later than the one that was made in its place', async () => {
    const running = await start({ onCrash: () => {} });
    const failed = fetch(`http://${HOST}:${running.port}/fail-slowly`).catch(() => {});
    await until(() => threads.size === 3, 'another is made');
    const closed = running.close({ drain: 0 });
    release();
    await closed;
    // One that the pool makes when the old one is gone would be there by now.
    await failed;
    expect(threads.size).toBe(0);
  });

  it('when it fails while it is loaded: serve() rejects when they are gone', async () => {
    process.env['LOADS'] = 'fails slowly';
    let isTold = false;
    const told = start().catch((error: unknown) => {
      isTold = true;
      return error;
    });
    await inNativeCode();
    await unchanged(() => threads.size, 'the acceptor and the shard');
    expect(isTold).toBe(false);
    release();
    expect(await told).toMatchObject({ code: 'MILLRACE_SHARD_CRASHED' });
    expect(threads.size).toBe(0);
  });

  it('when a shard that crashed is being started anew, or waits for that', async () => {
    for (const crashes of [1, 6]) {
      let told = 0;
      const running = await start({ onCrash: () => told++ });
      process.env['LOADS'] = crashes === 1 ? 'awaits for ever' : '';
      // While it is started anew this is answered 503.
      while (told < crashes) await fetch(`http://${HOST}:${running.port}/exit`).catch(() => {});
      await running.close();
      expect(threads.size).toBe(0);
      delete process.env['LOADS'];
    }
  });
});
