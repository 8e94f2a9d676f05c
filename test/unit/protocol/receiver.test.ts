import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../../src/protocol/buffer-pool.ts';
import { Receiver, type ReceiverLimits, ReceiverState } from '../../../src/protocol/receiver.ts';
import { byteByByte, chunksOf, Random, randomCuts, twoWayCuts } from '../../support/protocol/chunked.ts';
import { messageDeflate } from '../../support/protocol/deflate.ts';
import { utf8Port } from '../../support/protocol/endpoint.ts';
import {
  asciiPattern,
  binary,
  binaryStart,
  bytesOf,
  close,
  concat,
  type FrameSpec,
  frameBytes,
  hex,
  last,
  more,
  pattern,
  ping,
  pong,
  SAMPLE_KEY,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { eventOf, framesBytes } from '../../support/protocol/frame-reader.ts';
import { ReceiverBench } from './receiver-bench.ts';

const MIB = 1024 * 1024;

function eventsOf(
  frames: readonly FrameSpec[],
  limits: Partial<ReceiverLimits> = {},
  cuts: readonly number[] = [],
): string[] {
  const bench = new ReceiverBench(limits);
  for (const chunk of chunksOf(framesBytes(frames, SAMPLE_KEY), cuts)) bench.feed(chunk);
  expect(bench.pool.lentBytes > 0).toBe(bench.state.message.joined !== null);
  return bench.events;
}

/** The same events in one chunk, byte by byte and cut in two anywhere. */
function expectEvents(
  frames: readonly FrameSpec[],
  events: readonly string[],
  limits: Partial<ReceiverLimits> = {},
): void {
  const length = framesBytes(frames, SAMPLE_KEY).length;
  const ways = [[], ...twoWayCuts(length).map((cut) => [cut])];
  if (length < 200_000) ways.push(byteByByte(length));
  for (const cuts of ways) {
    const got = eventsOf(frames, limits, cuts);
    if (got.join('|') !== events.join('|')) expect(got, `cuts ${cuts.slice(0, 3).join()}`).toEqual(events);
  }
}

describe('Receiver and fragmentation', () => {
  it('joins the frames of a message', () => {
    expectEvents([textStart('a'), more('b'), last('c')], ['text abc']);
    expectEvents(
      [binaryStart(pattern(40)), last(pattern(100, 2))],
      [eventOf('binary', concat(pattern(40), pattern(100, 2)))],
    );
  });

  it('joins empty fragments in every place', () => {
    expectEvents([textStart(), last()], ['text ']);
    expectEvents([binaryStart(), last()], ['binary ']);
    expectEvents([textStart(), more(), last()], ['text ']);
    expectEvents([textStart('a'), more(), last('b')], ['text ab']);
    expectEvents([textStart(), last('b')], ['text b']);
    expectEvents([textStart('a'), last()], ['text a']);
    expectEvents([textStart(), ...Array.from({ length: 10 }, () => more()), last('a')], ['text a']);
  });

  it('takes an empty message in one frame', () => {
    expectEvents([text(), binary()], ['text ', 'binary ']);
  });

  it('starts anew behind each message, fragmented or not', () => {
    expectEvents(
      [textStart('a'), last('b'), binaryStart(hex('ff')), last(hex('fe')), text('c'), textStart('d'), last()],
      ['text ab', 'binary \xff\xfe', 'text c', 'text d'],
    );
  });

  it('hands on control frames between fragments at once', () => {
    expectEvents(
      [textStart('a'), ping('1'), more('b'), pong('2'), last('c'), ping('3')],
      ['ping 1', 'pong 2', 'text abc', 'ping 3'],
    );
    expectEvents([textStart('a'), close(1000)], ['close \x03\xe8']);
  });

  it('fails a continuation without a start', () => {
    expectEvents([last('a')], ['error 1002']);
    expectEvents([more('a')], ['error 1002']);
    expectEvents([text('x'), last('a')], ['text x', 'error 1002']);
    expectEvents([textStart('a'), last('b'), last('c')], ['text ab', 'error 1002']);
    expectEvents([textStart(), last(), more()], ['text ', 'error 1002']);
  });

  it('fails a new message inside of a fragmented one', () => {
    expectEvents([textStart('a'), text('b')], ['error 1002']);
    expectEvents([textStart('a'), textStart('b')], ['error 1002']);
    expectEvents([textStart(), binary()], ['error 1002']);
    expectEvents([binaryStart(hex('01')), more(), binaryStart()], ['error 1002']);
  });

  it('fails it as soon as the header shows it', () => {
    const bench = new ReceiverBench();
    bench.feed(concat(frameBytes(textStart('a'), SAMPLE_KEY), hex('8185')));
    expect(bench.events).toEqual(['error 1002']);
  });

  it('takes the RSV1 bit of an extension on the first frame only', () => {
    const compressed = { rsv: 4 };
    const bench = new ReceiverBench();
    bench.state.deflate = messageDeflate();
    bench.feedFrames({ ...textStart(hex('f2 48')), ...compressed });
    expect(bench.state.message.rsv1).toBe(true);
    bench.feedFrames(last(hex('cd c9 c9 07 00')));
    expect(bench.state.message.rsv1).toBe(false);
    bench.feedFrames(textStart('c'));
    expect(bench.state.message.rsv1).toBe(false);
    expect(bench.events).toEqual(['text Hello']);
    expectEvents(
      [
        { ...textStart('a'), ...compressed },
        { ...last('b'), ...compressed },
      ],
      ['error 1002'],
    );
    expectEvents([textStart('a'), { ...more('b'), ...compressed }], ['error 1002']);
  });

  it('gives the same messages for random fragments and cuts', () => {
    const random = new Random(11);
    for (let run = 0; run < 300; run++) {
      const payload = bytesOf(asciiPattern(random.below(400)).replaceAll('a', 'ä').replaceAll('b', '𝒳'));
      const parts = chunksOf(payload, randomCuts(payload.length, 1 + random.below(60), random));
      const frames = parts.map(
        (part, i): FrameSpec => ({ opcode: i === 0 ? 1 : 0, payload: part, fin: i === parts.length - 1 }),
      );
      const length = framesBytes(frames, SAMPLE_KEY).length;
      const cuts = randomCuts(length, 1 + random.below(80), random);
      expect(eventsOf(frames, {}, cuts)).toEqual([eventOf('text', payload)]);
    }
  });
});

/** A text of `count` bytes in as many frames. */
function fragmented(count: number): FrameSpec[] {
  return [textStart('x'), ...Array.from({ length: count - 2 }, () => more('x')), last('x')];
}

describe('Receiver and its limits', () => {
  it.each([1, 125, 126, 1000, 65536])('takes a message of %d bytes at that limit, not one more', (limit) => {
    const limits = { maxPayloadLength: limit };
    const exact = pattern(limit);
    const over = pattern(limit + 1);
    expectEvents([binary(exact.subarray(1))], [eventOf('binary', exact.subarray(1))], limits);
    expectEvents([binary(exact), text('x')], [eventOf('binary', exact), 'text x'], limits);
    expectEvents([binary(over)], ['error 1009'], limits);
  });

  it.each([2, 3, 7, 64, 1000])('counts %d fragments of a message together', (count) => {
    const limits = { maxPayloadLength: 1000, maxFragments: 1000 };
    for (const length of [999, 1000, 1001]) {
      const payload = pattern(length);
      const size = Math.ceil(length / count);
      const cuts = Array.from({ length: count - 1 }, (_, i) => Math.min(length, (i + 1) * size));
      const parts = chunksOf(payload, cuts);
      const frames: FrameSpec[] = parts.flatMap((part, i) => [
        { opcode: i === 0 ? 2 : 0, payload: part, fin: i === count - 1 },
        ping('p'),
      ]);
      const got = eventsOf(frames, limits).filter((event) => event !== 'ping p');
      expect(got).toEqual(length <= 1000 ? [eventOf('binary', payload)] : ['error 1009']);
    }
  });

  it('counts each message for itself', () => {
    const limits = { maxPayloadLength: 4 };
    expectEvents(
      [textStart('ab'), last('cd'), text('efgh'), textStart('ijk'), last('l')],
      ['text abcd', 'text efgh', 'text ijkl'],
      limits,
    );
  });

  it('fails an overlong message at its header, before any of the payload', () => {
    const bench = new ReceiverBench({ maxPayloadLength: 200 });
    bench.feed(hex('82fe00c9'));
    expect(bench.events).toEqual(['error 1009']);
    const fragmented = new ReceiverBench({ maxPayloadLength: 4 });
    fragmented.feed(concat(frameBytes(textStart('ab'), SAMPLE_KEY), hex('8083')));
    expect(fragmented.events).toEqual(['error 1009']);
  });

  it.each([
    '0020000000000000',
    '001fffffffffffff',
    '7fffffffffffffff',
    '0000000100000000',
    '0000000080000001',
  ])('cannot be talked into a wrong sum by the length %s', (length) => {
    for (const first of ['', '028137fa213d00']) {
      const bench = new ReceiverBench({ maxPayloadLength: 2 ** 31 });
      bench.feed(hex(`${first}${first === '' ? '82' : '80'}ff${length}`));
      expect(bench.events).toEqual(['error 1009']);
      expect(bench.pool.lentBytes).toBe(0);
    }
  });

  it('keeps a sum exact at the largest limit there is', () => {
    const bench = new ReceiverBench({ maxPayloadLength: Number.MAX_SAFE_INTEGER });
    bench.feed(concat(frameBytes(binaryStart(pattern(1)), SAMPLE_KEY), hex('00ff001ffffffffffffe37fa213d')));
    expect(bench.events).toEqual([]);
    bench.receiver.release(bench.state);
    bench.parser.release(bench.state);
    bench.feed(concat(frameBytes(binaryStart(pattern(1)), SAMPLE_KEY), hex('00ff001fffffffffffff')));
    expect(bench.events).toEqual(['error 1009']);
  });

  it.each([2, 3, 10])('takes %d fragments at that limit, not one more', (limit) => {
    const limits = { maxFragments: limit };
    const message = `text ${'x'.repeat(limit)}`;
    expectEvents([...fragmented(limit), ...fragmented(limit)], [message, message], limits);
    expectEvents(fragmented(limit + 1), ['error 1008'], limits);
    expectEvents([textStart('x'), ...Array.from({ length: limit }, () => more('x'))], ['error 1008'], limits);
  });

  it('counts empty fragments, and control frames between them not', () => {
    const limits = { maxFragments: 5 };
    const empty = Array.from({ length: 3 }, () => more());
    const pings = Array.from({ length: 20 }, () => ping());
    expectEvents([textStart(), ...empty, ...pings, last()], [...pings.map(() => 'ping '), 'text '], limits);
    expectEvents([textStart(), ...empty, more(), last()], ['error 1008'], limits);
  });

  it('does not count the pieces a frame arrives in', () => {
    const bench = new ReceiverBench({ maxFragments: 2 });
    const input = framesBytes([binaryStart(pattern(50)), last(pattern(50))], SAMPLE_KEY);
    for (const chunk of chunksOf(input, byteByByte(input.length))) bench.feed(chunk);
    expect(bench.events).toEqual([eventOf('binary', concat(pattern(50), pattern(50)))]);
  });

  it('puts the size before the count when both are exceeded', () => {
    expectEvents([textStart('a'), more('b'), more('c')], ['error 1009'], {
      maxFragments: 2,
      maxPayloadLength: 2,
    });
  });
});

describe('Receiver and UTF-8', () => {
  const INVALID = ['c0af', 'c3', 'e282', 'f09f98', 'eda080', 'f4908080', 'ff', '80', 'e08080', 'c328'];

  it.each(INVALID)('fails the text %s with 1007, however it arrives', (digits) => {
    for (const around of [
      ['', ''],
      ['abc', ''],
      ['', 'xyz'],
      ['ä'.repeat(40), 'ß'.repeat(40)],
    ]) {
      const payload = concat(bytesOf(around[0]!), hex(digits), bytesOf(around[1]!));
      expectEvents([text(payload), text('never')], ['error 1007']);
      for (const cut of byteByByte(payload.length)) {
        const frames = [textStart(payload.subarray(0, cut)), last(payload.subarray(cut))];
        expect(eventsOf([...frames, text('never')])).toEqual(['error 1007']);
      }
    }
  });

  it('does not look at binary messages', () => {
    for (const digits of INVALID) {
      const payload = hex(digits);
      const event = eventOf('binary', payload);
      expectEvents([binary(payload), binaryStart(payload), last()], [event, event]);
    }
  });

  it('takes a code point that is cut by fragments, pieces and control frames', () => {
    const payload = bytesOf('a€𝒳é');
    for (const one of byteByByte(payload.length)) {
      for (const two of byteByByte(payload.length).filter((cut) => cut >= one)) {
        const frames = [
          textStart(payload.subarray(0, one)),
          ping('p'),
          more(payload.subarray(one, two)),
          more(),
          last(payload.subarray(two)),
        ];
        expectEvents(frames, ['ping p', eventOf('text', payload)]);
      }
    }
  });

  it('fails a text that ends inside of a code point, also by an empty last fragment', () => {
    expectEvents([textStart(hex('e282')), last()], ['error 1007']);
    expectEvents([textStart(hex('e2')), last(hex('82'))], ['error 1007']);
    expectEvents([textStart(hex('e2')), last('a')], ['error 1007']);
    expectEvents([textStart(hex('e2')), more('a')], ['error 1007']);
    expectEvents([textStart(hex('e2')), more(), last(hex('82ac'))], ['text \xe2\x82\xac']);
  });

  it('forgets the code point of a message that failed or was dropped', () => {
    const bench = new ReceiverBench();
    bench.feedFrames(textStart(hex('e282')));
    bench.receiver.release(bench.state);
    bench.feedFrames(text('ok'), textStart('o'), last('k'));
    expect(bench.events).toEqual(['text ok', 'text ok']);
  });

  it('fails at the first impossible byte, in a frame and a message that are still arriving', () => {
    const whole = new ReceiverBench();
    const declared = concat(hex('81ff0000000000010000'), Uint8Array.from(SAMPLE_KEY));
    const head = frameBytes(text(concat(bytesOf('a'.repeat(60)), hex('f490'))), SAMPLE_KEY).subarray(6);
    whole.feed(declared);
    for (let i = 0; i < head.length; i++) {
      expect(whole.events).toEqual([]);
      whole.feed(head.subarray(i, i + 1));
    }
    expect(whole.events).toEqual(['error 1007']);

    const fragmented = new ReceiverBench();
    fragmented.feedFrames(textStart(hex('cebae1bdb9cf83cebcceb5f4')));
    expect(fragmented.events).toEqual([]);
    fragmented.feed(frameBytes(more(hex('90')), SAMPLE_KEY));
    expect(fragmented.events).toEqual(['error 1007']);
  });

  it('finds a bad byte at every place of a long text that arrives in one chunk or in pieces', () => {
    for (let at = 0; at < 300; at += 7) {
      const payload = bytesOf('€'.repeat(100));
      payload[at] = 0xff;
      for (const cuts of [[], [6 + 4], [150], [100, 101, 250]]) {
        expect(eventsOf([text(payload)], {}, cuts)).toEqual(['error 1007']);
      }
    }
  });
});

describe('Receiver and memory', () => {
  it('hands on a message in one frame where it lies, without memory of its own', () => {
    const bench = new ReceiverBench();
    const memory = framesBytes([text('Hello'), binary(pattern(300))], SAMPLE_KEY);
    bench.parser.parse(bench.state, memory, 0, memory.length);
    expect(bench.memory).toBe(memory);
    expect(bench.pool.takes).toBe(0);
  });

  it('takes memory by what arrived, never by what was declared', () => {
    const bench = new ReceiverBench({ maxPayloadLength: 2 ** 40 });
    bench.feed(concat(hex('82ff000000ffffffffff'), Uint8Array.from(SAMPLE_KEY)));
    expect(bench.pool.takes).toBe(0);
    bench.feed(hex('00'));
    expect(bench.pool.lentBytes).toBe(1024);
    let arrived = 1;
    for (const size of [1023, 1, 1000, 5000, 20_000, 100_000]) {
      bench.feed(pattern(size));
      arrived += size;
      expect(bench.pool.lentBytes).toBeGreaterThanOrEqual(arrived);
      // Four times, in the next larger size of the pool.
      expect(bench.pool.lentBytes).toBeLessThan(8 * arrived);
    }
    bench.receiver.release(bench.state);
    expect(bench.pool.lentBytes).toBe(0);
  });

  it('takes what a frame needs at once when a quarter of it arrived', () => {
    const bench = new ReceiverBench({ maxPayloadLength: 2 ** 20 });
    const frame = framesBytes([binary(pattern(65_536))], SAMPLE_KEY);
    const quarter = frame.length - 3 * 16_384;
    for (let at = 0; at < frame.length; at += quarter) {
      bench.feed(frame.slice(at, at + quarter));
      if (at + quarter < frame.length) expect(bench.pool.lentBytes).toBe(65_536);
    }
    expect(bench.pool.takes).toBe(1);
    expect(bench.events).toEqual([eventOf('binary', pattern(65_536))]);
  });

  it('takes no memory for empty fragments', () => {
    const bench = new ReceiverBench();
    bench.feedFrames(textStart(), more(), more());
    expect(bench.pool.takes).toBe(0);
    bench.feedFrames(last());
    expect(bench.events).toEqual(['text ']);
    expect(bench.pool.takes).toBe(0);
  });

  it('grows a few times only, whatever the size of the pieces', () => {
    for (const size of [1, 33, 1000]) {
      const bench = new ReceiverBench({ maxPayloadLength: 2 ** 40, maxFragments: 2 ** 30 });
      const piece = frameBytes(more(pattern(size)), SAMPLE_KEY);
      bench.feedFrames(binaryStart(pattern(size)));
      for (let i = 1; i < 5000; i++) bench.feed(piece);
      expect(bench.pool.takes).toBeLessThan(15);
      expect(bench.pool.lentBytes).toBeLessThanOrEqual(Math.max(1024, 2 * 5000 * size));
    }
  });

  it('grows a few times only above the largest size the pool keeps', () => {
    const sizes: number[] = [];
    const pool = new BufferPool(0, (size) => {
      sizes.push(size);
      return memoryless(size);
    });
    const limits = { maxPayloadLength: 500 * MIB, maxFragments: 10 };
    const receiver = new Receiver<ReceiverState>(limits, new ReceiverBench(), pool, utf8Port);
    const state = new ReceiverState();
    for (let i = 0; i < 400; i++) receiver.onFramePiece(state, memoryless(MIB), 0, MIB, 0x02, false, 0);
    expect(state.message.length).toBe(400 * MIB);
    expect(sizes.length).toBeLessThan(15);
    expect(sizes.at(-1)).toBe(500 * MIB);
  });

  it('keeps the message intact when it grows', () => {
    const bench = new ReceiverBench();
    const parts = [1, 31, 32, 33, 900, 27, 1, 1023, 1, 4000, 64, 5].map((size, i) => pattern(size, i + 1));
    parts.forEach((part, i) =>
      bench.feedFrames({ opcode: i === 0 ? 2 : 0, payload: part, fin: i === parts.length - 1 }),
    );
    expect(bench.events).toEqual([eventOf('binary', concat(...parts))]);
  });

  it('gives the memory back after the message, not during it', () => {
    const bench = new ReceiverBench();
    let during = 0;
    bench.during = () => {
      during = bench.pool.lentBytes;
    };
    bench.feedFrames(textStart('a'), last('b'));
    expect(during).toBe(1024);
    expect(bench.pool.lentBytes).toBe(0);
  });

  it('gives the memory back once when the connection ends inside of the event', () => {
    const bench = new ReceiverBench();
    bench.goOn = false;
    bench.during = () => {
      bench.parser.release(bench.state);
      bench.receiver.release(bench.state);
    };
    bench.feedFrames(textStart('a'), last('b'), text('never'));
    expect(bench.events).toEqual(['text ab']);
    expect(bench.pool.lentBytes).toBe(0);
  });

  it('gives the memory back when it is released at any byte', () => {
    const input = framesBytes(
      [textStart('a€'), ping('p'), more('bc'), last('d'), binary(pattern(200)), textStart('x')],
      SAMPLE_KEY,
    );
    const bench = new ReceiverBench();
    for (const cut of byteByByte(input.length + 1)) {
      bench.feed(input.subarray(0, cut));
      bench.parser.release(bench.state);
      bench.receiver.release(bench.state);
      expect(bench.pool.lentBytes).toBe(0);
      const { opcode, length, fragments, utf8, joined } = bench.state.message;
      expect([opcode, length, fragments, utf8, joined]).toEqual([0, 0, 0, 0, null]);
    }
  });

  it('gives the memory back after every kind of error', () => {
    const errors: readonly (readonly [FrameSpec, number])[] = [
      [text('x'), 1002],
      [more(hex('ff')), 1007],
      [last(hex('e2')), 1007],
      [more(pattern(100)), 1009],
    ];
    for (const [frame, code] of errors) {
      const bench = new ReceiverBench({ maxPayloadLength: 50 });
      bench.feedFrames(textStart('a'), more('b'), frame, text('never'));
      expect(bench.events).toEqual([`error ${code}`]);
      expect(bench.pool.lentBytes).toBe(0);
    }
  });

  it('uses the memory of one connection again for the next', () => {
    const bench = new ReceiverBench();
    for (let i = 0; i < 100; i++) {
      bench.state = new ReceiverState();
      bench.feedFrames(textStart('a'), last('b'));
    }
    expect(bench.pool.mostLent).toBe(1024);
    expect(bench.pool.kept).toBe(1024);
  });
});

describe('Receiver and a handler that has enough', () => {
  it('passes the answer on, so that nothing behind it is parsed', () => {
    const firsts: readonly (readonly FrameSpec[])[] = [
      [text('a')],
      [textStart('a'), last()],
      [ping('a')],
      [textStart(), last()],
    ];
    for (const frames of firsts) {
      const bench = new ReceiverBench();
      bench.goOn = false;
      bench.feedFrames(...frames, text('never'));
      expect(bench.events.length).toBe(1);
    }
  });

  it('goes on otherwise', () => {
    const frames = [text('a'), textStart('b'), last(), ping('c'), textStart(), last(), text('d')];
    expectEvents(frames, ['text a', 'text b', 'ping c', 'text ', 'text d']);
  });
});

/** Stands for an array of `length` bytes where nothing looks at the bytes. */
function memoryless(length: number): Uint8Array {
  const array = { length, set: () => undefined, subarray: () => array };
  return array as unknown as Uint8Array;
}
