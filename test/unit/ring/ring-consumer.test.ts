import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRing, type RingRegion } from '../../../src/ring/byte-ring.ts';
import { RingHeader } from '../../../src/ring/layout.ts';
import { RingConsumer, type RingHandler } from '../../../src/ring/ring-consumer.ts';
import { RingProducer } from '../../../src/ring/ring-producer.ts';
import { Collector, pattern } from './collector.ts';

const CAPACITY = 1024;

function filled(
  count: number,
  length = 8,
): { region: RingRegion; producer: RingProducer; consumer: RingConsumer } {
  const region = createRing(CAPACITY);
  const producer = new RingProducer(region);
  const consumer = new RingConsumer(region);
  for (let i = 0; i < count; i++) producer.tryWrite(pattern(length, i));
  producer.commit();
  return { region, producer, consumer };
}

describe('a batch', () => {
  test('ends at the record that reaches the limit of bytes', () => {
    const { consumer } = filled(10);
    const got = new Collector();
    expect(consumer.read(got, 1)).toBe(1);
    expect(consumer.read(got, 32)).toBe(2);
    expect(consumer.read(got, 33)).toBe(3);
    expect(consumer.read(got, Number.POSITIVE_INFINITY)).toBe(4);
    expect(consumer.read(got)).toBe(0);
  });

  test('ends at the limit of records', () => {
    const { consumer } = filled(10);
    const got = new Collector();
    expect(consumer.read(got, CAPACITY, 3)).toBe(3);
    expect(consumer.read(got, CAPACITY, 100)).toBe(7);
    expect(consumer.records).toBe(10);
  });

  test('takes a quarter of the ring unless told otherwise', () => {
    const { consumer } = filled(64);
    expect(consumer.read(new Collector())).toBe(16);
  });

  test('is not ended by padding: the record behind it comes along', () => {
    const region = createRing(CAPACITY, CAPACITY - 504);
    const producer = new RingProducer(region);
    const consumer = new RingConsumer(region);
    producer.tryWrite(pattern(504, 1));
    producer.commit();
    const got = new Collector();
    expect(consumer.read(got, 1)).toBe(1);
    expect(got.records).toEqual([pattern(504, 1)]);
  });

  test('frees its room at its end, not before', () => {
    const { producer, consumer } = filled(64);
    const room: number[] = [];
    const handler: RingHandler = {
      onRecord: () => room.push(producer.claim(0)),
      onProducerRestart: () => undefined,
      onReset: () => undefined,
    };
    consumer.read(handler, CAPACITY);
    expect(new Set(room)).toEqual(new Set([-1]));
    expect(producer.claim(0)).toBeGreaterThanOrEqual(0);
  });

  test('that is left by a throw counts the record as read and keeps the rest', () => {
    const { consumer } = filled(3);
    const got = new Collector();
    const handler: RingHandler = {
      onRecord: () => {
        throw new Error('no');
      },
      onProducerRestart: () => undefined,
      onReset: () => undefined,
    };
    expect(() => consumer.read(handler)).toThrow('no');
    expect(consumer.read(got)).toBe(2);
    expect(got.records).toEqual([pattern(8, 1), pattern(8, 2)]);
  });

  test('cannot be read inside of itself', () => {
    const { consumer } = filled(3);
    const inner: number[] = [];
    const handler: RingHandler = {
      onRecord: () => inner.push(consumer.read(handler)),
      onProducerRestart: () => undefined,
      onReset: () => undefined,
    };
    expect(consumer.read(handler)).toBe(3);
    expect(inner).toEqual([0, 0, 0]);
  });
});

