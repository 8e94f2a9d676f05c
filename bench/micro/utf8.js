// @ts-check
import { isUtf8 } from 'node:buffer';

/** UTF-8 validation: whole texts of several lengths, and one that comes in pieces which cut its characters. */

const TEXTS = {
  ASCII: 'The quick brown fox. ',
  'two-byte': 'Ζαφείρι δέξου πάγκαλο, ',
  mixed: 'Übung 漢字 🚀 ok, ',
};
const BUFFER = 64 * 1024;

/** @typedef {typeof import('../../src/protocol/utf8.ts')} Utf8 */

/**
 * @param {keyof typeof TEXTS} kind
 * @param {number} size
 * @param {number} [pieces] that each text comes in
 * @returns {import('../lib/runs/micro-run.js').MicroCase}
 */
function validating(kind, size, pieces = 1) {
  const cut = pieces === 1 ? '' : `, in ${pieces} pieces`;
  return {
    name: `${kind}, ${size.toLocaleString('en-US')} B${cut}`,
    unit: 'B',
    prepare: async (load) => {
      /** @type {Utf8} */
      const { UTF8_ACCEPT, validateUtf8Fast } = await load('protocol/utf8.js');
      const bytes = textOf(TEXTS[kind], size);
      const rounds = Math.ceil(BUFFER / bytes.length);
      const step = Math.ceil(bytes.length / pieces);
      return () => {
        for (let round = 0; round < rounds; round++) {
          let state = UTF8_ACCEPT;
          for (let at = 0; at < bytes.length; at += step) {
            state = validateUtf8Fast({ isUtf8 }, state, bytes, at, Math.min(at + step, bytes.length));
          }
          if (state !== UTF8_ACCEPT) throw new Error('a valid text was refused');
        }
        return rounds * bytes.length;
      };
    },
  };
}

/**
 * A text of whole characters, as long as they go into `size` bytes.
 *
 * @param {string} text
 * @param {number} size
 */
function textOf(text, size) {
  const bytes = Buffer.from(text.repeat(Math.ceil(size / text.length)));
  let end = size;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'utf8',
  title: 'UTF-8 validation',
  cases: [
    validating('ASCII', 20),
    validating('ASCII', 1024),
    validating('two-byte', 20),
    validating('two-byte', 1024),
    validating('mixed', 20),
    validating('mixed', 1024),
    validating('mixed', 65_536, 50),
  ],
};
