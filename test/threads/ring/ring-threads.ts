import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** RING_SOAK_SECONDS: tests that end when enough has happened go on for so long, too. */
export const SOAK_SECONDS = Number(process.env['RING_SOAK_SECONDS'] ?? 0);

/** Memory for the words of Control, all 0. */
export function createControl(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(64));
}

export function startWorker(fixture: string, workerData: object): Worker {
  return new Worker(new URL(`../fixtures/${fixture}`, import.meta.url), { workerData });
}

/** Resolves with the exit code; rejects when the worker fails. */
export async function exitOf(worker: Worker): Promise<number> {
  const [code] = (await once(worker, 'exit')) as [number];
  return code;
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
