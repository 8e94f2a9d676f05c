// @ts-check

/** Records that differ in more than their number. */
const RECORDS = 64;

/**
 * Records of one length with pseudo-random bytes. The first word is left for the record's number; `sums` has the sum
 * of all other words of each, in 32 bits.
 *
 * @param {number} length a multiple of 4
 */
export function ringRecords(length) {
  /** @type {Uint8Array[]} */
  const records = [];
  const sums = new Int32Array(RECORDS);
  let state = 0x2545f491;
  for (let i = 0; i < RECORDS; i++) {
    const words = new Int32Array(length / 4);
    for (let j = 1; j < words.length; j++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[j] = state;
      sums[i] = (sums[i] ?? 0) + state;
    }
    records.push(new Uint8Array(words.buffer));
  }
  return { records, sums };
}

/** @param {number} number of a record, 32 bits */
export const recordIndex = (number) => number & (RECORDS - 1);
