import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FRAME_HEADROOM,
  type FrameHandler,
  FrameParser,
  FrameState,
} from '../../../src/protocol/frame-parser.ts';
import { NON_ASCII } from '../../../src/protocol/mask.ts';
import { byteByByte, chunksOf, Random, randomCuts, twoWayCuts } from '../../support/protocol/chunked.ts';
import {
  binary,
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
  ZERO_KEY,
} from '../../support/protocol/frame-bytes.ts';
import { framesBytes, readFrames } from '../../support/protocol/frame-reader.ts';

interface Collected {
  firstByte: number;
  payload: Uint8Array;
}

/** Joins pieces to frames and writes everything down; judges nothing unless told to. */
class Collector implements FrameHandler<FrameState> {
  readonly frames: Collected[] = [];
  readonly errors: number[] = [];
  readonly headers: (readonly [firstByte: number, length: number])[] = [];
  /** Lengths of the pieces, and whether they completed the frame. */
  readonly pieces: (readonly [length: number, last: boolean])[] = [];
  memory: Uint8Array | null = null;
  verdict = 0;
  goOn = true;
  #parts: Uint8Array[] = [];

  onFrameHeader(_state: FrameState, firstByte: number, length: number): number {
    this.headers.push([firstByte, length]);
    return this.verdict;
  }

  onFrame(
    _state: FrameState,
    bytes: Uint8Array,
    offset: number,
    length: number,
    firstByte: number,
    seen: number,
  ): boolean {
    this.#take(bytes, offset, length, seen);
    return this.#frame(firstByte);
  }

  onFramePiece(
    _state: FrameState,
    bytes: Uint8Array,
    offset: number,
    length: number,
    firstByte: number,
    isLast: boolean,
    seen: number,
  ): boolean {
    this.pieces.push([length, isLast]);
    this.#take(bytes, offset, length, seen);
    return isLast ? this.#frame(firstByte) : this.goOn;
  }

  onFrameError(_state: FrameState, closeCode: number): void {
    this.errors.push(closeCode);
  }

  #take(bytes: Uint8Array, offset: number, length: number, seen: number): void {
    const part = bytes.slice(offset, offset + length);
    if (part.length !== length) throw new Error('a piece outside of its memory');
    if (((seen & NON_ASCII) !== 0) !== part.some((byte) => byte >= 0x80)) {
      throw new Error('a wrong OR of the bytes');
    }
    this.memory = bytes;
    this.#parts.push(part);
  }

  #frame(firstByte: number): boolean {
    this.frames.push({ firstByte, payload: concat(...this.#parts) });
    this.#parts = [];
    return this.goOn;
  }
}

type Role = 'server' | 'client';
const ROLES: readonly Role[] = ['server', 'client'];

function keyFor(role: Role): typeof SAMPLE_KEY | null {
  return role === 'server' ? SAMPLE_KEY : null;
}

function setUp(role: Role, allowedRsv = 0) {
  const collector = new Collector();
  const parser = new FrameParser<FrameState>({ expectMasked: role === 'server', allowedRsv }, collector);
  const state = new FrameState();
  return { collector, parser, state };
}

/** Parses a copy of `chunk` with `headroom` bytes of room in front, and spoils the copy afterwards. */
function feed(parser: FrameParser<FrameState>, state: FrameState, chunk: Uint8Array, headroom: number): void {
  const memory = new Uint8Array(headroom + chunk.length + 8).fill(0xc7);
  memory.set(chunk, headroom);
  parser.parse(state, memory, headroom, headroom + chunk.length);
  const isBehindTouched = memory.subarray(headroom + chunk.length).some((byte) => byte !== 0xc7);
  if (isBehindTouched) throw new Error('a write behind the chunk');
  memory.fill(0x5a);
}

function parseChunks(role: Role, chunks: readonly Uint8Array[], headroom = FRAME_HEADROOM): Collector {
  const { collector, parser, state } = setUp(role);
  for (const chunk of chunks) feed(parser, state, chunk, headroom);
  return collector;
}

function expectFrames(collector: Collector, specs: readonly FrameSpec[], note: string): void {
  const got = collector.frames;
  const isSame =
    got.length === specs.length &&
    got.every(({ firstByte, payload }, i) => {
      const spec = specs[i]!;
      const wanted = (spec.fin === false ? 0 : 0x80) + (spec.rsv ?? 0) * 16 + spec.opcode;
      return firstByte === wanted && Buffer.compare(payload, spec.payload) === 0;
    });
  if (!isSame || collector.errors.length > 0) {
    expect.fail(`${note}: ${JSON.stringify(collector.errors)} ${got.length} frames of ${specs.length}`);
  }
}

const HEADROOMS = [0, 1, 5, 13, FRAME_HEADROOM];
const PAYLOAD_LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 124, 125, 126, 127, 128, 300, 65535, 65536];

