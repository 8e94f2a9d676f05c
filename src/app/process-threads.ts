import { existsSync, readlinkSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

/** Threads of this process as one of them sees them. */
export interface ProcessThreads {
  /** This thread, 1 to 2^29. */
  readonly self: number;
  /** Whether the thread has ended; undefined where nobody knows. */
  hasEnded(thread: number): boolean | undefined;
}

/** By the system's numbers, which it takes out of `/proc` when a thread is gone, however that ended (Linux). */
class SystemThreads implements ProcessThreads {
  readonly self: number;

  constructor(self: number) {
    this.self = self;
  }

  hasEnded(thread: number): boolean {
    return !existsSync(folderOf(thread));
  }
}

/** By the numbers of Node.js, which does not say whether there is a thread of a number. */
class NodeThreads implements ProcessThreads {
  readonly self = threadId + 1;

  hasEnded(): undefined {
    return undefined;
  }
}

/** The threads of this process. */
export function processThreads(): ProcessThreads {
  try {
    // 1234/task/1240
    const number = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (Number.isInteger(number) && number > 0 && existsSync(folderOf(number))) {
      return new SystemThreads(number);
    }
  } catch {
    // No such file system.
  }
  return new NodeThreads();
}

function folderOf(thread: number): string {
  return `/proc/self/task/${thread}`;
}
