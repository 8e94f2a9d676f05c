/** Different messages of a connection, until they repeat. */
const MOST_VARIANTS = 64;
/** Memory that the variants of one size may take together, in bytes, as long as there are two. */
const VARIANTS_MEMORY = 256 * 1024;

const TEXT = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_';

/**
 * The payloads that a connection sends in turn. They differ from each other (as far as so few bytes can), so that a
 * reply that is lost, doubled or out of order is found, and are the same in every run.
 */
export function payloadsOf(size: number, binary: boolean): Uint8Array[] {
  const count = Math.min(MOST_VARIANTS, Math.max(2, Math.floor(VARIANTS_MEMORY / Math.max(size, 1))));
  return Array.from({ length: count }, (_, variant) => payloadOf(variant, size, binary));
}

/** Bytes without a pattern that would hide a shift (xorshift32). */
function payloadOf(variant: number, size: number, binary: boolean): Uint8Array {
  const payload = new Uint8Array(size);
  let state = Math.imul(variant + 1, 0x9e37_79b1) ^ 0x2545_f491;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    payload[i] = binary ? state & 255 : TEXT.charCodeAt(state & 63);
  }
  return payload;
}
