import { describe } from 'vitest';
import { type ConformanceCase, conformance, fails } from '../support/protocol/conformance.ts';
import { type FrameSpec, last, pattern, ping, text, textStart } from '../support/protocol/frame-bytes.ts';

/** RFC 6455 §5.2: 3 to 7 are reserved for data frames, B to F for control frames; any fails the connection. */
const RESERVED = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];

function cases(opcode: number): ConformanceCase[] {
  const frame = (size: number, more: Partial<FrameSpec> = {}): FrameSpec => ({
    opcode,
    payload: pattern(size),
    ...more,
  });
  return [
    fails('alone and empty', [frame(0)], 1002),
    fails('with payload', [frame(33)], 1002),
    fails('with 126 bytes', [frame(126)], 1002),
    fails('with 65536 bytes', [frame(65536)], 1002),
    fails('with 1 GiB declared', [frame(5, { declaredLength: 2n ** 30n })], 1002),
    fails('with 2^63 declared', [frame(5, { declaredLength: 2n ** 63n })], 1002),
    fails('without FIN', [frame(3, { fin: false })], 1002),
    fails('behind a text', [text('Hello'), frame(0), ping('never')], 1002, [text('Hello')]),
    fails('with payload behind a text', [text('Hello'), frame(33), ping('never')], 1002, [text('Hello')]),
    fails('inside of a message', [textStart('a'), frame(1), last('b')], 1002),
  ];
}

describe.each(RESERVED)('Reserved opcode %d', (opcode) => {
  conformance('§5.2', cases(opcode));
});
