/** What became of a publish. One object for all of a thread's: it is true until the next. */
export interface PublishResult {
  /** Sockets and exact listeners of this thread that get it. */
  local: number;
  /** Threads in whose rings it is. */
  written: number;
  /** Threads for which it waits, all or some of it, because their rings have no room. */
  queued: number;
  /** Threads that will not get it: too much waits for them already, it is too long, or they are gone. */
  dropped: number;
  /** The topic has a subscriber, in this thread or another. */
  isHeard: boolean;
}

export function noResult(): PublishResult {
  return { local: 0, written: 0, queued: 0, dropped: 0, isHeard: false };
}

export function clearResult(result: PublishResult): void {
  result.local = 0;
  result.written = 0;
  result.queued = 0;
  result.dropped = 0;
  result.isHeard = false;
}
