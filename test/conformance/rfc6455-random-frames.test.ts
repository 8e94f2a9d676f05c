import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ConnectionOptions, ConnectionState } from '../../src/protocol/connection.ts';
import { FRAME_HEADROOM } from '../../src/protocol/frame-parser.ts';
import { byteByByte, chunksOf, Random, randomCuts } from '../support/protocol/chunked.ts';
import { expectSame } from '../support/protocol/conformance.ts';
import { Endpoint } from '../support/protocol/endpoint.ts';
import {
  bytesOf,
  close,
  concat,
  type FrameSpec,
  frameBytes,
  type MaskKey,
  pattern,
} from '../support/protocol/frame-bytes.ts';
import { referenceVerdict } from '../support/protocol/frame-reader.ts';

/** Random input, valid and not: the connection and the reference endpoint agree on every byte and event. */

const key: fc.Arbitrary<MaskKey> = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));

const payload: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }).map(bytesOf) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  {
    weight: 2,
    arbitrary: fc
      .record({ length: fc.constantFrom(0, 1, 4, 15, 16, 124, 125, 126, 127, 300), seed: fc.nat() })
      .map(({ length, seed }) => pattern(length, seed).map((byte) => byte & 0x7f)),
  },
  { weight: 1, arbitrary: fc.constant(pattern(65536).fill(0x61)) },
);

const controlFrame: fc.Arbitrary<FrameSpec> = fc.record({
  opcode: fc.constantFrom(9, 10),
  payload: payload.map((bytes) => bytes.subarray(0, 125)),
});

/** A message in one to six frames, with control frames between them. */
const message: fc.Arbitrary<FrameSpec[]> = fc
  .record({
    opcode: fc.constantFrom(1, 2),
    payload,
    cuts: fc.array(fc.nat(400), { maxLength: 5 }),
    between: fc.array(fc.option(controlFrame, { freq: 3 }), { minLength: 6, maxLength: 6 }),
  })
  .map(({ opcode, payload: whole, cuts, between }) => {
    const places = cuts.map((cut) => Math.min(cut, whole.length)).toSorted((a, b) => a - b);
    const parts = chunksOf(whole, places);
    return parts.flatMap((part, i): FrameSpec[] => {
      const frame = { opcode: i === 0 ? opcode : 0, payload: part, fin: i === parts.length - 1 };
      const control = between[i];
      return control ? [frame, control] : [frame];
    });
  });

const closing: fc.Arbitrary<FrameSpec> = fc.oneof(
  fc.constant(close()),
  fc
    .record({
      code: fc.oneof(fc.constantFrom(1000, 1004, 1005, 1012, 1015, 2999, 3000, 4999, 5000), fc.nat(65535)),
      reason: payload.map((bytes) => bytes.subarray(0, 123)),
    })
    .map(({ code, reason }) => close(code, reason)),
  payload.map((bytes) => ({ opcode: 8, payload: bytes })),
);

/** Any frame that can be written down at all. */
const wildFrame: fc.Arbitrary<FrameSpec> = fc
  .record({
    opcode: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) },
      { weight: 1, arbitrary: fc.nat(15) },
    ),
    fin: fc.boolean(),
    rsv: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(7) }),
    payload,
    lengthBits: fc.constantFrom(undefined, undefined, undefined, 16 as const, 64 as const),
    declared: fc.oneof(
      { weight: 6, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
    ),
  })
  .map(({ lengthBits, declared, ...frame }) => withLength(frame, lengthBits, declared));

function withLength(
  frame: FrameSpec,
  lengthBits: 16 | 64 | undefined,
  declared: bigint | undefined,
): FrameSpec {
  const declaredLength = declared ?? BigInt(frame.payload.length);
  if (lengthBits === undefined) return { ...frame, declaredLength };
  return { ...frame, declaredLength, lengthBits: declaredLength > 65535n ? 64 : lengthBits };
}

const sequence: fc.Arbitrary<FrameSpec[]> = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: message },
      { weight: 3, arbitrary: controlFrame.map((frame) => [frame]) },
      { weight: 1, arbitrary: wildFrame.map((frame) => [frame]) },
      { weight: 1, arbitrary: closing.map((frame) => [frame]) },
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.flat());

const options: fc.Arbitrary<Partial<ConnectionOptions>> = fc.record({
  role: fc.constantFrom('server' as const, 'client' as const),
  maxPayloadLength: fc.constantFrom(1, 4, 125, 126, 1000, 70_000, 1_000_000),
  maxFragments: fc.constantFrom(1, 2, 3, 5, 1000),
  maxPingsPerSecond: fc.constantFrom(1, 3, 1000),
});

