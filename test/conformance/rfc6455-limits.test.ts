import { describe, expect, it } from 'vitest';
import { ConnectionState } from '../../src/protocol/connection.ts';
import { FRAME_HEADROOM } from '../../src/protocol/frame-parser.ts';
import { chunksOf } from '../support/protocol/chunked.ts';
import {
  type ConformanceCase,
  conformance,
  expectSame,
  fails,
  stays,
} from '../support/protocol/conformance.ts';
import { Endpoint } from '../support/protocol/endpoint.ts';
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
  ZERO_KEY,
} from '../support/protocol/frame-bytes.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** A message in frames of `size` bytes. */
function inFrames(opcode: number, payload: Uint8Array, size: number): FrameSpec[] {
  const frames: FrameSpec[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const part = payload.subarray(at, at + size);
    frames.push({ opcode: at === 0 ? opcode : 0, payload: part, fin: at + size >= payload.length });
  }
  return frames;
}

describe('Limits', () => {
  conformance('the size of a message in one frame', [1, 125, 126, 1000, 65535, 65536].flatMap(sizeCases));
  conformance('the size of a message in fragments', [2, 3, 10, 256].flatMap(fragmentedSizeCases));
  conformance('the number of fragments', [
    ...[2, 3, 20].flatMap(fragmentCases),
    stays('ten empty continuations are a message', [textStart(), ...empty(10), last('a')], [text('a')]),
    fails('endless empty continuations', [textStart(), ...empty(300)], 1008, [], {
      options: { maxFragments: 100 },
    }),
    fails(
      'endless continuations of 1 byte, with pings',
      [binaryStart(), ...Array.from({ length: 50 }, () => [more('x'), ping('p')]).flat()],
      1008,
      Array.from({ length: 19 }, () => pong('p')),
      { options: { maxFragments: 20 } },
    ),
    fails(
      'endless continuations of 4 KiB end at the size',
      [binaryStart(), ...Array.from({ length: 6 }, () => more(pattern(4 * KIB)))],
      1009,
      [],
      { options: { maxPayloadLength: 16 * KIB } },
    ),
  ]);
});

function empty(count: number): FrameSpec[] {
  return Array.from({ length: count }, () => more());
}

function sizeCases(limit: number): ConformanceCase[] {
  const options = { maxPayloadLength: limit };
  const exact = binary(pattern(limit));
  const message = text(asciiPattern(limit));
  return [
    stays(`${limit - 1} of ${limit}`, [binary(pattern(limit - 1))], [binary(pattern(limit - 1))], {
      options,
    }),
    stays(`${limit} of ${limit}, twice`, [exact, message], [exact, message], { options }),
    fails(`${limit + 1} of ${limit}`, [exact, binary(pattern(limit + 1))], 1009, [exact], { options }),
    fails(`${limit + 1} of ${limit}, not one byte of it sent`, [exact], 1009, [exact], {
      options,
      bytes: (maskBit) => headOf(limit + 1, maskBit),
    }),
  ];
}

/** The header of a binary frame up to its length: what suffices for a verdict. */
function headOf(length: number, maskBit: number): Uint8Array {
  const frame = frameBytes(
    { opcode: 2, payload: new Uint8Array(0), declaredLength: BigInt(length) },
    maskBit === 0 ? null : ZERO_KEY,
  );
  return maskBit === 0 ? frame : frame.subarray(0, frame.length - 4);
}

function fragmentedSizeCases(count: number): ConformanceCase[] {
  const limit = 1024;
  const options = { maxPayloadLength: limit };
  return [limit - 1, limit, limit + 1].flatMap((length) => {
    const payload = pattern(length);
    const frames = inFrames(2, payload, Math.ceil(length / count));
    const withPings = frames.flatMap((frame) => [frame, ping('p')]);
    const name = `${length} of ${limit} in ${frames.length}`;
    const pongs = Array.from({ length: frames.length - 1 }, () => pong('p'));
    if (length > limit) {
      return [
        fails(name, frames, 1009, [], { options }),
        fails(`${name} with pings`, withPings, 1009, pongs, { options }),
      ];
    }
    return [
      stays(name, frames, [binary(payload)], { options }),
      stays(`${name} with pings`, withPings, [...pongs, binary(payload), pong('p')], { options }),
    ];
  });
}

function fragmentCases(limit: number): ConformanceCase[] {
  const options = { maxFragments: limit };
  return [limit - 1, limit, limit + 1].map((count) => {
    const frames = count === 1 ? [text('x')] : [textStart('x'), ...empty(count - 2), last('x')];
    const name = `${count} of ${limit}`;
    if (count > limit) return fails(name, frames, 1008, [], { options });
    const message = text(count === 1 ? 'x' : 'xx');
    return stays(`${name}, twice`, [...frames, ...frames], [message, message], { options });
  });
}