describe('FrameParser on valid frames', () => {
  for (const role of ROLES) {
    describe(`in the ${role} role`, () => {
      for (const length of PAYLOAD_LENGTHS) {
        const specs = [
          binary(pattern(length)),
          text('between'),
          binary(pattern(length, 3), { fin: false }),
          pong('p'),
        ];
        const input = framesBytes(specs, keyFor(role));

        it(`gives the same frames of ${length} bytes of payload however they are cut in two`, () => {
          for (const cut of twoWayCuts(input.length)) {
            for (const headroom of length < 1000 ? HEADROOMS : [0, FRAME_HEADROOM]) {
              const chunks = chunksOf(input, [cut]);
              expectFrames(parseChunks(role, chunks, headroom), specs, `cut ${cut}, headroom ${headroom}`);
            }
          }
        });

        it(`gives the same frames of ${length} bytes of payload byte by byte`, () => {
          const chunks = chunksOf(input, byteByByte(input.length));
          for (const headroom of length < 1000 ? HEADROOMS : [FRAME_HEADROOM]) {
            expectFrames(parseChunks(role, chunks, headroom), specs, `headroom ${headroom}`);
          }
        });
      }

      it('gives frames of every opcode and FIN', () => {
        const specs = [
          textStart('a'),
          ping('b'),
          more(),
          last('c'),
          binary(),
          close(1000),
          pong('x'.repeat(125)),
          text(),
        ];
        const input = framesBytes(specs, keyFor(role));
        for (const cut of [0, ...twoWayCuts(input.length)]) {
          expectFrames(parseChunks(role, chunksOf(input, [cut])), specs, `cut ${cut}`);
        }
      });
    });
  }

  it('leaves what a key of zeros masks as it is', () => {
    const input = frameBytes(text('Hello'), ZERO_KEY);
    expectFrames(parseChunks('server', [input]), [text('Hello')], 'whole');
  });

  it('gives the same frames for random frames and cuts', () => {
    const frame = fc.record({
      opcode: fc.constantFrom(0, 1, 2, 8, 9, 10),
      fin: fc.boolean(),
      length: fc.oneof(fc.nat(20), fc.nat(125), fc.nat(400)),
      seed: fc.nat(),
    });
    const property = fc.property(
      fc.array(frame, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(...ROLES),
      fc.constantFrom(...HEADROOMS),
      fc.nat(),
      fc.integer({ min: 1, max: 60 }),
      (shapes, role, headroom, seed, mean) => {
        const specs = shapes.map(({ opcode, fin, length, seed: content }): FrameSpec => {
          const payload = pattern(opcode >= 8 ? Math.min(length, 125) : length, content);
          return { opcode, fin: fin || opcode >= 8, payload };
        });
        const input = framesBytes(specs, keyFor(role));
        const chunks = chunksOf(input, randomCuts(input.length, mean, new Random(seed)));
        expectFrames(parseChunks(role, chunks, headroom), specs, 'random');
        expect(readFrames(input).map(({ payload }) => payload)).toEqual(specs.map(({ payload }) => payload));
      },
    );
    fc.assert(property, { numRuns: 400 });
  });

  it('keeps the connections it serves apart', () => {
    const { parser, collector } = setUp('server');
    const frames = Array.from({ length: 5 }, (_, i) => binary(pattern(100 + i, i)));
    const inputs = frames.map((frame) => frameBytes(frame, SAMPLE_KEY));
    const states = frames.map(() => new FrameState());
    const owners: number[] = [];
    const parts: Uint8Array[][] = frames.map(() => []);
    const take = (state: FrameState, bytes: Uint8Array, offset: number, length: number): boolean => {
      owners.push(states.indexOf(state));
      parts[states.indexOf(state)]!.push(bytes.slice(offset, offset + length));
      return true;
    };
    collector.onFrame = take;
    collector.onFramePiece = take;
    for (let i = 0; i < 110; i++) {
      for (let n = 0; n < 5; n++) {
        if (i < inputs[n]!.length) feed(parser, states[n]!, inputs[n]!.subarray(i, i + 1), FRAME_HEADROOM);
      }
    }
    expect(new Set(owners)).toEqual(new Set([0, 1, 2, 3, 4]));
    for (let n = 0; n < 5; n++) expect(concat(...parts[n]!)).toEqual(frames[n]!.payload);
  });
});

describe('FrameParser and memory', () => {
  it('hands on frames and pieces where they lie when the chunk has headroom', () => {
    const { collector, parser, state } = setUp('server');
    const input = framesBytes([text('Hello'), binary(pattern(300)), ping('p')], SAMPLE_KEY);
    for (const chunk of chunksOf(input, [2, 9, 15, 100, 318])) {
      const memory = new Uint8Array(FRAME_HEADROOM + chunk.length);
      memory.set(chunk, FRAME_HEADROOM);
      collector.memory = null;
      parser.parse(state, memory, FRAME_HEADROOM, memory.length);
      if (collector.memory !== null) expect(collector.memory).toBe(memory);
    }
    expectFrames(collector, [text('Hello'), binary(pattern(300)), ping('p')], 'cut');
  });

  it('needs no more headroom than the bytes it kept', () => {
    for (const spare of [-1, 0, 1]) {
      const { collector, parser, state } = setUp('server');
      const input = frameBytes(binary(pattern(200)), SAMPLE_KEY);
      parser.parse(state, input.slice(0, 7), 0, 7);
      expect(state.spillLength).toBe(7);
      const memory = concat(new Uint8Array(7 + spare), input.subarray(7));
      parser.parse(state, memory, 7 + spare, memory.length);
      expectFrames(collector, [binary(pattern(200))], `spare ${spare}`);
      expect(collector.memory === memory).toBe(spare >= 0);
    }
  });

  it('writes in front of the chunk only what it puts back there', () => {
    const { parser, state } = setUp('server');
    const input = frameBytes(text('Hello'), SAMPLE_KEY);
    parser.parse(state, input.slice(0, 5), 0, 5);
    const memory = concat(new Uint8Array(20).fill(0xc7), input.subarray(5));
    parser.parse(state, memory, 20, memory.length);
    expect(memory.subarray(0, 15)).toEqual(new Uint8Array(15).fill(0xc7));
  });

  it('keeps at most 13 bytes of a data frame and 130 of a control frame, and none between frames', () => {
    for (const role of ROLES) {
      const key = keyFor(role);
      const header = role === 'server' ? 14 : 10;
      for (const length of [0, 1, 125, 126, 127, 65535, 65536]) {
        let most = 0;
        const { parser, state } = setUp(role);
        const input = frameBytes(binary(pattern(length)), key);
        const bytes = input.subarray(0, Math.min(input.length, 600));
        for (let i = 0; i < bytes.length; i++) {
          feed(parser, state, bytes.subarray(i, i + 1), FRAME_HEADROOM);
          most = Math.max(most, state.spillLength);
          if (i >= header) expect(state.spill).toBeNull();
        }
        expect(most).toBe(headerSize(length, role) - 1);
      }
      const { parser, state } = setUp(role);
      const control = frameBytes(ping('p'.repeat(125)), key);
      for (let i = 0; i < control.length; i++) {
        expect(state.spillLength).toBe(i);
        feed(parser, state, control.subarray(i, i + 1), FRAME_HEADROOM);
      }
      expect(state.spillLength).toBe(0);
      expect(state.spill).toBeNull();
    }
  });

  it('takes memory for what it keeps once, and uses it again for any connection', () => {
    const { parser, state } = setUp('server');
    const input = frameBytes(text('Hello'), SAMPLE_KEY);
    parser.parse(state, input.slice(), 0, 3);
    const first = state.spill;
    expect(first).not.toBeNull();
    parser.parse(state, concat(new Uint8Array(20), input.subarray(3)), 20, 20 + input.length - 3);
    const other = new FrameState();
    parser.parse(other, input.slice(), 0, 4);
    expect(other.spill).toBe(first);
    parser.parse(state, input.slice(), 0, 4);
    expect(state.spill).not.toBe(first);
    parser.release(other);
    const third = new FrameState();
    parser.parse(third, input.slice(), 0, 1);
    expect(third.spill).toBe(first);
  });

  it('gives the kept memory back also when it has to join', () => {
    const { parser, state } = setUp('server');
    const input = frameBytes(text('Hello'), SAMPLE_KEY);
    parser.parse(state, input.slice(), 0, 3);
    const first = state.spill;
    parser.parse(state, input.slice(3), 0, input.length - 3);
    expect(state.spill).toBeNull();
    parser.parse(state, input.slice(), 0, 3);
    expect(state.spill).toBe(first);
  });
});

function headerSize(length: number, role: Role): number {
  return (length < 126 ? 2 : length < 65536 ? 4 : 10) + (role === 'server' ? 4 : 0);
}

describe('FrameParser and its handler', () => {
  it('asks about a data frame once when its header came in one chunk, and never about a control frame', () => {
    const input = framesBytes([ping('x'), textStart('abc'), more('d'), last()], SAMPLE_KEY);
    const collector = parseChunks('server', [input]);
    expect(collector.headers).toEqual([
      [0x01, 3],
      [0x00, 1],
      [0x80, 0],
    ]);
  });

  it('asks again while the masking key is cut, and no more once payload arrives', () => {
    const input = frameBytes(binary(pattern(300)), SAMPLE_KEY);
    const { collector, parser, state } = setUp('server');
    const asked: number[] = [];
    for (let i = 0; i < 20; i++) {
      feed(parser, state, input.subarray(i, i + 1), FRAME_HEADROOM);
      asked.push(collector.headers.length);
    }
    expect(asked.slice(0, 3)).toEqual([0, 0, 0]);
    expect(asked[3]).toBe(1);
    expect(asked[7]).toBe(asked[19]);
    expect(new Set(collector.headers.map(String))).toEqual(new Set(['130,300']));
  });

  it.each([
    ['82ff 001fffffffffffff', 2 ** 53 - 1],
    ['82ff 0020000000000000', Number.POSITIVE_INFINITY],
    ['82ff 0020000000000001', Number.POSITIVE_INFINITY],
    ['82ff 7fffffffffffffff', Number.POSITIVE_INFINITY],
    ['82ff 0000000100000005', 2 ** 32 + 5],
    ['82ff 00000000ffffffff', 2 ** 32 - 1],
    ['82ff 0000000080000000', 2 ** 31],
    ['82ff 0000000080000001', 2 ** 31 + 1],
    ['82ff 000000007fffffff', 2 ** 31 - 1],
    ['82ff 0000000000010000', 65536],
    ['82fe ffff', 65535],
    ['82fe 007e', 126],
    ['82fd', 125],
    ['80ff 7fffffffffffffff', Number.POSITIVE_INFINITY],
  ])('declares the length of %s exactly, as soon as it is known', (digits, length) => {
    const input = hex(digits);
    const { collector, parser, state } = setUp('server');
    for (let i = 0; i < input.length; i++) {
      expect(collector.headers).toEqual([]);
      feed(parser, state, input.subarray(i, i + 1), FRAME_HEADROOM);
    }
    expect(collector.headers).toEqual([[input[0], length]]);
    expect(collector.errors).toEqual([]);
  });

  it.each([
    ['8181', 1009],
    ['0100', 1002],
    ['82fe 0100', 1008],
    ['82ff 7fffffffffffffff', 1009],
  ])('fails %s with the code the handler returns, as soon as the length is known', (digits, code) => {
    const role = digits === '0100' ? 'client' : 'server';
    const { collector, parser, state } = setUp(role);
    collector.verdict = code;
    const input = hex(digits);
    for (let i = 0; i < input.length; i++) {
      expect(collector.errors).toEqual([]);
      feed(parser, state, input.subarray(i, i + 1), FRAME_HEADROOM);
    }
    expect(collector.errors).toEqual([code]);
    expect(collector.frames).toEqual([]);
    expect(collector.pieces).toEqual([]);
  });

  it('does not touch the payload of a frame that is refused', () => {
    const { collector, parser, state } = setUp('server');
    collector.verdict = 1009;
    const input = frameBytes(text('Hello'), SAMPLE_KEY);
    const memory = input.slice();
    parser.parse(state, memory, 0, memory.length);
    expect(memory).toEqual(input);
    expect(collector.errors).toEqual([1009]);
  });

  it('ends the parse of the chunk when a frame, a piece or the last piece is answered with false', () => {
    const frames = [text('one'), text('two')];
    const input = framesBytes(frames, SAMPLE_KEY);
    for (const cut of [0, 1, 6, 7, 8]) {
      const { collector, parser, state } = setUp('server');
      collector.goOn = false;
      const [head, rest] = chunksOf(input, [cut]);
      feed(parser, state, head!, FRAME_HEADROOM);
      feed(parser, state, rest!, FRAME_HEADROOM);
      expectFrames(collector, frames.slice(0, 1), `cut ${cut}`);
      expect(state.spillLength).toBe(0);
    }
  });

  it('hands on the payload that is there, in one piece per chunk', () => {
    const input = frameBytes(binary(pattern(10)), SAMPLE_KEY);
    const collector = parseChunks('server', chunksOf(input, [6, 8, 8, 15]));
    expect(collector.pieces).toEqual([
      [2, false],
      [7, false],
      [1, true],
    ]);
    const started = parseChunks('server', chunksOf(input, [9]));
    expect(started.pieces).toEqual([
      [3, false],
      [7, true],
    ]);
  });

  it('takes an empty chunk at any time without effect', () => {
    const frames = [text('Hello'), binary(pattern(130)), ping('p')];
    const input = framesBytes(frames, SAMPLE_KEY);
    for (const headroom of [0, FRAME_HEADROOM]) {
      for (const cut of byteByByte(input.length)) {
        const collector = parseChunks('server', chunksOf(input, [0, cut, cut, cut]), headroom);
        expectFrames(collector, frames, `cut ${cut}`);
        expect(collector.pieces.every(([length]) => length > 0)).toBe(true);
      }
    }
  });

  it('forgets an unfinished frame when released', () => {
    const input = framesBytes([binary(pattern(130))], SAMPLE_KEY);
    for (const cut of byteByByte(input.length)) {
      const { collector, parser, state } = setUp('server');
      feed(parser, state, input.subarray(0, cut), FRAME_HEADROOM);
      parser.release(state);
      expect([state.spill, state.spillLength, state.remaining]).toEqual([null, 0, 0]);
      const pieces = collector.pieces.length;
      feed(parser, state, frameBytes(text('next'), SAMPLE_KEY), FRAME_HEADROOM);
      expect(collector.pieces.length).toBe(pieces);
      expect(collector.frames.at(-1)?.firstByte).toBe(0x81);
    }
  });
});

/** Bytes that are refused when the last of them arrives, not before and not later. */
function forbidden(role: Role): string[] {
  const mask = role === 'server' ? 0x80 : 0;
  const bytes = (first: number, second: number, rest = ''): string =>
    Buffer.of(first, second | mask).toString('hex') + rest;
  const inputs: string[] = [];
  for (let first = 0; first < 256; first++) {
    const opcode = first & 15;
    const isReserved = (opcode > 2 && opcode < 8) || opcode > 10;
    const isFragmentedControl = opcode >= 8 && first < 0x80;
    if (isReserved || isFragmentedControl || (first & 0x70) !== 0) {
      for (const second of [0, 1, 125, 126, 127]) inputs.push(bytes(first, second));
    }
  }
  for (const first of [0x88, 0x89, 0x8a]) inputs.push(bytes(first, 126), bytes(first, 127));
  for (const first of [0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a]) {
    for (const second of [0, 1, 125, 126, 127]) {
      inputs.push(Buffer.of(first, second | (0x80 - mask)).toString('hex'));
    }
  }
  for (const length of ['0000', '0001', '0005', '007d']) inputs.push(bytes(0x82, 126, length));
  for (const length of [
    '0000000000000000',
    '0000000000000005',
    '000000000000007e',
    '000000000000ffff',
    '8000000000000000',
    '8000000000010000',
    'ffffffffffffffff',
  ]) {
    inputs.push(bytes(0x82, 127, length), bytes(0x00, 127, length));
  }
  return inputs;
}

describe.each(ROLES)('FrameParser on forbidden bytes in the %s role', (role) => {
  const inputs = forbidden(role);

  it('refuses with 1002 at the earliest byte, once', () => {
    expect(inputs.length).toBeGreaterThan(1000);
    for (const digits of inputs) {
      const input = hex(digits);
      for (const headroom of [0, FRAME_HEADROOM]) {
        const { collector, parser, state } = setUp(role);
        for (let i = 0; i < input.length; i++) {
          if (collector.errors.length > 0) expect.fail(`${digits} is refused after ${i} bytes`);
          feed(parser, state, input.subarray(i, i + 1), headroom);
        }
        if (String(collector.errors) !== '1002') {
          expect.fail(`${digits}, headroom ${headroom}: ${String(collector.errors)}`);
        }
        expect(state.spillLength).toBe(0);
      }
    }
  });

  it('refuses them the same way behind a valid frame, and finds nothing behind them', () => {
    const valid = frameBytes(text('ok'), keyFor(role));
    for (const digits of inputs) {
      const input = concat(valid, hex(digits), valid, valid);
      const collector = parseChunks(role, [input]);
      if (String(collector.errors) !== '1002' || collector.frames.length !== 1) expect.fail(digits);
    }
  });

  it('does not ask the handler about a forbidden frame', () => {
    for (const digits of inputs) {
      if (parseChunks(role, [hex(digits)]).headers.length > 0) expect.fail(digits);
    }
  });
});

describe('FrameParser with an extension', () => {
  it('lets its RSV bit pass on data frames and tells the handler of it', () => {
    const { collector, parser, state } = setUp('server', 0x40);
    const frames = [text('a', { rsv: 4 }), binary(pattern(9), { rsv: 4, fin: false })];
    feed(parser, state, framesBytes(frames, SAMPLE_KEY), FRAME_HEADROOM);
    expectFrames(collector, frames, 'whole');
    expect(collector.headers.map(([firstByte]) => firstByte)).toEqual([0xc1, 0x42]);
  });

  it.each(['a180', '9180', 'e180', 'd180', 'c880', 'c980', 'ca80'])('still refuses %s', (digits) => {
    const { collector, parser, state } = setUp('server', 0x40);
    feed(parser, state, hex(digits), FRAME_HEADROOM);
    expect(collector.errors).toEqual([1002]);
  });
});
