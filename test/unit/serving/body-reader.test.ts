import { describe, expect, it } from 'vitest';
import { BodyCollector, ChunkReader, SizedChunkReader } from '../../../src/serving/body-reader.ts';
import { userCode } from '../../../src/user-code.ts';

const failed = (error: unknown): void => {
  throw error;
};
const BODY = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 7) & 255));

/** What a collector gives for a body that comes in pieces of `size`, its length announced or not. */
function collected(limit: number, body: Buffer, size: number, isAnnounced: boolean): (Buffer | null)[] {
  const seen: (Buffer | null)[] = [];
  const collector = new BodyCollector(
    limit,
    userCode((bytes: ArrayBuffer | null) => void seen.push(bytes === null ? null : Buffer.from(bytes))),
  );
  // The same memory for each piece, as a socket's reads have it.
  const memory = Buffer.alloc(size + 2);
  let at = 0;
  do {
    const length = body.copy(memory, 1, at, at + size);
    at += length;
    const isLast = at === body.length;
    collector.take(memory, 1, 1 + length, isLast, isAnnounced ? body.length - at : isLast ? 0 : -1, failed);
  } while (at < body.length);
  return seen;
}

describe('BodyCollector', () => {
  it.each([1, 999, 16_384, 16_385, 49_999, 50_000])('joins pieces of %d bytes', (size) => {
    for (const isAnnounced of [true, false]) {
      const [body, ...more] = collected(BODY.length, BODY, size, isAnnounced);
      expect(body!.equals(BODY)).toBe(true);
      expect(body!.buffer.byteLength).toBe(BODY.length);
      expect(more).toEqual([]);
    }
  });

  it('gives an empty body', () => {
    expect(collected(0, Buffer.alloc(0), 10, true)).toEqual([Buffer.alloc(0)]);
  });

  it('gives null once, as soon as more is announced or came than may be', () => {
    for (const isAnnounced of [true, false]) {
      expect(collected(BODY.length - 1, BODY, 1000, isAnnounced)).toEqual([null]);
    }
    let calls = 0;
    const collector = new BodyCollector(
      10,
      userCode(() => void calls++),
    );
    collector.take(BODY, 0, 1, false, 10, failed);
    expect(calls).toBe(1);
  });
});

it('ChunkReader gives each piece memory of its own', () => {
  const chunks: [string, boolean][] = [];
  const buffers: ArrayBuffer[] = [];
  const reader = new ChunkReader(
    userCode((chunk: ArrayBuffer, isLast: boolean) => {
      buffers.push(chunk);
      chunks.push([Buffer.from(chunk).toString(), isLast]);
    }),
  );
  const memory = Buffer.from('..one..');
  reader.take(memory, 2, 5, false, 3, failed);
  memory.fill('x');
  reader.take(memory, 0, 0, true, 0, failed);
  expect(chunks).toEqual([
    ['one', false],
    ['', true],
  ]);
  expect(Buffer.from(buffers[0]!).toString()).toBe('one');
});

it('SizedChunkReader tells what is to come, the largest number while nobody knows', () => {
  const told: bigint[] = [];
  const reader = new SizedChunkReader(
    userCode((_chunk: ArrayBuffer, remaining: bigint) => void told.push(remaining)),
  );
  reader.take(BODY, 0, 1, false, 4_294_967_296, failed);
  reader.take(BODY, 0, 1, false, -1, failed);
  reader.take(BODY, 0, 1, true, -1, failed);
  expect(told).toEqual([4_294_967_296n, 2n ** 64n - 1n, 0n]);
});
