/** Different messages of a connection, until they repeat. */
const MOST_VARIANTS = 64;
/** Memory that the variants of one size may take together, in bytes, as long as there are two. */
const VARIANTS_MEMORY = 256 * 1024;

const TEXT = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_';

/** Random bytes, random letters, or records of the kind that compress well. */
export type PayloadKind = 'bytes' | 'text' | 'records';

/**
 * The payloads that a connection sends in turn. They differ from each other (as far as so few bytes can), so that a
 * reply that is lost, doubled or out of order is found, and are the same in every run.
 */
export function payloadsOf(size: number, kind: PayloadKind): Uint8Array[] {
  const count = Math.min(MOST_VARIANTS, Math.max(2, Math.floor(VARIANTS_MEMORY / Math.max(size, 1))));
  return Array.from({ length: count }, (_, variant) => {
    return kind === 'records' ? recordsOf(variant, size) : randomOf(variant, size, kind);
  });
}

/** Without a pattern that would hide a shift (xorshift32). */
function randomOf(variant: number, size: number, kind: PayloadKind): Uint8Array {
  const payload = new Uint8Array(size);
  let state = seedOf(variant);
  for (let i = 0; i < size; i++) {
    state = next(state);
    payload[i] = kind === 'bytes' ? state & 255 : TEXT.charCodeAt(state & 63);
  }
  return payload;
}

/** The start of a list of records in JSON. */
function recordsOf(variant: number, size: number): Uint8Array {
  let state = seedOf(variant);
  let text = '';
  for (let id = variant; text.length < size; id++) {
    state = next(state);
    const price = ((state >>> 8) % 100_000) / 100;
    text += `{"id":${id},"symbol":"MILL","side":"${(state & 1) === 0 ? 'buy' : 'sell'}","price":${price},"amount":${state & 127}},`;
  }
  return Buffer.from(text.slice(0, size));
}

function seedOf(variant: number): number {
  return Math.imul(variant + 1, 0x9e37_79b1) ^ 0x2545_f491;
}

function next(state: number): number {
  let value = state;
  value ^= value << 13;
  value ^= value >>> 17;
  value ^= value << 5;
  return value;
}
