import { expect, it } from 'vitest';
import { fits, frameHeaderLength, frameLengthAt } from '../../../src/bus/deflate-variants.ts';
import { writeHeader } from '../../../src/protocol/frame-header.ts';

it.each([0, 1, 125, 126, 65_535, 65_536, 70_000])(
  'the length of a frame with %d bytes is read from its header',
  (size) => {
    const frame = new Uint8Array(14 + size + 3);
    const end = writeHeader(frame, 3, 0x81, size);
    expect(frameHeaderLength(frame, 3)).toBe(end - 3);
    expect(frameLengthAt(frame, 3)).toBe(end - 3 + size);
  },
);

it('fits: any message suits the largest window, others only up to their size', () => {
  expect([fits(1e9, 15), fits(512, 9), fits(513, 9), fits(16_384, 14), fits(16_385, 14)]).toEqual([
    true,
    true,
    false,
    true,
    false,
  ]);
});
