import { describe } from 'vitest';
import { type ConformanceCase, conformance, fails, stays } from '../support/protocol/conformance.ts';
import {
  binary,
  binaryStart,
  close,
  concat,
  type FrameSpec,
  hex,
  last,
  more,
  pattern,
  ping,
  pong,
  text,
  textStart,
} from '../support/protocol/frame-bytes.ts';

/** RFC 6455 §5.4 and §5.5. */
describe('Fragmentation', () => {
  conformance('§5.5 control frames are not fragmented', [
    fails('a ping in two', [{ ...ping('frag'), fin: false }, last('ment')], 1002),
    fails('a pong in two', [{ ...pong('frag'), fin: false }, last('ment')], 1002),
    fails('a Close in two', [{ ...close(1000), fin: false }, last('ment')], 1002),
    fails('an empty ping without FIN', [{ ...ping(), fin: false }], 1002),
    fails('a ping in two inside of a message', [textStart('a'), { ...ping('x'), fin: false }], 1002),
  ]);

  conformance('§5.4 a message in fragments', [
    stays('two', [textStart('frag'), last('ment')], [text('fragment')]),
    stays(
      'two with a ping between',
      [textStart('frag'), ping('p'), last('ment')],
      [pong('p'), text('fragment')],
    ),
    stays(
      'five with two pings between',
      [textStart('1'), more('2'), ping('one'), more('3'), more('4'), ping('two'), last('5')],
      [pong('one'), pong('two'), text('12345')],
    ),
    stays(
      'five with a ping and a pong before each',
      [textStart('1'), ...['2', '3', '4'].flatMap((part) => [ping(part), pong('x'), more(part)]), last('5')],
      [pong('2'), pong('3'), pong('4'), text('12345')],
    ),
    stays('binary', [binaryStart(hex('00ff')), more(hex('80')), last(hex('c0'))], [binary(hex('00ff80c0'))]),
    stays('all empty', [textStart(), more(), last()], [text()]),
    stays('empty around one', [binaryStart(), more(pattern(9)), last()], [binary(pattern(9))]),
    stays(
      'two messages',
      [textStart('a'), last('b'), binaryStart(hex('01')), last(hex('02'))],
      [text('ab'), binary(hex('0102'))],
    ),
    stays(
      'a whole message behind a fragmented one',
      [textStart('a'), last('b'), text('c')],
      [text('ab'), text('c')],
    ),
    stays(
      'fragments of every size class',
      [binaryStart(pattern(125)), more(pattern(126)), more(pattern(127)), last(pattern(700))],
      [joined(125, 126, 127, 700)],
    ),
    stays('300 fragments of one byte', bytesAsFragments(pattern(300)), [binary(pattern(300))]),
  ]);

  conformance('§5.4 a continuation continues something', [
    fails('the last of nothing', [last('non'), text('never')], 1002),
    fails('the last of nothing, empty', [last()], 1002),
    fails('one in the middle of nothing', [more('non'), text('never')], 1002),
    fails('behind a whole message', [text('a'), last('b')], 1002, [text('a')]),
    fails(
      'behind a fragmented message, in the middle',
      [textStart('frag'), last('ment'), more('non'), text('never')],
      1002,
      [text('fragment')],
    ),
    fails(
      'behind a fragmented message, the last',
      [textStart('frag'), last('ment'), last('non'), text('never')],
      1002,
      [text('fragment')],
    ),
    fails(
      'in the middle, before a fragmented message, twice',
      [more('x'), textStart('frag'), last('ment'), more('x'), textStart('frag'), last('ment')],
      1002,
    ),
    fails(
      'the last, before a fragmented message, twice',
      [last('x'), textStart('frag'), last('ment'), last('x'), textStart('frag'), last('ment')],
      1002,
    ),
    fails('behind a ping', [ping('p'), last('x')], 1002, [pong('p')]),
  ]);

  conformance('§5.4 nothing else starts inside of a message', [
    fails('a text in a text', [textStart('a'), text('b')], 1002),
    fails('a binary in a text', [textStart('a'), binary(hex('62'))], 1002),
    fails('a text in a binary', [binaryStart(hex('61')), text('b')], 1002),
    fails('another start', [textStart('a'), textStart('b')], 1002),
    fails('behind a continuation', [textStart('a'), more('b'), text('c')], 1002),
    fails('behind a ping', [textStart('a'), ping('p'), text('c')], 1002, [pong('p')]),
    fails('behind an empty start', [textStart(), text()], 1002),
  ]);

  conformance('§5.4 every way to cut a message into three', threeFragments());
});

function joined(...sizes: readonly number[]): FrameSpec {
  return binary(concat(...sizes.map((size) => pattern(size))));
}

function bytesAsFragments(payload: Uint8Array): FrameSpec[] {
  return Array.from(payload, (byte, i) => ({
    opcode: i === 0 ? 2 : 0,
    payload: Uint8Array.of(byte),
    fin: i === payload.length - 1,
  }));
}

function threeFragments(): ConformanceCase[] {
  const whole = 'fragment';
  const cases: ConformanceCase[] = [];
  for (let one = 0; one <= whole.length; one++) {
    for (let two = one; two <= whole.length; two++) {
      const frames = [textStart(whole.slice(0, one)), more(whole.slice(one, two)), last(whole.slice(two))];
      cases.push(stays(`at ${one} and ${two}`, frames, [text(whole)]));
    }
  }
  return cases;
}
