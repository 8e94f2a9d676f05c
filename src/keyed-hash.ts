import { randomInt } from 'node:crypto';

/** Two random words: who chooses what is hashed must not be able to choose where it lands. */
export type HashKey = readonly [number, number];

export function newHashKey(): HashKey {
  return [randomInt(2 ** 32) | 0, randomInt(2 ** 32) | 0];
}

const FINISH = 0xff;

/**
 * HalfSipHash-2-4 of 32 bits: SipHash of Aumasson and Bernstein in 32-bit words. A plain hash with a random start (FNV-1a)
 * would not do: its lowest bit is that of its start and the parity of the input, and two shards are chosen by just that.
 */
export class KeyedHash {
  readonly #key: HashKey;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;

  constructor(key: HashKey) {
    this.#key = key;
  }

  /** Hash of a text's UTF-16 code units, 32 bits without a sign. */
  text(text: string): number {
    this.#start();
    const { length } = text;
    let i = 0;
    for (; i + 1 < length; i += 2) this.#word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
    return this.#finish(2 * length, i < length ? text.charCodeAt(i) : 0);
  }

  /** Hash of two words, 32 bits without a sign. */
  words(first: number, second: number): number {
    this.#start();
    this.#word(first);
    this.#word(second);
    return this.#finish(8, 0);
  }

  #start(): void {
    const [k0, k1] = this.#key;
    this.#v0 = k0;
    this.#v1 = k1;
    this.#v2 = 0x6c79_6765 ^ k0;
    this.#v3 = 0x7465_6462 ^ k1;
  }

  #word(word: number): void {
    this.#v3 ^= word;
    this.#round();
    this.#round();
    this.#v0 ^= word;
  }

  #finish(bytes: number, rest: number): number {
    this.#word(((bytes & 255) << 24) | rest);
    this.#v2 ^= FINISH;
    for (let i = 0; i < 4; i++) this.#round();
    return (this.#v1 ^ this.#v3) >>> 0;
  }

  #round(): void {
    let v0 = (this.#v0 + this.#v1) | 0;
    let v1 = rotated(this.#v1, 5) ^ v0;
    let v2 = (this.#v2 + this.#v3) | 0;
    let v3 = rotated(this.#v3, 8) ^ v2;
    v0 = (rotated(v0, 16) + v3) | 0;
    v3 = rotated(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotated(v1, 13) ^ v2;
    v2 = rotated(v2, 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
