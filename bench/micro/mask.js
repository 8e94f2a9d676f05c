// @ts-check
/** Masking in place: the memory of one receive buffer, payloads of several lengths at places of any alignment. */

const BUFFER = 256 * 1024;
const KEY = 0x5ac3_196d;

/** @typedef {typeof import('../../src/protocol/mask.ts')} Mask */

/**
 * @param {import('../lib/runs/micro-run.js').Load} load
 * @param {number} length
 * @param {(mask: Mask, bytes: Buffer, offset: number) => number} treat
 * @returns {Promise<() => number>} which returns the bytes
 */
async function sweep(load, length, treat) {
  /** @type {Mask} */
  const mask = await load('protocol/mask.js');
  const bytes = Buffer.alloc(BUFFER, 'The quick brown fox jumps over the lazy dog. ');
  const count = Math.floor(BUFFER / length);
  let seen = 0;
  return () => {
    for (let i = 0; i < count; i++) seen |= treat(mask, bytes, i * length);
    if (seen === 0) throw new Error('no byte was looked at');
    return count * length;
  };
}

/** @param {number} length */
const masking = (length) => ({
  name: `mask, ${length.toLocaleString('en-US')} B`,
  unit: 'B',
  /** @param {import('../lib/runs/micro-run.js').Load} load */
  prepare: (load) =>
    sweep(load, length, ({ applyMask, wordsOf }, bytes, offset) =>
      applyMask(bytes, wordsOf(bytes), offset, length, KEY),
    ),
});

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'mask',
  title: 'Masking in place',
  cases: [
    ...[7, 20, 125, 1021, 16_384, 262_144].map(masking),
    {
      name: 'ASCII of an unmasked payload, 125 B',
      unit: 'B',
      prepare: (load) =>
        sweep(load, 125, ({ orBytes, wordsOf }, bytes, offset) =>
          orBytes(bytes, wordsOf(bytes), offset, 125),
        ),
    },
  ],
};
