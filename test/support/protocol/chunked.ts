/** Ways to cut an input into the chunks it arrives in. A cut is a position between two bytes. */

export function chunksOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let start = 0;
  for (const cut of [...cuts, bytes.length]) {
    chunks.push(bytes.subarray(start, cut));
    start = cut;
  }
  return chunks;
}

/** A cut behind each byte. */
export function byteByByte(length: number): number[] {
  return Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
}

/** Inputs up to this length are cut in two at every place. */
const EXHAUSTIVE = 2048;

/** Every way to cut in two; of a long input the places near both ends and a sample of those between. */
export function twoWayCuts(length: number): number[] {
  if (length <= EXHAUSTIVE) return byteByByte(length);
  const cuts: number[] = [];
  for (let i = 1; i <= 20; i++) cuts.push(i, length - i);
  for (let i = 1; i < 12; i++) cuts.push(Math.floor((length * i) / 12));
  return cuts.toSorted((a, b) => a - b);
}

/** Ascending cuts, about one every `mean` bytes; some chunks are empty. */
export function randomCuts(length: number, mean: number, random: Random): number[] {
  const cuts: number[] = [];
  for (let at = random.below(2 * mean); at < length; at += random.below(2 * mean)) cuts.push(at);
  return cuts;
}

/** A small generator of random numbers that gives the same ones for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }
}
