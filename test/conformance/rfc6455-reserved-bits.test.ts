import { describe } from 'vitest';
import { type ConformanceCase, conformance, fails } from '../support/protocol/conformance.ts';
import {
  binary,
  close,
  type FrameSpec,
  last,
  more,
  ping,
  pong,
  text,
  textStart,
} from '../support/protocol/frame-bytes.ts';

/** RFC 6455 §5.2: RSV1, RSV2, RSV3 MUST be 0 unless an extension that defines them was negotiated. */
const COMBINATIONS = [1, 2, 3, 4, 5, 6, 7];

const FRAMES: readonly (readonly [string, FrameSpec])[] = [
  ['an empty text', text()],
  ['a text', text('Hello')],
  ['a binary message', binary(Uint8Array.of(1, 2, 3))],
  ['the start of a text', textStart('Hello')],
  ['a ping', ping('Hello')],
  ['an empty ping', ping()],
  ['a pong', pong('Hello')],
  ['a Close', close(1000)],
  ['an empty Close', close()],
  ['a reserved opcode', { opcode: 3, payload: new Uint8Array(0) }],
];

function cases(rsv: number): ConformanceCase[] {
  const marked = (frame: FrameSpec): FrameSpec => ({ ...frame, rsv });
  const alone = FRAMES.map(([name, frame]) => fails(`on ${name}`, [marked(frame)], 1002));
  const behindText = FRAMES.map(([name, frame]) =>
    fails(`on ${name} between a text and a ping`, [text('ok'), marked(frame), ping('never')], 1002, [
      text('ok'),
    ]),
  );
  return [
    ...alone,
    ...behindText,
    fails('on the last continuation', [textStart('a'), marked(last('b'))], 1002),
    fails('on a continuation in the middle', [textStart('a'), marked(more('b')), last('c')], 1002),
    fails('on a ping inside of a message', [textStart('a'), marked(ping()), last('c')], 1002),
    fails('on a text that declares 1 GiB', [{ ...marked(text('x')), declaredLength: 2n ** 30n }], 1002),
  ];
}

describe.each(COMBINATIONS)('Reserved bits %d', (rsv) => {
  conformance('§5.2', cases(rsv));
});
