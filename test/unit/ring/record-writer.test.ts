import { describe, expect, test } from 'vitest';
import { createRing } from '../../../src/ring/byte-ring.ts';
import { RecordWriter, WriteStatus } from '../../../src/ring/record-writer.ts';
import { RingProducer } from '../../../src/ring/ring-producer.ts';
import { pattern } from './collector.ts';
import { message, PublishChannel } from './publish-channel.ts';

const CAPACITY = 1024;

describe('a message', () => {
  test('arrives as it was written, with all that is said about it', () => {
    const channel = new PublishChannel(CAPACITY);
    const messages = [
      message(),
      message({ topic: '', frame: new Uint8Array(0), sequence: 0, publisher: 0, opcode: 0 }),
      message({ topic: 'Zürich/😀', topicHash: 2 ** 31 - 1, opcode: 255, compressed: true, publisher: 255 }),
      message({ sequence: Number.MAX_SAFE_INTEGER, frame: pattern(700, 3) }),
      message({ topic: '\ufeff__proto__', topicHash: -(2 ** 31), frame: pattern(224, 4) }),
    ];
    for (const m of messages) channel.send(m);
    channel.flush();
    messages.forEach((m, i) => expect(channel.received[i]).toEqual({ ...m, owned: m.frame.length > 200 }));
    expect(channel.received).toHaveLength(messages.length);
  });

  test('can be written over right after the call when it is DONE', () => {
    const channel = new PublishChannel(CAPACITY);
    const reused = message({ frame: pattern(100, 1) });
    expect(channel.writer.write(reused)).toBe(WriteStatus.DONE);
    reused.frame.fill(0);
    reused.topic = 'other';
    channel.flush();
    expect(channel.received[0]).toMatchObject({ topic: 'news', frame: pattern(100, 1) });
  });

  test('is not seen before the commit', () => {
    const channel = new PublishChannel(CAPACITY);
    channel.writer.write(message());
    channel.consumer.read(channel.assembler);
    expect(channel.received).toEqual([]);
    channel.flush();
    expect(channel.received).toHaveLength(1);
  });
});

describe('a full ring', () => {
  test('takes nothing of a message in one record', () => {
    const channel = new PublishChannel(CAPACITY);
    let sequence = 0;
    while (channel.writer.write(message({ sequence })) === WriteStatus.DONE) sequence++;
    const { pending } = channel.producer;
    expect(channel.writer.write(message({ sequence }))).toBe(WriteStatus.FULL);
    expect([channel.producer.pending, channel.writer.busy]).toEqual([pending, false]);
    channel.flush();
    expect(channel.writer.write(message({ sequence }))).toBe(WriteStatus.DONE);
    channel.flush();
    expect(channel.received.map((m) => m.sequence)).toEqual(
      Array.from({ length: sequence + 1 }, (_, i) => i),
    );
  });

  test('takes what it can of a message in pieces, and no other before its end', () => {
    const channel = new PublishChannel(CAPACITY);
    const big = message({ frame: pattern(5000, 1), sequence: 1 });
    expect(channel.writer.write(big)).toBe(WriteStatus.PARTIAL);
    expect(channel.writer.busy).toBe(true);
    expect(channel.writer.write(message({ sequence: 2 }))).toBe(WriteStatus.FULL);
    expect(channel.writer.resume()).toBe(WriteStatus.PARTIAL);
    channel.flush();
    expect(channel.writer.write(message({ sequence: 2 }))).toBe(WriteStatus.FULL);
    for (let turns = 0; channel.writer.resume() === WriteStatus.PARTIAL; turns++) {
      expect(turns).toBeLessThan(20);
      channel.flush();
    }
    expect(channel.writer.busy).toBe(false);
    expect(channel.writer.resume()).toBe(WriteStatus.DONE);
    expect(channel.writer.write(message({ sequence: 2 }))).toBe(WriteStatus.DONE);
    channel.flush();
    expect(channel.received.map((m) => [m.sequence, m.frame.length])).toEqual([
      [1, 5000],
      [2, 3],
    ]);
    expect(channel.received[0]!.frame).toEqual(pattern(5000, 1));
  });
});

describe('limits', () => {
  test('of the frame are kept to the byte', () => {
    const channel = new PublishChannel(CAPACITY, 0, 2000);
    expect(channel.writer.write(message({ frame: new Uint8Array(2001) }))).toBe(WriteStatus.TOO_BIG);
    expect(channel.producer.pending).toBe(0);
    channel.send(message({ frame: pattern(2000, 1) }));
    channel.send(message({ frame: pattern(1999, 2) }));
    channel.flush();
    expect(channel.received.map((m) => m.frame.length)).toEqual([2000, 1999]);
  });

  test('of the topic are kept to the byte of UTF-8', () => {
    const channel = new PublishChannel(CAPACITY);
    const { maxTopicLength } = channel.writer;
    expect(maxTopicLength).toBe(CAPACITY / 4 - 40);
    const topics = [
      'x'.repeat(maxTopicLength),
      `${'x'.repeat(maxTopicLength - 2)}é`,
      `${'x'.repeat(maxTopicLength - 1)}é`,
    ];
    expect(channel.writer.write(message({ topic: topics[2]! }))).toBe(WriteStatus.TOO_BIG);
    for (const topic of topics.slice(0, 2)) channel.send(message({ topic, frame: pattern(600, 1) }));
    channel.flush();
    expect(channel.received.map((m) => m.topic)).toEqual(topics.slice(0, 2));
  });

  test('that make no sense are refused', () => {
    const invalid = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' });
    const producer = new RingProducer(createRing(CAPACITY));
    for (const limit of [-1, 1.5, 2 ** 31, Number.NaN])
      expect(() => new RecordWriter(producer, limit)).toThrow(invalid);
    expect(() => new RecordWriter(new RingProducer(createRing(512)), 100)).toThrow(invalid);
    const writer = new RecordWriter(producer, 100);
    for (const sequence of [-1, 0.5, 2 ** 53, Number.NaN])
      expect(() => writer.write(message({ sequence }))).toThrow(invalid);
  });
});
