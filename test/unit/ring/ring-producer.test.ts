import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRing } from '../../../src/ring/byte-ring.ts';
import { RingHeader } from '../../../src/ring/layout.ts';
import { RingConsumer } from '../../../src/ring/ring-consumer.ts';
import { RingProducer } from '../../../src/ring/ring-producer.ts';
import { Collector, EDGE_CURSORS, pattern } from './collector.ts';

const CAPACITY = 256;

describe('claim and commit', () => {
  test('carry every length from every position of the ring', () => {
    for (let cursor = 0; cursor < CAPACITY; cursor += 8) {
      for (let length = 0; length <= CAPACITY / 2 - 8; length++) {
        const region = createRing(CAPACITY, cursor);
        const producer = new RingProducer(region);
        const consumer = new RingConsumer(region);
        const got = new Collector();
        // Three in a row, so that each length also follows itself at every alignment of the end.
        for (let i = 0; i < 3; i++) {
          if (!producer.tryWrite(pattern(length, i))) throw new Error(`no room for ${length} at ${cursor}`);
          producer.commit();
          consumer.read(got);
        }
        if (got.resets.length > 0) throw new Error(`reset at ${cursor}, length ${length}`);
        got.records.forEach((record, i) => {
          if (Buffer.compare(record, pattern(length, i)) !== 0)
            throw new Error(`wrong bytes at ${cursor}, ${length}`);
        });
        expect(got.records).toHaveLength(3);
      }
    }
  });

  test('show nothing before the commit, and all claims of a batch after it', () => {
    const region = createRing(CAPACITY);
    const producer = new RingProducer(region);
    const consumer = new RingConsumer(region);
    const got = new Collector();
    for (let i = 0; i < 4; i++) producer.tryWrite(pattern(8, i));
    expect(producer.pending).toBe(64);
    expect(consumer.hasRecords()).toBe(false);
    expect(consumer.read(got)).toBe(0);
    expect(producer.commit()).toBe(true);
    expect(producer.commit()).toBe(false);
    expect(consumer.hasRecords()).toBe(true);
    expect(consumer.read(got, Number.MAX_SAFE_INTEGER)).toBe(4);
    expect(got.records).toEqual([0, 1, 2, 3].map((i) => pattern(8, i)));
  });

  test('a rollback takes back what was claimed since the commit', () => {
    const region = createRing(CAPACITY);
    const producer = new RingProducer(region);
    const got = new Collector();
    producer.tryWrite(pattern(8, 1));
    producer.commit();
    producer.tryWrite(pattern(100, 2));
    producer.rollback();
    expect(producer.pending).toBe(0);
    producer.tryWrite(pattern(16, 3));
    producer.commit();
    new RingConsumer(region).read(got);
    expect(got.records).toEqual([pattern(8, 1), pattern(16, 3)]);
  });

  test.each(EDGE_CURSORS)('fill the ring to the last byte and no further, from cursor %d', (cursor) => {
    // 32-byte records: aligned like that they leave no padding.
    const region = createRing(CAPACITY, cursor - (cursor % 32));
    const producer = new RingProducer(region);
    const consumer = new RingConsumer(region);
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < CAPACITY / 32; i++) expect(producer.claim(24)).toBeGreaterThanOrEqual(0);
      expect(producer.claim(0)).toBe(-1);
      producer.commit();
      expect(producer.depth).toBe(CAPACITY);
      expect(producer.claim(0)).toBe(-1);
      expect(consumer.read(new Collector(), 1)).toBe(1);
      expect(producer.claim(25)).toBe(-1);
      expect(producer.claim(24)).toBeGreaterThanOrEqual(0);
      producer.commit();
      while (consumer.read(new Collector()) > 0);
      expect(producer.depth).toBe(0);
    }
  });

  test.each([-1, 121, 256, 2 ** 31, 2 ** 32, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuse a length of %d',
    (length) => {
      const producer = new RingProducer(createRing(CAPACITY));
      expect(producer.maxRecordLength).toBe(120);
      expect(() => producer.claim(length)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
      );
      expect(producer.pending).toBe(0);
    },
  );

  test('find room for the longest record in an empty ring, whatever the position', () => {
    for (let cursor = 0; cursor < CAPACITY; cursor += 8) {
      const producer = new RingProducer(createRing(CAPACITY, cursor));
      expect(producer.claim(producer.maxRecordLength)).toBeGreaterThanOrEqual(0);
    }
  });
});

type Step =
  | { op: 'write'; length: number }
  | { op: 'commit' }
  | { op: 'rollback' }
  | { op: 'read'; bytes: number; records: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('write' as const), length: fc.integer({ min: 0, max: 120 }) }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ op: 'commit' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ op: 'rollback' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('read' as const),
      bytes: fc.integer({ min: 1, max: 300 }),
      records: fc.integer({ min: 1, max: 8 }),
    }),
  },
);

