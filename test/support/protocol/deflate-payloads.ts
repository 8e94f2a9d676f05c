import { Random } from './chunked.ts';

/** Messages to compress, as those of the Autobahn test suite (cases 12 and 13) are made. */
export const PAYLOAD_KINDS = ['small JSON', 'long JSON', 'prose', 'many scripts', 'noise'] as const;
export type PayloadKind = (typeof PAYLOAD_KINDS)[number];

const WORDS =
  'the of and to in a is that for it as was with be by on not he his but at are this have from'.split(' ');
const SCRIPTS = 'aeiou éüößñ бдгжз אבגד 你好世界 👍🎉 ';

/** A message of about `size` bytes. Noise is binary, all others are text. */
export function payloadOf(kind: PayloadKind, size: number, seed: number): string | Uint8Array {
  const random = new Random(seed * 2654435761 + size);
  return MAKERS[kind](size, random);
}

const MAKERS: Record<PayloadKind, (size: number, random: Random) => string | Uint8Array> = {
  'small JSON': (size, random) =>
    fill(size, () => `{"id":${random.below(1e6)},"ok":${random.below(2) === 0},"tags":["a","b"]},`),
  'long JSON': (size, random) =>
    fill(
      size,
      () => `{"user":{"name":"user ${random.below(99)}","score":${random.below(1e9)}}, "list":[1,2,3]},\n`,
    ),
  prose: (size, random) => fill(size, () => `${WORDS[random.below(WORDS.length)]} `),
  'many scripts': (size, random) => {
    const points = Array.from(SCRIPTS);
    const text = fill(size, () => points[random.below(points.length)]!);
    return cutText(text, size);
  },
  noise: (size, random) => Uint8Array.from({ length: size }, () => random.below(256)),
};

function fill(size: number, next: () => string): string {
  const parts: string[] = [];
  for (let length = 0; length < size; ) {
    const part = next();
    parts.push(part);
    length += part.length;
  }
  return parts.join('').slice(0, size);
}

/** At most `size` bytes of UTF-8, cut between two code points. */
function cutText(text: string, size: number): string {
  const bytes = Buffer.from(text).subarray(0, size);
  return bytes.toString().replace(/�+$/u, '');
}
