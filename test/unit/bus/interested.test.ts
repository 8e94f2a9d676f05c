import { describe, expect, test } from 'vitest';
import { createLinkMemory, type LinkMemory } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { Message } from '../../../src/bus/message.ts';
import { Participant } from '../../../src/bus/participant.ts';
import { Publisher } from '../../../src/bus/publisher.ts';
import type { RecordKind } from '../../../src/bus/record-kinds.ts';
import { THREAD_SLOTS } from '../../../src/metrics/counter.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { pairStats, quiet } from './link-threads.ts';

const NOTE = 200 as RecordKind;

class Thread {
  readonly participant: Participant;
  readonly got: string[] = [];

  constructor(memory: LinkMemory | null, id: number) {
    const counters = new Float64Array(THREAD_SLOTS);
    this.participant = new Participant('shard', id, new Publisher(counters), counters);
    this.participant.on(NOTE, (bytes, from, instance, name) => {
      this.got.push(`${from}.${instance} ${name}: ${Buffer.from(Uint8Array.from(bytes)).toString()}`);
    });
    if (memory !== null) this.link(memory, id);
  }

  link(memory: LinkMemory, id: number): void {
    this.participant.link(new Links(memory, id, () => {}));
  }

  send(names: readonly string[], text: string) {
    const bytes = Buffer.from(text);
    const result = { ...this.participant.sendToInterested(NOTE, names, bytes) };
    bytes.fill(0xdd);
    return result;
  }
}

describe('a record that is sent to a name', () => {
  test('comes to the threads that are interested, once, and not to the sender', async () => {
    const memory = createLinkMemory(4, 5);
    const [a, b, c, d] = [0, 1, 2, 3].map((id) => new Thread(memory, id)) as [Thread, Thread, Thread, Thread];
    a.participant.addInterest('x');
    b.participant.addInterest('x');
    b.participant.addInterest('y');
    c.participant.addInterest('y');
    expect([
      a.participant.isWanted(['x']),
      a.participant.isWanted(['z']),
      a.participant.isWanted(['z', 'y']),
    ]).toEqual([true, false, true]);
    expect(a.send(['x', 'y'], '1')).toMatchObject({ written: 2, dropped: 0 });
    expect(a.send(['z'], '2')).toMatchObject({ written: 0 });
    expect(d.send(['x'], '3')).toMatchObject({ written: 2 });
    await quiet(memory);
    expect(a.got).toEqual(['3.1 x: 3']);
    expect(b.got).toEqual(['0.1 x: 1', '3.1 x: 3']);
    expect(c.got).toEqual(['0.1 x: 1']);
    expect(d.got).toEqual([]);
  });

  test('comes while the interest lasts, which is counted', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = [new Thread(memory, 0), new Thread(memory, 1)];
    b.participant.addInterest('x');
    b.participant.addInterest('x');
    b.participant.removeInterest('x');
    a.send(['x'], '1');
    b.participant.removeInterest('x');
    expect(a.participant.isWanted(['x'])).toBe(false);
    a.send(['x'], '2');
    await quiet(memory);
    expect(b.got).toEqual(['0.1 x: 1']);
    expect(() => {
      b.participant.removeInterest('x');
    }).toThrow('never added');
  });

  test('keeps its place among what is published and addressed, of any length', async () => {
    const memory = createLinkMemory(2, 5, 4096);
    const [a, b] = [new Thread(memory, 0), new Thread(memory, 1)];
    const events: string[] = [];
    b.participant.addInterest('x');
    b.participant.listen('x', ({ payload }) => events.push(`published ${payload.length}`));
    b.participant.on(201 as RecordKind, (bytes, _from, _instance, name) => {
      events.push(`${name === '' ? 'addressed' : name} ${bytes.length}`);
    });
    const KIND = 201 as RecordKind;
    a.participant.sendToInterested(KIND, ['x'], pattern(10));
    a.participant.publish(new Message().set('x', pattern(11), true));
    a.participant.sendTo(1, KIND, pattern(12));
    a.participant.sendToInterested(KIND, ['x'], pattern(100_000));
    a.participant.sendTo(1, KIND, pattern(13));
    await quiet(memory);
    expect(events).toEqual(['x 10', 'published 11', 'addressed 12', 'x 100000', 'addressed 13']);
  });

  test('is never a publish to the topic of that name, nor that one of these', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = [new Thread(memory, 0), new Thread(memory, 1)];
    const heard: string[] = [];
    b.participant.addInterest('x');
    b.participant.listen('x', ({ payload }) => heard.push(Buffer.from(payload).toString()));
    a.send(['x'], 'sent');
    a.participant.publish(new Message().set('x', 'published', false));
    await quiet(memory);
    expect([b.got, heard]).toEqual([['0.1 x: sent'], ['published']]);
  });

  test('comes to a thread that was interested before it was linked, and to none that is not', async () => {
    const b = new Thread(null, 1);
    b.participant.addInterest('x');
    expect(b.participant.isWanted(['x'])).toBe(false);
    expect(b.send(['x'], 'to nobody')).toMatchObject({ written: 0 });
    expect(b.participant.maxNameLength).toBe(Number.POSITIVE_INFINITY);
    const memory = createLinkMemory(2, 5);
    const a = new Thread(memory, 0);
    b.link(memory, 1);
    expect(b.participant.maxNameLength).toBeLessThan(2 ** 20);
    a.send(['x'], 'hello');
    await quiet(memory);
    expect(b.got).toEqual(['0.1 x: hello']);
    b.participant.unlink();
    expect(a.participant.isWanted(['x'])).toBe(false);
    b.participant.removeInterest('x');
  });

  test('of a kind that nobody takes is counted', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = [new Thread(memory, 0), new Thread(memory, 1)];
    b.participant.addInterest('x');
    a.participant.sendToInterested(202 as RecordKind, ['x'], pattern(3));
    await quiet(memory);
    expect(pairStats(memory, 0, 1)).toMatchObject({ UNHANDLED: 1 });
  });
});
