/** Crashes of a thread that are followed by a new start at once, as long as they come within WINDOW. */
const FREE_CRASHES = 5;
/** Ms a crash counts. */
const WINDOW = 40_000;
const FIRST_DELAY = 1000;
/** The longest delay of a shard: others serve meanwhile. */
const LAST_DELAY = 30_000;

/** How long a thread that crashed is given rest: not at all at first, then ever longer, instead of a whole core. */
export class RestartDelay {
  readonly #last: number;
  #crashes: number[] = [];

  /** @param last the longest delay, in ms */
  constructor(last = LAST_DELAY) {
    this.#last = last;
  }

  /** The thread crashed at `now` (ms of a monotonic clock). Returns the ms until it may be started anew. */
  next(now: number): number {
    this.#crashes = this.#crashes.filter((at) => now - at < WINDOW);
    this.#crashes.push(now);
    const extra = this.#crashes.length - FREE_CRASHES;
    return extra <= 0 ? 0 : Math.min(FIRST_DELAY * 2 ** (extra - 1), this.#last);
  }
}
