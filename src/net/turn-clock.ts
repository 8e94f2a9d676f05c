/** Counts turns of the event loop, for as long as somebody has asked lately. */
export class TurnClock {
  now = 0;
  #ahead = 0;
  #isTicking = false;

  /** Counts at least the next two turns. */
  tick(): void {
    this.#ahead = 2;
    if (this.#isTicking) return;
    this.#isTicking = true;
    setImmediate(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.now++;
    this.#ahead--;
    this.#isTicking = this.#ahead > 0;
    if (this.#isTicking) setImmediate(this.#onTurn);
  };
}