describe('a consumer that takes over', () => {
  test('starts at the live edge and tells how much was left unread', () => {
    const { region, producer, consumer } = filled(5);
    consumer.read(new Collector(), CAPACITY, 2);
    producer.tryWrite(pattern(8, 5));
    const second = new RingConsumer(region);
    expect([consumer.epoch, second.epoch]).toEqual([1, 2]);
    expect(second.lostBytes).toBe(48);
    expect(second.hasRecords()).toBe(false);
    producer.commit();
    const got = new Collector();
    second.read(got);
    expect(got.records).toEqual([pattern(8, 5)]);
    expect(got.restarts).toEqual([]);
  });

  test('or continues where the last one has stopped, and is the same to the producer', () => {
    const { region, producer, consumer } = filled(5);
    const got = new Collector();
    consumer.read(got, CAPACITY, 2);
    const second = new RingConsumer(region, true);
    producer.tryWrite(pattern(8, 5));
    producer.commit();
    expect([second.epoch, producer.consumerEpoch, second.lostBytes]).toEqual([1, 1, 0]);
    while (second.read(got) > 0);
    expect(got.records).toEqual([0, 1, 2, 3, 4, 5].map((i) => pattern(8, i)));
    expect(got.restarts).toEqual([]);
    // Of a ring that nobody has read it is the first.
    expect(new RingConsumer(createRing(CAPACITY), true).epoch).toBe(1);
  });

  test('gives the producer of a full ring its room back', () => {
    const { region, producer } = filled(64);
    expect(producer.claim(0)).toBe(-1);
    const second = new RingConsumer(region);
    expect(second.lostBytes).toBe(CAPACITY);
    expect(producer.claim(8)).toBeGreaterThanOrEqual(0);
  });

  test('hears no more of a producer that was replaced', () => {
    const region = createRing(CAPACITY);
    const consumer = new RingConsumer(region);
    const old = new RingProducer(region);
    const successor = new RingProducer(region);
    const got = new Collector();
    successor.tryWrite(pattern(8, 1));
    successor.commit();
    consumer.read(got);
    // It lives on by mistake, and what it writes next lies where the consumer goes on.
    old.tryWrite(pattern(8, 2));
    old.tryWrite(pattern(8, 3));
    old.commit();
    consumer.read(got);
    expect(got.records).toEqual([pattern(8, 1)]);
    expect(got.resets).toHaveLength(1);
    expect([consumer.resets, consumer.restarts]).toEqual([1, 0]);
  });

  test('misses nothing when it is the first, however late it comes', () => {
    const region = createRing(CAPACITY);
    const producer = new RingProducer(region);
    producer.tryWrite(pattern(8, 1));
    producer.commit();
    const got = new Collector();
    const consumer = new RingConsumer(region);
    consumer.read(got);
    expect(consumer.lostBytes).toBe(0);
    expect(got.records).toEqual([pattern(8, 1)]);
  });
});

/** Writes and reads until `count` fresh records in a row arrive, as a thread with a doorbell would. */
function recovers(producer: RingProducer, consumer: RingConsumer, count: number): boolean {
  for (let round = 0; round < 20; round++) {
    const got = new Collector();
    let written = 0;
    for (let i = 0; i < count; i++) {
      if (producer.tryWrite(pattern(40, i))) written++;
    }
    producer.commit();
    for (let reads = 0; consumer.read(got) > 0; reads++) {
      if (reads > CAPACITY) return false;
    }
    const fresh = got.records.slice(-count);
    if (written === count && fresh.length === count) {
      if (fresh.every((record, i) => Buffer.compare(record, pattern(40, i)) === 0)) return true;
    }
  }
  return false;
}

