import { describe, expect, test } from 'vitest';
import { createRing, formatRing, ringByteLength } from '../../../src/ring/byte-ring.ts';
import { RingHeader } from '../../../src/ring/layout.ts';
import { RingConsumer } from '../../../src/ring/ring-consumer.ts';
import { RingProducer } from '../../../src/ring/ring-producer.ts';
import { Collector, pattern } from './collector.ts';

describe('a ring in shared memory', () => {
  test('takes its capacity and a header', () => {
    expect(createRing(1024).buffer.byteLength).toBe(ringByteLength(1024));
    expect(createRing().buffer.byteLength).toBe(ringByteLength(256 * 1024));
  });

  test.each([0, 1, 32, 63, 65, 96, -64, 2 ** 31, 2 ** 32, 1.5, Number.NaN])(
    'cannot have a capacity of %d',
    (capacity) => {
      expect(() => createRing(capacity)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
      );
      const region = { buffer: new SharedArrayBuffer(4096), byteOffset: 0 };
      expect(() => formatRing(region, capacity)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
      );
    },
  );

  test('can share a buffer with others without touching them', () => {
    const stride = ringByteLength(256);
    const buffer = new SharedArrayBuffer(3 * stride);
    const regions = [0, 1, 2].map((i) => ({ buffer, byteOffset: i * stride }));
    for (const region of regions) formatRing(region, 256);
    const sides = regions.map((region) => [new RingProducer(region), new RingConsumer(region)] as const);
    for (let round = 0; round < 50; round++) {
      sides.forEach(([producer], i) => {
        expect(producer.tryWrite(pattern(40 + i, round))).toBe(true);
        producer.commit();
      });
      sides.forEach(([, consumer], i) => {
        const got = new Collector();
        consumer.read(got);
        expect(got.records).toEqual([pattern(40 + i, round)]);
      });
    }
  });

  test.each([-128, 1, 64, 4096 - 256])('cannot begin at byte %d of a 4 KiB buffer', (byteOffset) => {
    const region = { buffer: new SharedArrayBuffer(4096), byteOffset };
    expect(() => formatRing(region, 256)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
    );
    expect(() => new RingProducer(region)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
    );
  });

  test.each([
    ['magic', RingHeader.MAGIC],
    ['version', RingHeader.VERSION],
    ['capacity', RingHeader.CAPACITY],
  ])('is refused by both sides when its %s is wrong', (_name, offset) => {
    for (const wrong of [0, -1, 12345, 2 ** 29]) {
      const region = createRing(256);
      new Int32Array(region.buffer)[offset >> 2] = wrong;
      expect(() => new RingProducer(region)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
      );
      expect(() => new RingConsumer(region)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
      );
    }
  });
});
