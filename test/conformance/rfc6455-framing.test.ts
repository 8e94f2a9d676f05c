import { describe } from 'vitest';
import { type ConformanceCase, conformance, echoes, fails } from '../support/protocol/conformance.ts';
import {
  asciiPattern,
  binary,
  binaryStart,
  concat,
  type FrameSpec,
  hex,
  more,
  pattern,
  text,
} from '../support/protocol/frame-bytes.ts';

/** RFC 6455 §5.2 and §5.6: every length encoding, text and binary. */
const SIZES = [0, 1, 2, 124, 125, 126, 127, 128, 129, 65535, 65536];

describe('Framing', () => {
  conformance('§5.6 text messages', [
    ...SIZES.map((size) => echoes(`${size} bytes`, [text(asciiPattern(size))])),
    echoes('65536 bytes in chops of 997', [text(asciiPattern(65536))], { chops: [997] }),
    echoes('several in a row', [text('a'), text(), text('b'), text(asciiPattern(300)), text('c')]),
  ]);

  conformance('§5.6 binary messages', [
    ...SIZES.map((size) => echoes(`${size} bytes`, [binary(pattern(size))])),
    echoes('65536 bytes in chops of 997', [binary(pattern(65536))], { chops: [997] }),
    echoes('65536 bytes in chops of 1, 2, 3, 5 and 4096', [binary(pattern(65536))], {
      chops: [1, 2, 3, 5, 4096],
    }),
    echoes('all byte values', [binary(Uint8Array.from({ length: 256 }, (_, i) => i))]),
  ]);

  conformance('§5.2 the minimal number of bytes encodes the length', nonMinimal());
  conformance('§5.2 lengths beyond every limit', tooLong());
  conformance('§5.1 the mask bit belongs to the role', wronglyMasked());
});

function nonMinimal(): ConformanceCase[] {
  const lengths: readonly (readonly [number, 16 | 64])[] = [
    [0, 16],
    [5, 16],
    [125, 16],
    [0, 64],
    [5, 64],
    [125, 64],
    [126, 64],
    [65535, 64],
  ];
  return lengths.map(([length, lengthBits]) =>
    fails(`${length} in ${lengthBits} bits`, [{ ...binary(pattern(length)), lengthBits }], 1002),
  );
}

/** Lengths at which an arithmetic of 31, 32, 53, 63 or 64 bits goes wrong, and the verdict on them. */
const HUGE: readonly (readonly [bigint, number])[] = [
  [2n ** 31n - 1n, 1009],
  [2n ** 31n, 1009],
  [2n ** 31n + 1n, 1009],
  [2n ** 32n - 1n, 1009],
  [2n ** 32n, 1009],
  [2n ** 32n + 5n, 1009],
  [2n ** 53n - 1n, 1009],
  [2n ** 53n, 1009],
  [2n ** 53n + 1n, 1009],
  [2n ** 63n - 1n, 1009],
  [2n ** 63n, 1002],
  [2n ** 63n + 5n, 1002],
  [2n ** 64n - 1n, 1002],
];

function tooLong(): ConformanceCase[] {
  return HUGE.flatMap(([length, code]) => [
    fails(`${length} declared`, [declaring(length, binary(pattern(20)))], code),
    fails(
      `${length} declared by a continuation of one byte`,
      [binaryStart(hex('61')), declaring(length, more(hex('62')))],
      code,
    ),
  ]);
}

function declaring(declaredLength: bigint, frame: FrameSpec): FrameSpec {
  return { ...frame, lengthBits: 64, declaredLength };
}

function wronglyMasked(): ConformanceCase[] {
  const firstBytes: readonly (readonly [string, number])[] = [
    ['a text', 0x81],
    ['a binary message', 0x82],
    ['the start of a text', 0x01],
    ['a Close', 0x88],
    ['a ping', 0x89],
    ['a pong', 0x8a],
  ];
  return firstBytes.flatMap(([name, first]) =>
    [0, 5, 125, 126].map((length) =>
      fails(`${name} of length code ${length}`, [text('ok')], 1002, [text('ok')], {
        bytes: (maskBit) => concat(Uint8Array.of(first, length + 0x80 - maskBit), pattern(12)),
      }),
    ),
  );
}