describe('a ring', () => {
  test('behaves as a queue with a bound, for any order of operations and any cursor', () => {
    const property = fc.property(
      fc.array(step, { maxLength: 200, size: 'max' }),
      fc.constantFrom(...EDGE_CURSORS),
      fc.integer({ min: 0, max: 31 }),
      (steps, edge, shift) => {
        const region = createRing(CAPACITY, edge + shift * 8);
        const producer = new RingProducer(region);
        const consumer = new RingConsumer(region);
        const got = new Collector();
        const expected: Uint8Array[] = [];
        let claimed: Uint8Array[] = [];
        let serial = 0;
        for (const s of steps) {
          if (s.op === 'write') {
            const bytes = pattern(s.length, serial++);
            if (producer.tryWrite(bytes)) claimed.push(bytes);
            // A record of half the ring or less always fits an empty one.
            else expect(claimed.length + expected.length - got.records.length).toBeGreaterThan(0);
          } else if (s.op === 'commit') {
            expect(producer.commit()).toBe(claimed.length > 0);
            expected.push(...claimed);
            claimed = [];
          } else if (s.op === 'rollback') {
            producer.rollback();
            claimed = [];
          } else {
            const before = got.records.length;
            const count = consumer.read(got, s.bytes, s.records);
            expect(count).toBe(got.records.length - before);
            expect(count).toBeLessThanOrEqual(s.records);
            expect(count > 0).toBe(expected.length > before);
          }
        }
        while (consumer.read(got) > 0);
        expect(got.records).toEqual(expected);
        expect(got.resets).toEqual([]);
        expect(got.restarts).toEqual([]);
        expect(consumer.hasRecords()).toBe(false);
      },
    );
    fc.assert(property, { numRuns: 400 });
  });

  test.each(EDGE_CURSORS)('keeps going across cursor %d', (cursor) => {
    const region = createRing(CAPACITY, cursor - 4096);
    const producer = new RingProducer(region);
    const consumer = new RingConsumer(region);
    for (let i = 0; i < 1000; i++) {
      const got = new Collector();
      expect(producer.tryWrite(pattern(i % 121, i))).toBe(true);
      producer.commit();
      expect(consumer.read(got)).toBe(1);
      expect(got.records).toEqual([pattern(i % 121, i)]);
    }
  });
});

describe('a producer that takes over', () => {
  test('goes on after the last commit: the claims of the dead one leave no trace', () => {
    const region = createRing(CAPACITY);
    const consumer = new RingConsumer(region);
    const first = new RingProducer(region);
    const got = new Collector();
    first.tryWrite(pattern(20, 1));
    first.commit();
    first.tryWrite(pattern(30, 2));
    const second = new RingProducer(region);
    expect([first.epoch, second.epoch]).toEqual([1, 2]);
    consumer.read(got);
    expect(got.restarts).toEqual([]);
    second.tryWrite(pattern(10, 3));
    second.commit();
    consumer.read(got);
    expect(got.records).toEqual([pattern(20, 1), pattern(10, 3)]);
    expect(got.restarts).toEqual([2]);
    expect(got.resets).toEqual([]);
  });

  test('finds a full ring full', () => {
    const region = createRing(CAPACITY);
    const first = new RingProducer(region);
    while (first.claim(24) >= 0);
    first.commit();
    const second = new RingProducer(region);
    expect(second.claim(0)).toBe(-1);
    new RingConsumer(region).read(new Collector(), CAPACITY);
    expect(second.claim(24)).toBeGreaterThanOrEqual(0);
  });

  test('is noticed each time, also when the epochs need more than a byte', () => {
    const region = createRing(CAPACITY);
    const consumer = new RingConsumer(region);
    const got = new Collector();
    for (let i = 0; i < 600; i++) {
      const producer = new RingProducer(region);
      producer.tryWrite(pattern(i % 50, i));
      producer.commit();
      if (i % 2 === 0) consumer.read(got, CAPACITY);
    }
    consumer.read(got);
    expect(consumer.restarts).toBe(599);
    expect(got.records).toHaveLength(600);
    expect(got.resets).toEqual([]);
  });

  test('is heard after one reset when so many came before it that its epoch looks old', () => {
    const region = createRing(CAPACITY);
    const consumer = new RingConsumer(region);
    const got = new Collector();
    let producer = new RingProducer(region);
    producer.tryWrite(pattern(8, 1));
    producer.commit();
    consumer.read(got);
    for (let i = 0; i < 200; i++) producer = new RingProducer(region);
    for (let i = 2; i < 6; i++) {
      producer.tryWrite(pattern(8, i));
      producer.commit();
      consumer.read(got);
    }
    expect(got.records).toEqual([1, 3, 4, 5].map((i) => pattern(8, i)));
    expect(got.resets).toEqual([16]);
  });

  test('repairs a head that was left misaligned', () => {
    const region = createRing(CAPACITY);
    new Int32Array(region.buffer)[RingHeader.HEAD >> 2] = 13;
    const producer = new RingProducer(region);
    const consumer = new RingConsumer(region);
    const got = new Collector();
    for (let i = 0; i < 4; i++) {
      producer.tryWrite(pattern(8, i));
      producer.commit();
      consumer.read(got);
    }
    expect(got.records.at(-1)).toEqual(pattern(8, 3));
  });
});
