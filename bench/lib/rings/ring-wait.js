// @ts-check

/** Looks in vain until a thread gives its processor away. */
const LOOKS = 200;
/** Ms for which it does. */
const NAP = 0.05;

const word = new Int32Array(new SharedArrayBuffer(4));

/**
 * One side of a ring that waits for the other: it looks again at once, and after many looks in vain gives its
 * processor away for a moment, in case the other side has none.
 */
export class RingWait {
  #looks = 0;

  /** There was nothing. */
  again() {
    if (++this.#looks < LOOKS) return;
    this.#looks = 0;
    Atomics.wait(word, 0, 0, NAP);
  }

  /** There was something. */
  done() {
    this.#looks = 0;
  }
}