describe.each(['text', 'binary'] as const)('Large %s messages', (kind) => {
  const opcode = kind === 'text' ? 1 : 2;
  // A text of code points of three bytes, so that most fragments and reads end inside of one.
  const large = kind === 'text' ? bytesOf('€ß'.repeat(MIB)).subarray(0, 4 * MIB - 4) : pattern(4 * MIB);
  const whole = (size: number): Uint8Array => large.subarray(0, size - (kind === 'text' ? size % 5 : 0));

  function expectEcho(payload: Uint8Array, frameSize: number, readSize: number): Endpoint {
    const endpoint = new Endpoint({ maxPayloadLength: 16 * MIB, maxFragments: 131_072 });
    // The key of zeros: building the input must not take longer than the test.
    const frames = inFrames(opcode, payload, frameSize).map((frame) => maskedByZeros(frame));
    const input = concat(...frames);
    for (let at = 0; at < input.length; at += readSize) endpoint.receive(input.subarray(at, at + readSize));
    const wanted = frameBytes({ opcode, payload });
    expectSame(endpoint.output.sent(), wanted, `${payload.length} in frames of ${frameSize}`);
    expect(endpoint.connection.state).toBe(ConnectionState.OPEN);
    expect(endpoint.pool.lentBytes).toBe(0);
    return endpoint;
  }

  it.each([64 * KIB, 256 * KIB, MIB, 4 * MIB])('of %d bytes in one frame come back', (size) => {
    expectEcho(whole(size), size, 64 * KIB);
  });

  it.each([64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB])(
    'of 4 MiB in frames of %d bytes come back, with memory for what arrived',
    (size) => {
      const { pool } = expectEcho(whole(4 * MIB), size, 64 * KIB);
      expect(pool.mostLent).toBeLessThanOrEqual(6 * MIB);
      expect(pool.takes).toBeLessThan(20);
    },
  );

  it.each([64, 128, 256, 512, KIB, 2 * KIB])('of 1 MiB in reads of %d bytes come back', (size) => {
    expectEcho(whole(MIB), MIB, size);
  });

  it('of 64 KiB in frames of 1300 bytes come back', () => {
    expectEcho(whole(64 * KIB), 1300, 64 * KIB);
  });
});

function maskedByZeros({ opcode, payload, fin = true }: FrameSpec): Uint8Array {
  const frame = frameBytes(
    { opcode, payload: NO_BYTES, fin, declaredLength: BigInt(payload.length) },
    ZERO_KEY,
  );
  return concat(frame, payload);
}

const NO_BYTES = new Uint8Array(0);

describe('A peer that does not read', () => {
  it('has at most one pong waiting, the newest, however much it pings', () => {
    const endpoint = new Endpoint({ maxPingsPerSecond: 1_000_000 });
    endpoint.output.blocked = true;
    const pings = concat(...Array.from({ length: 1000 }, (_, i) => frameBytes(ping(`${i}`), SAMPLE_KEY)));
    for (const chunk of chunksOf(pings, [1, 100, 5000])) endpoint.receive(chunk);
    expect(endpoint.output.commits).toBe(0);
    endpoint.output.blocked = false;
    endpoint.connection.outputWritable();
    expectSame(endpoint.output.sent(), endpoint.toPeer(pong('999')), 'the newest');
  });

  it('fails when it pings faster than allowed', () => {
    const endpoint = new Endpoint({ maxPingsPerSecond: 100 });
    endpoint.output.blocked = true;
    endpoint.receiveFrames(...Array.from({ length: 200 }, () => ping('x')));
    expectSame(endpoint.output.sent(), endpoint.toPeer(close(1008)), 'the Close');
    expect(endpoint.events.length).toBe(102);
  });
});

describe('A peer that declares much and sends little', () => {
  it('costs no memory for a whole header, and 1 KiB for the first byte', () => {
    const endpoint = new Endpoint({ maxPayloadLength: Number.MAX_SAFE_INTEGER });
    endpoint.receive(concat(hex('82ff 001fffffffffffff'), Uint8Array.from(SAMPLE_KEY)));
    expect(endpoint.pool.mostLent).toBe(0);
    endpoint.receive(hex('00'));
    expect(endpoint.pool.mostLent).toBe(1024);
    endpoint.receive(pattern(FRAME_HEADROOM));
    expect(endpoint.pool.mostLent).toBe(1024);
    endpoint.connection.end();
    expect(endpoint.pool.lentBytes).toBe(0);
  });
});