describe('a damaged ring', () => {
  test('is reported and read from the live edge on when a length is wrong', () => {
    for (const length of [-2, -1, 9, 16, 17, 1000, 2 ** 31 - 1, -(2 ** 31)]) {
      const { producer, consumer } = filled(3);
      const got = new Collector();
      producer.words[16 >> 2] = length;
      expect(consumer.read(got)).toBe(1);
      expect(got.records).toEqual([pattern(8, 0)]);
      expect(got.resets).toEqual([32]);
      expect([consumer.resets, consumer.lostBytes]).toEqual([1, 32]);
      expect(recovers(producer, consumer, 5)).toBe(true);
    }
  });

  test('is found out for every single bit of a record header', () => {
    for (let bit = 0; bit < 64; bit++) {
      const { producer, consumer } = filled(3);
      const got = new Collector();
      producer.words[(16 >> 2) + (bit >> 5)]! ^= 1 << (bit & 31);
      consumer.read(got);
      expect(got.records).toEqual([pattern(8, 0)]);
      expect(got.resets).toEqual([32]);
    }
  });

  test('tells an old lap from a new one when the head runs ahead of what was written', () => {
    const { region, producer, consumer } = filled(64);
    consumer.read(new Collector(), CAPACITY);
    new Int32Array(region.buffer)[RingHeader.HEAD >> 2] = CAPACITY + 160;
    const got = new Collector();
    expect(consumer.read(got)).toBe(0);
    expect(got.records).toEqual([]);
    expect(got.resets).toEqual([160]);
    expect(recovers(producer, consumer, 5)).toBe(true);
  });

  test.each([CAPACITY + 8, CAPACITY + 160, 2 ** 30, -8, -(2 ** 31), 157, 4])(
    'is not read at all with a head of %d',
    (head) => {
      const { region, producer, consumer } = filled(10);
      new Int32Array(region.buffer)[RingHeader.HEAD >> 2] = head;
      const got = new Collector();
      expect(consumer.read(got, CAPACITY)).toBe(0);
      expect(got.records).toEqual([]);
      expect(got.resets).toEqual([0]);
      expect(consumer.hasRecords()).toBe(false);
      expect(recovers(producer, consumer, 5)).toBe(true);
    },
  );

  test.each([
    ['head', RingHeader.HEAD],
    ['tail', RingHeader.TAIL],
  ])('works again after its %s was overwritten, whatever with', (_name, offset) => {
    const property = fc.property(
      fc.oneof(fc.integer(), fc.integer({ min: -CAPACITY, max: 2 * CAPACITY })),
      fc.integer({ min: 0, max: 64 }),
      fc.integer({ min: 0, max: 64 }),
      (value, written, read) => {
        const { region, producer, consumer } = filled(written);
        consumer.read(new Collector(), CAPACITY, read);
        new Int32Array(region.buffer)[offset >> 2] = value;
        expect(recovers(producer, consumer, 5)).toBe(true);
      },
    );
    fc.assert(property, { numRuns: 2000 });
  });

  test('neither loops nor throws nor leaves its bounds, whatever is in it, and works again', () => {
    const damage = fc.array(
      fc.tuple(
        fc.integer({ min: RingHeader.HEAD >> 2, max: (RingHeader.DATA + CAPACITY) / 4 - 1 }),
        fc.integer(),
      ),
      { minLength: 1, maxLength: 20, size: 'max' },
    );
    const property = fc.property(
      fc.array(damage, { minLength: 1, maxLength: 4, size: 'max' }),
      fc.integer({ min: 0, max: 200 }),
      (rounds, length) => {
        const { region, producer, consumer } = filled(4, length);
        const words = new Int32Array(region.buffer);
        for (const writes of rounds) {
          for (const [word, value] of writes) words[word] = value;
          // The collector throws when a record lies outside the ring.
          const got = new Collector();
          for (let reads = 0; consumer.read(got) > 0; reads++) expect(reads).toBeLessThan(CAPACITY);
          if (producer.tryWrite(pattern(length, 9))) producer.commit();
        }
        expect(recovers(producer, consumer, 5)).toBe(true);
      },
    );
    fc.assert(property, { numRuns: 2000 });
  });

  test('of pure noise yields no record', () => {
    const property = fc.property(
      fc.uint8Array({ minLength: CAPACITY, maxLength: CAPACITY }),
      fc.integer(),
      (noise, head) => {
        const region = createRing(CAPACITY);
        const consumer = new RingConsumer(region);
        consumer.bytes.set(noise);
        new Int32Array(region.buffer)[RingHeader.HEAD >> 2] = head;
        const got = new Collector();
        for (let reads = 0; reads < 3; reads++) consumer.read(got);
        expect(got.records).toEqual([]);
        expect(consumer.resets).toBe(head === 0 ? 0 : 1);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});
