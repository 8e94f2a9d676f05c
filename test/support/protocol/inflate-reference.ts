/** A slow and obvious decompressor of DEFLATE streams, written from RFC 1951, that notes how far back they refer. */
export interface Inflated {
  readonly bytes: number[];
  /** The longest distance used. */
  readonly farthest: number;
}

/** Decompresses all blocks of `input`, which ends at a block's end. `history` is what came before it. */
export function inflateSlowly(input: Uint8Array, history: readonly number[] = []): Inflated {
  const out = [...history];
  let bit = 0;
  let farthest = 0;
  const take = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++, bit++) {
      if (bit >= input.length * 8) throw new Error('the stream is cut');
      value |= ((input[bit >> 3]! >> (bit & 7)) & 1) << i;
    }
    return value;
  };
  const symbol = (codes: ReadonlyMap<string, number>): number => {
    let code = '';
    for (;;) {
      code += take(1);
      const found = codes.get(code);
      if (found !== undefined) return found;
      if (code.length > 15) throw new Error('there is no such code');
    }
  };
  while (bit < input.length * 8) {
    const isFinal = take(1) === 1;
    const type = take(2);
    if (type === 3) throw new Error('the block type is reserved');
    if (type === 0) {
      bit = Math.ceil(bit / 8) * 8;
      const length = take(16);
      if (take(16) !== 0xffff - length) throw new Error('the lengths do not match');
      for (let i = 0; i < length; i++) out.push(take(8));
    } else {
      const [literals, distances] = type === 1 ? [FIXED, FIXED_DISTANCES] : readCodes(take, symbol);
      for (let value = symbol(literals); value !== 256; value = symbol(literals)) {
        if (value < 256) {
          out.push(value);
          continue;
        }
        const length = LENGTHS[value - 257]! + take(LENGTH_BITS[value - 257]!);
        const code = symbol(distances);
        const distance = DISTANCES[code]! + take(DISTANCE_BITS[code]!);
        if (distance > out.length) throw new Error('the distance is too far');
        farthest = Math.max(farthest, distance);
        for (let i = 0; i < length; i++) out.push(out[out.length - distance]!);
      }
    }
    if (isFinal) break;
  }
  return { bytes: out.slice(history.length), farthest };
}

function readCodes(
  take: (count: number) => number,
  symbol: (codes: ReadonlyMap<string, number>) => number,
): [ReadonlyMap<string, number>, ReadonlyMap<string, number>] {
  const [literals, distances, codes] = [take(5) + 257, take(5) + 1, take(4) + 4];
  const lengths = new Array<number>(19).fill(0);
  for (let i = 0; i < codes; i++) lengths[ORDER[i]!] = take(3);
  const table = huffman(lengths);
  const all: number[] = [];
  while (all.length < literals + distances) {
    const value = symbol(table);
    if (value < 16) all.push(value);
    else if (value === 16) all.push(...new Array<number>(take(2) + 3).fill(all[all.length - 1]!));
    else all.push(...new Array<number>(value === 17 ? take(3) + 3 : take(7) + 11).fill(0));
  }
  return [huffman(all.slice(0, literals)), huffman(all.slice(literals))];
}

/** RFC 1951 §3.2.2. */
function huffman(lengths: readonly number[]): Map<string, number> {
  const codes = new Map<string, number>();
  let code = 0;
  for (let length = 1; length <= 15; length++) {
    code *= 2;
    for (const [value, own] of lengths.entries()) {
      if (own === length) codes.set((code++).toString(2).padStart(length, '0'), value);
    }
  }
  return codes;
}

const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const FIXED = huffman([
  ...new Array<number>(144).fill(8),
  ...new Array<number>(112).fill(9),
  ...new Array<number>(24).fill(7),
  ...new Array<number>(8).fill(8),
]);
const FIXED_DISTANCES = huffman(new Array<number>(30).fill(5));
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const LENGTHS = [...sums(3, LENGTH_BITS.slice(0, 28)), 258];
const DISTANCE_BITS = [0, 0, ...Array.from({ length: 28 }, (_, i) => i >> 1)];
const DISTANCES = sums(1, DISTANCE_BITS);

/** First values of codes that each cover 2^bits values. */
function sums(first: number, bits: readonly number[]): number[] {
  let next = first;
  return bits.map((count) => {
    const value = next;
    next += 2 ** count;
    return value;
  });
}
