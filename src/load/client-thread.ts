import type { EventLoopUtilization } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { workerOptions } from '../worker-options.ts';
import { LoadCounters } from './counters.ts';
import type { FromThread, ThreadData, ThreadDetails, ToThread } from './thread-message.ts';

/** The entry point of a client thread, in the build: threads start from compiled files only. */
const ENTRY = new URL('../../workers/load-client.js', import.meta.url);

/** ClientThread: one client thread as the main thread sees it. Its promises reject when the thread dies. */
export class ClientThread {
  readonly counters: LoadCounters;
  /** Its connections are open, as far as they could be opened. */
  readonly ready: Promise<void>;
  /** It has reached its amount. */
  readonly finished: Promise<void>;
  readonly #worker: Worker;
  readonly #stopped: Promise<readonly number[]>;
  readonly #done: Promise<ThreadDetails>;
  #utilization: EventLoopUtilization | undefined;

  constructor(data: Omit<ThreadData, 'memory'>) {
    this.counters = new LoadCounters(data.share.connections);
    const workerData: ThreadData = { ...data, memory: this.counters.memory };
    // Its own standard output would go through this thread.
    const worker = new Worker(ENTRY, { ...workerOptions(), workerData, name: 'millrace load' });
    this.#worker = worker;
    const ready = new Answer<void>();
    const finished = new Answer<void>();
    const stopped = new Answer<readonly number[]>();
    const done = new Answer<ThreadDetails>();
    worker.on('message', (message: FromThread) => {
      if (message.type === 'ready') ready.resolve();
      else if (message.type === 'finished') finished.resolve();
      else if (message.type === 'stopped') stopped.resolve(message.published);
      else done.resolve(message.details);
    });
    const fail = (error: Error): void => {
      for (const answer of [ready, finished, stopped, done]) answer.reject(error);
    };
    worker.on('error', fail);
    worker.on('exit', (code) => {
      fail(new Error(`A client thread ended with ${code}`));
    });
    this.ready = ready.promise;
    this.finished = finished.promise;
    this.#stopped = stopped.promise;
    this.#done = done.promise;
  }

  start(): void {
    this.#send({ type: 'start' });
  }

  /** From now on its event loop is watched. */
  watch(): void {
    this.#utilization = this.#worker.performance.eventLoopUtilization();
  }

  /** The share of the time since `watch` that it was busy, 0 to 1. */
  busy(): number {
    return this.#worker.performance.eventLoopUtilization(this.#utilization).utilization;
  }

  /** It sends nothing more. Resolves with what its publishers have published. */
  stop(): Promise<readonly number[]> {
    this.#send({ type: 'stop' });
    return this.#stopped;
  }

  /** It waits for what is on its way, and closes. @param limit ms */
  drain(limit: number, published: readonly number[]): Promise<ThreadDetails> {
    this.#send({ type: 'drain', limit, published });
    return this.#done;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }
}

/** A promise that is settled from outside. Nobody has to wait for it. */
class Answer<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => undefined);
  }
}
