import { describe, expect, test } from 'vitest';
import { createRing } from '../../../src/ring/byte-ring.ts';
import { RecordWriter, WriteStatus } from '../../../src/ring/record-writer.ts';
import { RingProducer } from '../../../src/ring/ring-producer.ts';
import { pattern } from './collector.ts';
import { message, RecordChannel } from './record-channel.ts';

const CAPACITY = 1024;

describe('a message', () => {
  test('arrives as it was written, with all that is said about it', () => {
    const channel = new RecordChannel(CAPACITY);
    const messages = [
      message(),
      message({ name: '', body: new Uint8Array(0), sequence: 0, sender: 0, kind: 0 }),
      message({ name: 'Zürich/😀', tag: 2 ** 31 - 1, kind: 255, flags: 31, sender: 63, instance: 127 }),
      message({ sequence: Number.MAX_SAFE_INTEGER, isAddressed: true, body: pattern(700, 3) }),
      message({ name: '\ufeff__proto__', tag: -(2 ** 31), body: pattern(224, 4) }),
    ];
    for (const m of messages) channel.send(m);
    channel.flush();
    messages.forEach((m, i) => expect(channel.received[i]).toEqual({ ...m, owned: m.body.length > 200 }));
    expect(channel.received).toHaveLength(messages.length);
  });

  test('can be written over right after the call when it is DONE', () => {
    const channel = new RecordChannel(CAPACITY);
    const reused = { ...message({ body: pattern(100, 1) }) };
    expect(channel.writer.write(reused)).toBe(WriteStatus.DONE);
    reused.body.fill(0);
    Object.assign(reused, { name: 'other' });
    channel.flush();
    expect(channel.received[0]).toMatchObject({ name: 'news', body: pattern(100, 1) });
  });

  test('is not seen before the commit', () => {
    const channel = new RecordChannel(CAPACITY);
    channel.writer.write(message());
    channel.consumer.read(channel.assembler);
    expect(channel.received).toEqual([]);
    channel.flush();
    expect(channel.received).toHaveLength(1);
  });
});

describe('a full ring', () => {
  test('takes nothing of a message in one record', () => {
    const channel = new RecordChannel(CAPACITY);
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
    const channel = new RecordChannel(CAPACITY);
    const big = message({ body: pattern(5000, 1), sequence: 1 });
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
    expect(channel.received.map((m) => [m.sequence, m.body.length])).toEqual([
      [1, 5000],
      [2, 3],
    ]);
    expect(channel.received[0]!.body).toEqual(pattern(5000, 1));
  });
});

describe('limits', () => {
  test('of the body are kept to the byte', () => {
    const channel = new RecordChannel(CAPACITY, 0, 2000);
    expect(channel.writer.write(message({ body: new Uint8Array(2001) }))).toBe(WriteStatus.TOO_BIG);
    expect(channel.producer.pending).toBe(0);
    channel.send(message({ body: pattern(2000, 1) }));
    channel.send(message({ body: pattern(1999, 2) }));
    channel.flush();
    expect(channel.received.map((m) => m.body.length)).toEqual([2000, 1999]);
  });

  test('of the name are kept to the byte of UTF-8', () => {
    const channel = new RecordChannel(CAPACITY);
    const { maxNameLength } = channel.writer;
    expect(maxNameLength).toBe(CAPACITY / 4 - 40);
    const topics = [
      'x'.repeat(maxNameLength),
      `${'x'.repeat(maxNameLength - 2)}é`,
      `${'x'.repeat(maxNameLength - 1)}é`,
    ];
    expect(channel.writer.write(message({ name: topics[2]! }))).toBe(WriteStatus.TOO_BIG);
    for (const name of topics.slice(0, 2)) channel.send(message({ name, body: pattern(600, 1) }));
    channel.flush();
    expect(channel.received.map((m) => m.name)).toEqual(topics.slice(0, 2));
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