/** What the engine makes of `input`, however it is cut, is what the reference makes of it. */
function expectAgreement(
  input: Uint8Array,
  choice: Partial<ConnectionOptions>,
  headroom: number,
  cuts: readonly (readonly number[])[],
): void {
  const endpoint = new Endpoint(choice, { headroom });
  const verdict = referenceVerdict(input, endpoint.rules);
  const wanted = endpoint.toPeer(...verdict.replies);
  for (const each of cuts) {
    endpoint.reconnect();
    let endedAfter = 0;
    for (const chunk of chunksOf(input, each)) {
      endpoint.receive(chunk);
      endedAfter += chunk.length;
      if (endpoint.connection.state === ConnectionState.DONE) break;
    }
    expect(endpoint.events).toEqual(verdict.events);
    expectSame(endpoint.output.take(), wanted, 'sent');
    const isDone = endpoint.connection.state === ConnectionState.DONE;
    expect(isDone).toBe(verdict.endedAfter >= 0);
    // The chunk that holds the byte that ends the connection is the chunk that ends it.
    if (isDone) {
      const chunkEnd = [...each, input.length].find((cut) => cut >= verdict.endedAfter);
      expect(endedAfter).toBe(chunkEnd);
    }
    endpoint.connection.end();
    expect(endpoint.pool.lentBytes).toBe(0);
  }
}

const headrooms = fc.constantFrom(0, 0, 3, 14, FRAME_HEADROOM, FRAME_HEADROOM);

describe('Random frames', () => {
  it('lead to the events and the output of the reference, however they are cut', () => {
    const property = fc.property(
      sequence,
      fc.infiniteStream(key),
      options,
      headrooms,
      fc.nat(),
      fc.integer({ min: 1, max: 300 }),
      (frames, keys, choice, headroom, seed, mean) => {
        const input = concat(
          ...frames.map((frame) => frameBytes(frame, choice.role === 'server' ? keys.next().value : null)),
        );
        const random = new Random(seed);
        const cuts = [[], randomCuts(input.length, mean, random), randomCuts(input.length, 8, random)];
        if (input.length < 3000) cuts.push(byteByByte(input.length));
        expectAgreement(input, choice, headroom, cuts);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  it('lead to the same when one byte of them is changed', () => {
    const property = fc.property(
      sequence,
      key,
      fc.constantFrom('server' as const, 'client' as const),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.nat(),
      (frames, frameKey, role, place, change, seed) => {
        const input = concat(
          ...frames.map((frame) => frameBytes(frame, role === 'server' ? frameKey : null)),
        );
        // Mostly near the start, where the headers are.
        const at = place % Math.max(1, Math.min(input.length, place % 2 === 0 ? 40 : input.length));
        if (at < input.length) input[at] = input[at]! ^ change;
        const cuts = [[], randomCuts(input.length, 20, new Random(seed))];
        expectAgreement(input, { role, maxPayloadLength: 100_000 }, FRAME_HEADROOM, cuts);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });
});

describe('Random bytes', () => {
  /** Bytes that often look like a header. */
  const headerByte = fc.constantFrom(
    0x00,
    0x01,
    0x02,
    0x80,
    0x81,
    0x82,
    0x88,
    0x89,
    0x8a,
    0xfe,
    0xff,
    0x7e,
    0x7f,
    0x05,
    0x7d,
    0xfd,
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(headerByte, { maxLength: 200 }).map((values) => Uint8Array.from(values)),
    fc
      .array(fc.oneof(headerByte, fc.nat(255)), { maxLength: 200 })
      .map((values) => Uint8Array.from([0x81, 0x80, 0, 0, 0, 0, ...values])),
  );

  it('never throw, and end in the close code of the reference or not at all', () => {
    const codes = new Set(['failure 1002', 'failure 1007', 'failure 1008', 'failure 1009']);
    const property = fc.property(bytes, options, headrooms, fc.nat(), (input, choice, headroom, seed) => {
      const cuts = [[], byteByByte(input.length), randomCuts(input.length, 9, new Random(seed))];
      expectAgreement(input, choice, headroom, cuts);
      const { events } = referenceVerdict(input, new Endpoint(choice).rules);
      const end = events.at(-1) === 'done' ? events.at(-2)! : 'open';
      if (end !== 'open' && !end.startsWith('peer close')) expect(codes.has(end)).toBe(true);
    });
    fc.assert(property, { numRuns: 3000 });
  });
});

describe('A client and a server of this package', () => {
  it('understand each other, whatever is sent and however it is cut', () => {
    const property = fc.property(
      fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.uint8Array({ maxLength: 200 })), {
        maxLength: 10,
      }),
      fc.nat(),
      (messages, seed) => {
        const client = new Endpoint({ role: 'client' }, { echo: false });
        const server = new Endpoint({ role: 'server' });
        const wanted = messages.map((each) => {
          const { sender } = client.context;
          if (typeof each === 'string') sender.text(client.output, 0x81, each);
          else sender.bytes(client.output, 0x82, each);
          const kind = typeof each === 'string' ? 'text' : 'binary';
          return `${kind} ${Buffer.from(bytesOf(each)).toString('latin1')}`;
        });
        client.connection.close(1000, bytesOf('bye'));
        const random = new Random(seed);
        const upstream = client.output.take();
        server.receive(...chunksOf(upstream, randomCuts(upstream.length, 20, random)));
        expect(server.events).toEqual([...wanted, 'peer close 1000 bye', 'done']);
        const downstream = server.output.take();
        client.receive(...chunksOf(downstream, randomCuts(downstream.length, 20, random)));
        // The Close was the client's: what the server had sent before its answer is not listened to any more.
        expect(client.events).toEqual(['done']);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});
