import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { OutgoingRecord } from '../../../src/ring/record.ts';
import { RecordAssembler } from '../../../src/ring/record-assembler.ts';
import { WriteStatus } from '../../../src/ring/record-writer.ts';
import { RingConsumer } from '../../../src/ring/ring-consumer.ts';
import { TopicReader } from '../../../src/ring/topic-bytes.ts';
import { EDGE_CURSORS, pattern } from './collector.ts';
import { message, RecordChannel } from './record-channel.ts';

const CAPACITY = 1024;
const PIECE = CAPACITY / 4;

/** A body at a given alignment in memory. */
function bodyAt(alignment: number, length: number, seed: number): Uint8Array {
  const body = new Uint8Array(new ArrayBuffer(length + alignment), alignment);
  body.set(pattern(length, seed));
  return body;
}

/** All of a message that has to be equal at both ends. */
function described(m: OutgoingRecord): unknown[] {
  return [
    m.name,
    m.tag,
    m.kind,
    m.flags,
    m.isAddressed,
    m.sender,
    m.instance,
    m.sequence,
    Buffer.from(m.body).toString('hex'),
  ];
}

describe('messages', () => {
  test('arrive whole at every length around the edges of pieces, at every alignment', () => {
    for (let alignment = 0; alignment < 8; alignment++) {
      const channel = new RecordChannel(CAPACITY);
      const lengths = Array.from({ length: 4 * PIECE }, (_, i) => i);
      lengths.forEach((length, sequence) => {
        channel.send(
          message({ body: bodyAt(alignment, length, sequence), sequence, name: 't'.repeat(length % 9) }),
        );
      });
      channel.flush();
      expect(channel.received.map((m) => m.sequence)).toEqual(lengths);
      channel.received.forEach(({ body, name, owned }, i) => {
        if (Buffer.compare(body, pattern(i, i)) !== 0) throw new Error(`wrong bytes at length ${i}`);
        expect(name.length).toBe(i % 9);
        // What fits a piece is handed over where it lies in the ring.
        if (i < PIECE - 50) expect(owned).toBe(false);
        if (i > PIECE) expect(owned).toBe(true);
      });
      expect([channel.assembler.broken, channel.assembler.malformed, channel.assembler.tooBig]).toEqual([
        0, 0, 0,
      ]);
    }
  });

  test('of any size come in order through a ring of any cursor, far smaller than they are', () => {
    const property = fc.property(
      fc.array(
        fc.tuple(fc.oneof(fc.nat(300), fc.nat(20_000)), fc.nat(7), fc.string({ maxLength: 40, size: 'max' })),
        {
          maxLength: 20,
          size: 'max',
        },
      ),
      fc.constantFrom(...EDGE_CURSORS),
      (list, cursor) => {
        const channel = new RecordChannel(CAPACITY, cursor);
        const sent = list.map(([length, alignment, text], sequence) =>
          message({
            body: bodyAt(alignment, length, sequence),
            sequence,
            name: text.replace(/\p{Surrogate}/gu, '?'),
          }),
        );
        for (const m of sent) channel.send(m);
        channel.flush();
        expect(channel.received.map(described)).toEqual(sent.map(described));
      },
    );
    fc.assert(property, { numRuns: 150 });
  });

  test('of 1 MiB pass a ring of 256 KiB', () => {
    const channel = new RecordChannel(256 * 1024);
    const body = pattern(1 << 20, 1);
    for (let sequence = 0; sequence < 3; sequence++) channel.send(message({ body, sequence }));
    channel.flush();
    expect(channel.received.map((m) => Buffer.compare(m.body, body))).toEqual([0, 0, 0]);
  });

  test('in pieces belong to the receiver, who may keep them', () => {
    const channel = new RecordChannel(CAPACITY);
    const kept: Uint8Array[] = [];
    channel.onMessage = (record) => {
      if (record.owned) kept.push(record.body());
    };
    for (let i = 0; i < 10; i++) channel.send(message({ body: pattern(3000, i), sequence: i }));
    channel.flush();
    expect(kept).toEqual(Array.from({ length: 10 }, (_, i) => pattern(3000, i)));
  });
});

