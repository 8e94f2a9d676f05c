import { MessageChannel, receiveMessageOnPort, type Transferable, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { FromShard, ShardData, ToShard } from '../shard/control-message.ts';
import { END_TIMEOUT, isFulfilled, within } from '../shard/timeout.ts';
import { workerOptions } from '../worker-options.ts';

/** The entry point of a shard's thread, in the build: workers start from compiled files only. */
const SHARD_ENTRY = new URL('../../workers/shard.cjs', import.meta.url);

/** One instance of a shard: from the start of its task until it was drained or crashed. */
export interface ShardInstance {
  post(message: ToShard, transfer?: readonly Transferable[]): void;
  /** Resolves when the shard was drained, rejects when its thread ended otherwise. */
  readonly ended: Promise<void>;
}

/**
 * ShardPool: the thread of a shard. The shard is a task that does not end; when its thread dies the task is rejected
 * and the pool makes a new thread, on which the shard can be started anew. A shard that is reloaded changes pools, as
 * what a thread has imported it never forgets.
 */
export class ShardPool {
  readonly #pool: Piscina<ShardData, void>;
  /** Instances that no thread has taken up yet. */
  readonly #waiting = new Set<AbortController>();
  /** Every thread of the pool that is not gone, one that it has given up already included. */
  readonly #threads = new Map<Worker, Promise<void>>();
  /** Why the thread was ended by force, and the promise of its end. */
  #cause: unknown;
  #destroyed: Promise<void> | null = null;

  /** @param maxHeapSize MiB of its heap; 0: as many as Node.js gives it */
  constructor(maxHeapSize: number) {
    this.#pool = new Piscina({
      ...workerOptions(),
      filename: SHARD_ENTRY.href,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 1,
      // The default would put a thread's event loop to sleep between tasks, sockets and all.
      atomics: 'disabled',
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
      ...(maxHeapSize === 0 ? {} : { resourceLimits: { maxOldGenerationSizeMb: maxHeapSize } }),
    });
    // Crashes are told by the task's rejection. This is a thread that could not even start, for want of descriptors
    // or memory: the pool would leave its task waiting for ever.
    this.#pool.on('error', (error: unknown) => {
      this.#abandon(error);
    });
    this.#noteThreads();
  }

  /** Watches the threads that the pool has made since the last call. It makes one when another fails or ends. */
  #noteThreads(): void {
    for (const thread of this.#pool.threads) {
      if (this.#threads.has(thread)) continue;
      // The pool's listeners come first: what it makes of the event is seen in these.
      const gone = new Promise<void>((resolve) => {
        thread.on('exit', (code) => {
          this.#threads.delete(thread);
          this.#noteThreads();
          resolve();
          // The pool says nothing of a thread that ended while it started, and makes no other.
          if (this.#pool.threads.length === 0 && this.#pool.queueSize > 0) {
            this.#abandon(new Error(`its thread exited with code ${code} before it ran anything`));
          }
        });
      });
      thread.on('error', () => {
        this.#noteThreads();
      });
      this.#threads.set(thread, gone);
    }
  }

  /** Ends the instances that no thread will take up. */
  #abandon(cause: unknown): void {
    for (const instance of this.#waiting) instance.abort(cause);
  }

  start(data: Omit<ShardData, 'port'>, onMessage: (message: FromShard) => void): ShardInstance {
    const { port1, port2 } = new MessageChannel();
    const waiting = new AbortController();
    const { signal } = waiting;
    this.#waiting.add(waiting);
    port1.on('message', (message: FromShard) => {
      this.#waiting.delete(waiting);
      onMessage(message);
    });
    const ended = this.#run({ ...data, port: port2 }, signal).finally(() => {
      this.#waiting.delete(waiting);
      // The end can overtake the last messages, which say why.
      for (let last = receiveMessageOnPort(port1); last !== undefined; last = receiveMessageOnPort(port1)) {
        onMessage(last.message as FromShard);
      }
      port1.close();
    });
    return {
      post: (message, transfer = []) => {
        port1.postMessage(message, transfer);
      },
      ended,
    };
  }

  async #run(data: ShardData, signal: AbortSignal): Promise<void> {
    try {
      const done = this.#pool.run(data, { transferList: [data.port] as never, signal });
      // The pool makes a thread if it has none.
      this.#noteThreads();
      await done;
    } catch (error) {
      // The next instance must be the only one: the thread is gone first. A thread that failed may still be ending.
      await (this.#destroyed ?? within(this.#forgotten(), END_TIMEOUT));
      throw signal.aborted ? signal.reason : (this.#cause ?? error);
    }
  }

  /** Resolves when the threads are gone that the pool does not count as its own any more. */
  async #forgotten(): Promise<void> {
    const own = this.#pool.threads;
    await Promise.all([...this.#threads].filter(([thread]) => !own.includes(thread)).map(([, gone]) => gone));
  }

  /** The pool was ended by force, and starts no instance any more. */
  get isDestroyed(): boolean {
    return this.#destroyed !== null;
  }

  /** Ends the thread, whatever it does, and its instance with `cause`. Resolves when it is gone. */
  destroy(cause?: Error): Promise<void> {
    this.#cause ??= cause;
    // Once at a time: a second call to the pool would take the end of the thread for a crash, and start another.
    this.#destroyed ??= this.#end();
    return this.#destroyed;
  }

  async #end(): Promise<void> {
    const isGone = await isFulfilled(this.#empty(), END_TIMEOUT);
    if (isGone) return;
    // The thread runs no JavaScript any more.
    console.error(
      `millrace: the thread of a shard was ended and is not gone after ${END_TIMEOUT / 1000} s: it is in native code, such as ` +
        'a synchronous call of node:child_process. What it holds is released when that returns.',
    );
  }

  /**
   * Ends the pool's threads. It forgets a thread as soon as that fails, and takes the exit, if it comes later, for one more
   * crash, even when it was destroyed meanwhile: then it makes another thread. So it is empty when all have exited.
   */
  async #empty(): Promise<void> {
    do {
      await this.#pool.destroy();
      await Promise.all(this.#threads.values());
    } while (this.#threads.size > 0);
  }
}
