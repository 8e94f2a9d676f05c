// @ts-check
/** Values that JavaScript callers pass, by the name they have in the ids of probes. */

/** In place of a number. `N` stands for one that fits. */
export const numbersLike = (/** @type {number} */ n) => ({
  text: String(n),
  'text with spaces': ` ${n} `,
  fraction: n + 0.7,
  null: null,
  undefined: undefined,
  true: true,
  word: 'abc',
  'empty text': '',
  NaN: Number.NaN,
  object: {},
});

/** In place of a flag. */
export const FLAG_LIKE = { 1: 1, 0: 0, null: null, text: 'yes', 'empty text': '' };

/** In place of a message or a text. */
export const TEXT_LIKE = {
  undefined: undefined,
  null: null,
  number: 5,
  true: true,
  object: {},
  array: ['a'],
  ArrayBuffer: new Uint8Array([97, 98]).buffer,
  'Uint8Array with an offset': new Uint8Array([97, 98, 99]).subarray(1),
  Buffer: Buffer.from('buf'),
  Int16Array: new Int16Array([0x6261, 0x6463]),
  Float64Array: new Float64Array([0]),
  DataView: new DataView(new Uint8Array([97, 98, 99]).buffer, 1),
  SharedArrayBuffer: new SharedArrayBuffer(2),
  'a String object': new String('abc'),
};

/**
 * A probe for each value.
 *
 * @template T @param {string} what @param {Record<string, T>} values
 * @param {(t: import('./tools.js').Tools, value: T) => unknown} probe
 */
export function forEach(what, values, probe) {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      `${what}: ${name}`,
      (/** @type {import('./tools.js').Tools} */ t) => probe(t, value),
    ]),
  );
}