describe('a message of which a piece is missing', () => {
  test('is dropped when its producer is replaced, and counted once', () => {
    const channel = new RecordChannel(CAPACITY);
    channel.writer.write(message({ body: pattern(5000, 1), sequence: 1 }));
    channel.flush();
    channel.replaceProducer();
    channel.send(message({ sequence: 2 }));
    channel.send(message({ body: pattern(2000, 2), sequence: 3 }));
    channel.flush();
    expect(channel.received.map((m) => [m.sequence, m.body.length])).toEqual([
      [2, 3],
      [3, 2000],
    ]);
    expect(channel.events).toEqual(['restart 2']);
    expect([channel.assembler.broken, channel.assembler.malformed]).toEqual([1, 0]);
  });

  test('is dropped when its writer gives it up', () => {
    const channel = new RecordChannel(CAPACITY);
    channel.writer.write(message({ body: pattern(5000, 1), sequence: 1 }));
    channel.writer.abandon();
    expect(channel.writer.busy).toBe(false);
    channel.flush();
    channel.send(message({ body: pattern(2000, 2), sequence: 2 }));
    channel.flush();
    expect(channel.received.map((m) => m.sequence)).toEqual([2]);
    expect(channel.assembler.broken).toBe(1);
  });

  test('is dropped when the ring is reset in the middle of it, with its remaining pieces', () => {
    const channel = new RecordChannel(CAPACITY);
    channel.writer.write(message({ body: pattern(5000, 1), sequence: 1 }));
    channel.producer.commit();
    channel.consumer.read(channel.assembler, 1, 1);
    channel.producer.words[PIECE / 4] = -77;
    while (channel.writer.resume() !== WriteStatus.DONE) channel.flush();
    channel.send(message({ sequence: 2 }));
    channel.flush();
    expect(channel.received.map((m) => m.sequence)).toEqual([2]);
    expect(channel.events).toEqual([expect.stringMatching(/^reset [1-9]/)]);
    // The message, and the run of its pieces that came after the reset.
    expect([channel.assembler.broken, channel.assembler.malformed]).toEqual([2, 0]);
  });

  test('is not completed with pieces of another one', () => {
    for (const change of ['sequence', 'sender', 'offset'] as const) {
      const channel = new RecordChannel(CAPACITY);
      channel.writer.write(message({ body: pattern(400, 1), sequence: 1, sender: 1 }));
      const second = PIECE / 4 + 2;
      if (change === 'sequence') channel.producer.words[second + 2]!++;
      if (change === 'sender') channel.producer.words[second]! ^= 1 << 16;
      if (change === 'offset') channel.producer.words[second + 1]! += 8;
      channel.flush();
      expect(channel.received).toEqual([]);
      expect(channel.assembler.broken).toBe(1);
    }
  });
});

describe('a message over the limit', () => {
  test('is skipped with all its pieces, and counted', () => {
    const channel = new RecordChannel(CAPACITY);
    const consumer = new RingConsumer(channel.region);
    const strict = new RecordAssembler(consumer, channel, new TopicReader(), 1000);
    const drain = (): void => {
      channel.producer.commit();
      while (consumer.read(strict) > 0);
    };
    const lengths = [1000, 1001, 20, 150, 4000, 999];
    lengths.forEach((length, sequence) => {
      let status = channel.writer.write(message({ body: pattern(length, sequence), sequence }));
      for (drain(); status === WriteStatus.PARTIAL; drain()) status = channel.writer.resume();
    });
    drain();
    expect(channel.received.map((m) => m.body.length)).toEqual([1000, 20, 150, 999]);
    expect([strict.tooBig, strict.broken, strict.malformed]).toEqual([2, 0, 0]);
  });
});

describe('records that hold no message', () => {
  test('are counted and passed over, whatever is in them', () => {
    const word = fc.oneof(fc.integer(), fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 7 }));
    const record = fc.tuple(fc.array(word, { maxLength: 30, size: 'max' }), fc.nat(3));
    const whole = pattern(3000, 9);
    const property = fc.property(fc.array(record, { maxLength: 20, size: 'max' }), (records) => {
      const channel = new RecordChannel(8192, 0, 5000);
      for (const [words, extra] of records) {
        const offset = channel.producer.claim(words.length * 4 + extra);
        channel.producer.words.set(words, offset >> 2);
      }
      channel.send(message({ sequence: 9, body: whole }));
      channel.flush();
      expect(Buffer.compare(channel.received.at(-1)!.body, whole)).toBe(0);
      for (const { body } of channel.received) expect(body.length).toBeLessThanOrEqual(5000);
      const { broken, malformed, tooBig } = channel.assembler;
      expect(broken + malformed + tooBig + channel.received.length).toBeLessThanOrEqual(
        2 * records.length + 1,
      );
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('are counted once each when they are too short or their lengths contradict each other', () => {
    const channel = new RecordChannel(4096);
    const put = (words: number[], length = words.length * 4): void => {
      const offset = channel.producer.claim(length);
      channel.producer.words.set(words.slice(0, length >> 2), offset >> 2);
    };
    const FIRST_AND_LAST = 3;
    const FIRST = 1;
    put([]);
    put([FIRST_AND_LAST, 0, 0], 12);
    put([FIRST_AND_LAST, 0, 0, 0], 16);
    put([FIRST_AND_LAST, 1, 0, 0, 0, 0]);
    put([FIRST_AND_LAST, -1, 0, 0, 0, 0]);
    put([FIRST_AND_LAST, 0, 0, 0, 1, 0]);
    put([FIRST_AND_LAST, 0, 0, 0, -1, 0]);
    put([FIRST_AND_LAST, 0, 0, 0, 2 ** 31 - 1, 0]);
    put([FIRST, 0, 0, 0, 0, 0]);
    channel.flush();
    expect([channel.assembler.malformed, channel.assembler.broken, channel.received.length]).toEqual([
      9, 0, 0,
    ]);
  });

  test('are no reason to accept a limit that makes no sense', () => {
    const channel = new RecordChannel(CAPACITY);
    const invalid = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' });
    for (const limit of [-1, 1.5, 2 ** 31]) {
      expect(() => new RecordAssembler(channel.consumer, channel, new TopicReader(), limit)).toThrow(invalid);
    }
  });
});
