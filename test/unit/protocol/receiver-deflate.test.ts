import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME_HEADROOM } from '../../../src/protocol/frame-parser.ts';
import type { DeflateParams } from '../../../src/protocol/permessage-deflate.ts';
import { byteByByte, chunksOf, twoWayCuts } from '../../support/protocol/chunked.ts';
import { ALONE, HISTORY, messageDeflate } from '../../support/protocol/deflate.ts';
import { deflated, HELLO, RSV1 } from '../../support/protocol/deflated.ts';
import {
  binary,
  concat,
  type FrameSpec,
  frameBytes,
  hex,
  last,
  more,
  ping,
  SAMPLE_KEY,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { eventOf, framesBytes } from '../../support/protocol/frame-reader.ts';
import { ReceiverBench } from './receiver-bench.ts';

const MAX = 4096;

function benchOf(params: DeflateParams): ReceiverBench {
  const bench = new ReceiverBench({ maxPayloadLength: MAX });
  bench.state.deflate = messageDeflate(params);
  return bench;
}

/** What comes of the frames, which must be the same however they are cut. */
function eventsOf(frames: readonly FrameSpec[], params = ALONE): string[] {
  const input = framesBytes(frames, SAMPLE_KEY);
  const whole = benchOf(params);
  whole.feed(input);
  expect(whole.pool.lentBytes).toBe(whole.state.message.joined?.length ?? 0);
  const cuts =
    input.length < 200 ? [...twoWayCuts(input.length).map((cut) => [cut]), byteByByte(input.length)] : [];
  for (const cut of cuts) {
    const bench = benchOf(params);
    for (const chunk of chunksOf(input, cut)) bench.feed(chunk);
    expect(bench.events).toEqual(whole.events);
  }
  return whole.events;
}

describe.each([
  ['without history', ALONE],
  ['with history', HISTORY],
])('Receiver and compressed messages, %s', (_name, params) => {
  it.each<[string, FrameSpec[], string[]]>([
    ['a message', [text(HELLO, RSV1)], ['text Hello']],
    ['a binary message', [binary(HELLO, RSV1)], ['binary Hello']],
    [
      'plain and compressed ones in turn',
      [text('a'), text(HELLO, RSV1), text('b'), binary(HELLO, RSV1), text('c')],
      ['text a', 'text Hello', 'text b', 'binary Hello', 'text c'],
    ],
    ['an empty one', [text(hex('00'), RSV1), text('', RSV1), text('')], ['text ', 'text ', 'text ']],
    [
      'one in fragments, with a ping between',
      [
        { ...textStart(HELLO.subarray(0, 2)), ...RSV1 },
        ping('?'),
        more(HELLO.subarray(2, 3)),
        last(HELLO.subarray(3)),
      ],
      ['ping ?', 'text Hello'],
    ],
    [
      'fragments without a byte',
      [{ ...textStart(), ...RSV1 }, more(), more(HELLO), last(), text('b')],
      ['text Hello', 'text b'],
    ],
    ['fragments of nothing', [{ ...textStart(), ...RSV1 }, last(), text('b')], ['text ', 'text b']],
    [
      'a plain message in fragments after it',
      [text(HELLO, RSV1), textStart('a'), last('b')],
      ['text Hello', 'text ab'],
    ],
    ['text that is UTF-8', [text(deflated('ünïcödé ✓'), RSV1)], [eventOf('text', Buffer.from('ünïcödé ✓'))]],
    ['binary that is not', [binary(deflated(hex('ff fe 00')), RSV1)], [eventOf('binary', hex('ff fe 00'))]],
    [
      'text that is not UTF-8 after inflation',
      [text(deflated(hex('61 ff 62')), RSV1), text('b')],
      ['error 1007'],
    ],
    [
      'text that ends within a code point',
      [
        { ...textStart(deflated(hex('61 c3')).subarray(0, 2)), ...RSV1 },
        last(deflated(hex('61 c3')).subarray(2)),
      ],
      ['error 1007'],
    ],
    ['garbage', [text(hex('ff'), RSV1), text('b')], ['error 1007 in inflation']],
    [
      'garbage in fragments',
      [{ ...textStart(hex('06')), ...RSV1 }, last(hex('ff'))],
      ['error 1007 in inflation'],
    ],
    ['a continuation with RSV1', [textStart('a'), { ...last('b'), ...RSV1 }], ['error 1002']],
    [
      'a continuation of a compressed one with RSV1',
      [
        { ...textStart('a'), ...RSV1 },
        { ...last('b'), ...RSV1 },
      ],
      ['error 1002'],
    ],
    ['a ping with RSV1', [ping('', RSV1)], ['error 1002']],
    ['RSV2', [text('', { rsv: 2 })], ['error 1002']],
    ['RSV1 and RSV3', [text(HELLO, { rsv: 5 })], ['error 1002']],
  ])('%s', (_case, frames, events) => {
    expect(eventsOf(frames, params)).toEqual(events);
  });

  it('takes a message of the longest length and refuses one byte more, in one frame and in many', () => {
    for (const [length, events] of [
      [MAX, [eventOf('binary', new Uint8Array(MAX))]],
      [MAX + 1, ['error 1009 in inflation']],
    ] as const) {
      const payload = deflated(new Uint8Array(length));
      expect(eventsOf([binary(payload, RSV1)], params)).toEqual(events);
      const pieces = [...payload].map((byte) => more(Uint8Array.of(byte)));
      expect(eventsOf([{ ...binary(hex(''), RSV1), fin: false }, ...pieces, last()], params)).toEqual(events);
    }
  });

  it('takes a message of the longest length that compression made longer', () => {
    const noise = Uint8Array.from({ length: MAX }, (_, i) => (i * i * 7919) >> 5);
    // Stored in small blocks.
    const payload = concat(
      ...Array.from({ length: MAX / 64 }, (_, i) =>
        concat(hex('00 40 00 bf ff'), noise.subarray(i * 64, i * 64 + 64)),
      ),
      hex('00'),
    );
    expect(payload.length).toBeGreaterThan(MAX + 300);
    expect(eventsOf([binary(payload, RSV1)], params)).toEqual([eventOf('binary', noise)]);
  });

  it('refuses by its header a frame that cannot be a message within the limit', () => {
    const bench = benchOf(params);
    const declaredLength = BigInt(MAX + MAX / 8 + 65);
    bench.feed(frameBytes({ ...binary(hex(''), RSV1), declaredLength }, SAMPLE_KEY));
    expect(bench.events).toEqual(['error 1009']);
    const plain = benchOf(params);
    plain.feed(frameBytes({ ...binary(), declaredLength: BigInt(MAX + 1) }, SAMPLE_KEY));
    expect(plain.events).toEqual(['error 1009']);
  });

  it('holds twice the limit of a compressed message, and 4 KiB, whatever it is cut into', () => {
    for (const maxPayloadLength of [1024, 16 * 1024]) {
      const bench = new ReceiverBench({ maxPayloadLength, maxFragments: 131_072 });
      bench.state.deflate = messageDeflate(params);
      bench.feedFrames({ ...binary(hex('')), fin: false, rsv: 4 });
      // Empty stored blocks: they make no message longer.
      const frame = framesBytes([more(hex('000000ffff 000000ffff 000000ffff'))], SAMPLE_KEY);
      let most = 0;
      for (let sent = 0; sent < 100_000 && bench.events.length === 0; sent++) {
        bench.feed(frame);
        most = Math.max(most, bench.state.message.length);
      }
      expect(bench.events).toEqual(['error 1009']);
      expect(most).toBeLessThan(2.125 * maxPayloadLength + 4096 + 64);
      expect(bench.pool.lentBytes).toBe(0);
    }
  });

  it('moves a compressed message that outgrows the limit into other memory a few times only', () => {
    const bench = new ReceiverBench({ maxPayloadLength: MAX, maxFragments: 131_072 });
    bench.state.deflate = messageDeflate(params);
    let moves = 0;
    // As the pool does with the longest messages: memory made to measure.
    bench.pool.take = (size) => {
      moves++;
      return new Uint8Array(size);
    };
    bench.pool.give = () => {};
    bench.feedFrames({ ...binary(hex('')), fin: false, rsv: 4 });
    const frame = framesBytes([more(hex('000000ffff 000000ffff'))], SAMPLE_KEY);
    while (bench.state.message.length < 2 * MAX) bench.feed(frame);
    expect(moves).toBeLessThan(6);
  });

  it('survives a handler that brings another compressed message about', () => {
    const bench = benchOf(params);
    const other = benchOf(params);
    other.state.deflate = bench.state.deflate;
    bench.before = () => {
      bench.before = null;
      other.feed(framesBytes([text(deflated('other'), RSV1)], SAMPLE_KEY));
    };
    bench.feed(framesBytes([text(HELLO, RSV1), text(deflated('again'), RSV1)], SAMPLE_KEY));
    expect(bench.events).toEqual(['text Hello', 'text again']);
    expect(other.events).toEqual(['text other']);
  });

  it('comes to the same however any messages are cut into frames and chunks', () => {
    const messages = fc.array(
      fc.record({ content: fc.uint8Array({ maxLength: 60 }), isCompressed: fc.boolean(), pieces: fc.nat(3) }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(messages, fc.array(fc.nat(400), { maxLength: 12 }), (list, cuts) => {
        const frames: FrameSpec[] = [];
        for (const { content, isCompressed, pieces } of list) {
          const payload = isCompressed ? deflated(content) : content;
          const size = Math.ceil(payload.length / (pieces + 1));
          for (let i = 0; i <= pieces; i++) {
            frames.push({
              opcode: i === 0 ? 2 : 0,
              payload: payload.subarray(i * size, (i + 1) * size),
              fin: i === pieces,
              rsv: i === 0 && isCompressed ? 4 : 0,
            });
          }
        }
        const input = framesBytes(frames, SAMPLE_KEY);
        const bench = benchOf(params);
        const inside = [...new Set(cuts)].filter((cut) => cut < input.length).sort((a, b) => a - b);
        for (const chunk of chunksOf(input, inside))
          bench.feed(chunk, cuts.length % 2 === 0 ? FRAME_HEADROOM : 0);
        expect(bench.events).toEqual(list.map(({ content }) => eventOf('binary', content)));
        expect(bench.pool.lentBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
