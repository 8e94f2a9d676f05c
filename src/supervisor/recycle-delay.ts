/** Recycles that follow one another at once. */
const FREE = 2;
/** Ms until the next one then, which doubles each time. */
const FIRST_DELAY = 60_000;
const LAST_DELAY = 3_600_000;
/** Ms after which a shard may be recycled again at once. */
const LONG_RUN = 600_000;

/**
 * How soon a shard whose heap is full may be replaced: at once, unless that did not help the last times, as the heap was
 * soon full again. To close all its connections over and over would help nobody.
 */
export class RecycleDelay {
  #notBefore = Number.NEGATIVE_INFINITY;
  #streak = 0;

  /** Ms from `now` (of a monotonic clock) until the shard may be replaced; 0: now. */
  until(now: number): number {
    return Math.max(this.#notBefore - now, 0);
  }

  /** The shard is replaced now. */
  recycled(now: number): void {
    this.#streak = now - this.#notBefore < LONG_RUN ? this.#streak + 1 : 1;
    const late = this.#streak - FREE;
    this.#notBefore = now + (late < 0 ? 0 : Math.min(FIRST_DELAY * 2 ** late, LAST_DELAY));
  }
}
