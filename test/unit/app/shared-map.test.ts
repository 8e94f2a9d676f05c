import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { ProcessThreads } from '../../../src/app/process-threads.ts';
import { Kind, newSharedMemory, SharedMap } from '../../../src/app/shared-map.ts';
import { MillraceError } from '../../../src/errors.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : new TextDecoder().decode(value);
const C = bytes('c');

describe('a map in shared memory', () => {
  it('keeps strings and integers apart, by collection and key', () => {
    const map = new SharedMap(newSharedMemory());
    map.setString(C, bytes('k'), bytes('v'));
    map.setInteger(C, bytes('k'), -7);
    map.setString(bytes('ck'), bytes(''), bytes('other'));
    expect(text(map.getString(C, bytes('k')))).toBe('v');
    expect(map.getInteger(C, bytes('k'))).toBe(-7);
    expect(text(map.getString(bytes('ck'), bytes('')))).toBe('other');
    expect(map.getString(bytes(''), bytes('ck'))).toBeUndefined();
    expect(map.getInteger(bytes(''), bytes('k'))).toBe(0);
    expect(map.size).toBe(3);
  });

  it('adds to integers, which wrap around at 32 bits', () => {
    const map = new SharedMap(newSharedMemory());
    expect(map.addInteger(C, C, 5)).toBe(5);
    expect(map.addInteger(C, C, -8)).toBe(-3);
    map.setInteger(C, C, 2 ** 31 - 1);
    expect(map.addInteger(C, C, 1)).toBe(-(2 ** 31));
    expect(map.size).toBe(1);
  });

  it('is one map through every view of the memory, also after it has grown', () => {
    const memory = newSharedMemory();
    const writer = new SharedMap(memory);
    const reader = new SharedMap(memory);
    const before = memory.byteLength;
    const value = 'x'.repeat(5000);
    for (let i = 0; i < 1000; i++) writer.setString(C, bytes(`k${i}`), bytes(value + i));
    expect(memory.byteLength).toBeGreaterThan(before);
    for (let i = 0; i < 1000; i++) expect(text(reader.getString(C, bytes(`k${i}`)))).toBe(value + i);
  });

  it('uses freed memory again', () => {
    const memory = newSharedMemory();
    const map = new SharedMap(memory);
    const { byteLength } = memory;
    for (let i = 0; i < 20_000; i++) {
      map.setString(C, bytes('same'), bytes('x'.repeat(i % 200)));
      map.setInteger(C, bytes(`key ${i}`), i);
      map.delete(Kind.INTEGER, C, bytes(`key ${i}`));
    }
    expect(memory.byteLength).toBe(byteLength);
    expect(map.size).toBe(1);
  });

  it('says when it is full, and goes on when something was deleted', () => {
    const map = new SharedMap(newSharedMemory(256 * 1024));
    const value = bytes('x'.repeat(1000));
    const fill = () => {
      for (let i = 0; i < 1000; i++) map.setString(C, bytes(`k${i}`), value);
    };
    expect(fill).toThrow(MillraceError);
    expect(fill).toThrow(/has no room for 1\d\d\d bytes/);
    const { size } = map;
    expect(size).toBeGreaterThan(10);
    map.deleteCollection(Kind.STRING, C);
    expect(map.size).toBe(0);
    expect(fill).toThrow(MillraceError);
    expect(map.size).toBe(size);
    expect(() => map.setString(C, C, new Uint8Array(2 ** 26))).toThrow(MillraceError);
  });

  it('does what a Map does', () => {
    const name = fc.constantFrom('', 'a', 'b', 'ab', 'é', '__proto__');
    const kind = fc.constantFrom(Kind.STRING, Kind.INTEGER);
    const step = fc.record({
      act: fc.constantFrom('set', 'set', 'set', 'add', 'delete', 'clear'),
      kind,
      collection: name,
      key: name,
      value: fc.string({ maxLength: 100 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const map = new SharedMap(newSharedMemory());
        const model = new Map<string, string | number>();
        const id = (...parts: (string | number)[]) => JSON.stringify(parts);
        for (const { act, kind, collection, key, value } of steps) {
          const [c, k] = [bytes(collection), bytes(key)];
          const at = id(kind, collection, key);
          if (act === 'delete') {
            map.delete(kind, c, k);
            model.delete(at);
          } else if (act === 'clear') {
            map.deleteCollection(kind, c);
            for (const other of model.keys())
              if (other.startsWith(id(kind, collection).slice(0, -1))) model.delete(other);
          } else if (act === 'add') {
            const sum = Number(model.get(id(Kind.INTEGER, collection, key)) ?? 0) + value.length;
            expect(map.addInteger(c, k, value.length)).toBe(sum);
            model.set(id(Kind.INTEGER, collection, key), sum);
          } else if (kind === Kind.STRING) {
            map.setString(c, k, bytes(value));
            model.set(at, value);
          } else {
            map.setInteger(c, k, value.length);
            model.set(at, value.length);
          }
        }
        for (const [at, value] of model) {
          const [kind, collection, key] = JSON.parse(at) as [Kind, string, string];
          if (kind === Kind.STRING) expect(text(map.getString(bytes(collection), bytes(key)))).toBe(value);
          else expect(map.getInteger(bytes(collection), bytes(key))).toBe(value);
          expect(map.keys(kind, bytes(collection)).map(text)).toContain(key);
        }
        expect(map.size).toBe(model.size);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the lock of a map', () => {
  /** Those of a system that does not say which threads there are. */
  const unknown: ProcessThreads = { self: 1, hasEnded: () => undefined };
  /** Thread 1 of two, whose second lives until it is told. */
  const dead = new Set<number>();
  const known: ProcessThreads = { self: 1, hasEnded: (thread) => dead.has(thread) };
  const LOCK = 0;

  it('is taken over at once from a thread that has ended, with others waiting or none', () => {
    const memory = newSharedMemory();
    const map = new SharedMap(memory, 5000, known);
    dead.add(7);
    map.setInteger(C, C, 1);
    for (const isWaited of [0, 1]) {
      new Int32Array(memory)[LOCK] = 7 * 2 + isWaited;
      expect(map.addInteger(C, C, 1)).toBe(isWaited + 2);
      expect(new Int32Array(memory)[LOCK]).toBe(0);
    }
    // A thread that has the number of a dead one holds nothing.
    new Int32Array(memory)[LOCK] = 1 * 2;
    expect(map.addInteger(C, C, 1)).toBe(4);
  });

  it('is taken over after a while where nobody knows whether its thread has ended', () => {
    const memory = newSharedMemory();
    const map = new SharedMap(memory, 50, unknown);
    new Int32Array(memory)[LOCK] = 7 * 2;
    expect(map.addInteger(C, C, 1)).toBe(1);
    expect(new Int32Array(memory)[LOCK]).toBe(0);
  });

  it.runIf(process.platform === 'linux')(
    'is not taken from a thread that lives, however long it stands still',
    async () => {
      const memory = newSharedMemory();
      const words = new Int32Array(memory);
      const folder = new URL('../../../dist/src/app/', import.meta.url).href;
      const threads = async (program: string, data: unknown): Promise<Worker> => {
        const worker = new Worker(
          `Promise.all([import('${folder}shared-map.js'), import('${folder}process-threads.js')]).then(([{ SharedMap }, { processThreads }]) => {
          const { parentPort, workerData } = require('node:worker_threads');
          ${program}
        })`,
          { eval: true, workerData: data },
        );
        await new Promise((resolve) => worker.once('message', resolve));
        return worker;
      };
      // Holds the lock, and stands still.
      const holder = await threads(
        `const words = new Int32Array(workerData);
       words[${LOCK}] = processThreads().self * 2;
       parentPort.postMessage('holds');
       Atomics.wait(words, 60, 0);`,
        memory,
      );
      const held = words[LOCK]!;
      // It would be impatient after 50 ms, if it were a matter of time.
      const waiter = await threads(
        `parentPort.postMessage('waits');
       const map = new SharedMap(workerData, 50);
       parentPort.postMessage(map.addInteger(new Uint8Array(1), new Uint8Array(1), 1));`,
        memory,
      );
      const done = new Promise((resolve) => waiter.once('message', resolve));
      await vi.waitFor(() => {
        expect(words[LOCK]).toBe(held | 1);
      }, 10_000);
      for (let i = 0; i < 12; i++) {
        Atomics.wait(words, 61, 0, 10);
        expect(words[LOCK]).toBe(held | 1);
      }
      await holder.terminate();
      expect(await done).toBe(1);
      await waiter.terminate();
    },
  );

  it('of the users is taken from a thread that has ended, and from none that lives', () => {
    const memory = newSharedMemory();
    const map = new SharedMap(memory, 50, known);
    const other = new SharedMap(memory, 50, { self: 9, hasEnded: () => false });
    expect(other.lock(8)).toBe(-1);
    expect(map.lock(0)).toBe(8);
    expect(map.unlock()).toBe(false);
    dead.add(9);
    expect(map.lock(0)).toBe(-1);
    expect(map.lock(0)).toBe(0);
    expect(other.unlock()).toBe(false);
    expect(map.unlock()).toBe(true);
  });

  it('survives threads that are terminated in the middle of changes', async () => {
    const memory = newSharedMemory();
    const module = new URL('../../../dist/src/app/shared-map.js', import.meta.url).href;
    const program = `import(${JSON.stringify(module)}).then(({ SharedMap }) => {
      const { parentPort, workerData } = require('node:worker_threads');
      const map = new SharedMap(workerData, 100);
      const bytes = (text) => new TextEncoder().encode(text);
      parentPort.postMessage('runs');
      for (let i = 0; ; i++) {
        map.setString(bytes('c'), bytes('k' + (i % 50)), bytes('v'.repeat(i % 300)));
        if (i % 7 === 0) map.delete(1, bytes('c'), bytes('k' + (i % 50)));
        if (i % 5000 === 0) map.deleteCollection(1, bytes('c'));
      }
    })`;
    for (let round = 0; round < 20; round++) {
      const workers = [0, 1].map(() => new Worker(program, { eval: true, workerData: memory }));
      await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
      await new Promise((resolve) => setTimeout(resolve, round));
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    const map = new SharedMap(memory, 100);
    const keys = map.keys(Kind.STRING, C).map(text);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(text(map.getString(C, bytes(key!)))).toMatch(/^v{0,299}$/);
    map.setString(C, bytes('after'), bytes('all'));
    expect(text(map.getString(C, bytes('after')))).toBe('all');
  });
});
