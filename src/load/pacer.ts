/** Pacer: how many messages are due at a fixed rate. */
export class Pacer {
  readonly #perMs: number;
  readonly #startedAt: number;
  #issued = 0;

  /** @param rate messages a second */
  constructor(rate: number, now: number) {
    this.#perMs = rate / 1000;
    this.#startedAt = now;
  }

  /** Messages that have become due since the last call. */
  due(now: number): number {
    const total = Math.floor((now - this.#startedAt) * this.#perMs);
    const count = Math.max(0, total - this.#issued);
    this.#issued += count;
    return count;
  }
}
