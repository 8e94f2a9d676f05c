// @ts-check

let state = 0x2545f491;

/**
 * Computes for a while.
 *
 * @param {number} rounds
 */
export function burn(rounds) {
  let x = state;
  for (let i = 0; i < rounds; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  // Kept, so that the loop is not optimized away.
  state = x;
}
