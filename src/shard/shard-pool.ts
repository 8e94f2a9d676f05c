import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { FromShard, ShardData, ToShard } from './control-message.ts';

/** The entry point of a shard's thread, in the build: workers start from compiled files only. */
const SHARD_ENTRY = new URL('../../workers/shard.js', import.meta.url);

/** One life of a shard: from the start of its task until it was drained or crashed. */
export interface ShardLife {
  post(message: ToShard, transfer?: readonly MessagePort[]): void;
  /** Resolves when the shard was drained, rejects when its thread ended otherwise. */
  readonly ended: Promise<void>;
}

/**
 * ShardPool: the threads. A shard is a task that does not end, one to a thread; when its thread dies the task
 * is rejected and the pool makes a new thread, on which the shard can be started anew.
 */
export class ShardPool {
  readonly #pool: Piscina<ShardData, void>;

  constructor(threads: number) {
    this.#pool = new Piscina({
      filename: SHARD_ENTRY.href,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 1,
      // The default would put a thread's event loop to sleep between tasks, sockets and all.
      atomics: 'disabled',
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
    });
    // Crashes are told by the task's rejection.
    this.#pool.on('error', ignore);
  }

  start(data: Omit<ShardData, 'port'>, onMessage: (message: FromShard) => void): ShardLife {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', onMessage);
    const ended = this.#pool.run({ ...data, port: port2 }, { transferList: [port2] as never }).finally(() => {
      port1.close();
    });
    return {
      post: (message, transfer = []) => {
        port1.postMessage(message, transfer);
      },
      ended,
    };
  }

  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}

function ignore(): void {}
