import { beforeEach, describe, expect, test } from 'vitest';
import type { BusGroup } from '../../../src/bus/bus.ts';
import { Message } from '../../../src/bus/message.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { Shard } from '../../../src/shard/shard.ts';
import { asciiPattern } from '../../support/protocol/frame-bytes.ts';
import { BusReader } from './bus-reader.ts';

let shard: Shard;
beforeEach(() => {
  shard = new Shard();
});

const message = new Message();

function send(group: BusGroup, text: string, isBinary = false): void {
  shard.bus.sendToGroup(group, message.set('', Buffer.from(text), isBinary));
}

function endTurn(): void {
  shard.bus.onTurnEnd();
  shard.io.flushDirty();
}

function join(group: BusGroup, count: number): BusReader[] {
  return Array.from({ length: count }, () => {
    const reader = new BusReader(shard);
    expect(shard.bus.join(group, reader)).toBe(true);
    return reader;
  });
}

describe('what is sent to a group', () => {
  test('comes to its members alone, in one write of the same bytes, and counts as no publish', () => {
    const [group, other] = [shard.bus.openGroup(), shard.bus.openGroup()];
    const [a, b] = join(group, 2) as [BusReader, BusReader];
    const [c] = join(other, 1) as [BusReader];
    for (let i = 0; i < 10; i++) send(group, `${i}`, i % 2 === 1);
    endTurn();
    const frames = a.frames();
    expect(frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual(
      Array.from({ length: 10 }, (_, i) => `${i}`),
    );
    expect(frames.map(({ opcode }) => opcode)).toEqual([1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
    expect(b.frames()).toHaveLength(10);
    expect(c.frames()).toHaveLength(0);
    expect([a.writes, b.writes]).toEqual([1, 1]);
    expect(a.memories[0]).toBe(b.memories[0]);
    expect([shard.counters[Counter.PUBLISHED], shard.counters[Counter.DELIVERED]]).toEqual([0, 20]);
  });

  test('has its place among publishes, direct sends and large messages', () => {
    const group = shard.bus.openGroup();
    const [a] = join(group, 1) as [BusReader];
    a.subscribe('t');
    send(group, '1');
    shard.publish('t', '2', false, null);
    send(group, '3');
    a.send('4');
    const large = asciiPattern(100_000);
    send(group, large);
    send(group, '5');
    endTurn();
    expect(a.texts()).toEqual(['1', '2', '3', '4', large, '5']);
  });

  test('before somebody joined is not for it, and before it leaves is', () => {
    const group = shard.bus.openGroup();
    const [a, b] = join(group, 2) as [BusReader, BusReader];
    send(group, '1');
    shard.bus.leave(group, b);
    send(group, '2');
    const late = new BusReader(shard);
    shard.bus.join(group, late);
    shard.bus.join(group, b);
    send(group, '3');
    endTurn();
    expect([a.texts(), b.texts(), late.texts()]).toEqual([['1', '2', '3'], ['1', '3'], ['3']]);
    for (const reader of [a, b, late]) shard.bus.leave(group, reader);
    expect(group.subscribers.size).toBe(0);
    expect([a.subscriptions, b.subscriptions]).toEqual([null, null]);
    send(group, '4');
    endTurn();
    expect(a.texts()).toEqual([]);
  });

  test('never meets a publish to any name, and a group is no topic of its members', () => {
    const group = shard.bus.openGroup();
    const [a] = join(group, 1) as [BusReader];
    const [topic] = [new BusReader(shard).subscribe('')];
    expect(shard.publish('', 'to the topic without a name', false, null)).toBe(true);
    send(group, 'to the group');
    endTurn();
    expect(a.texts()).toEqual(['to the group']);
    expect(topic.texts()).toEqual(['to the topic without a name']);
    expect(shard.bus.topics.topicsOf(a)).toEqual([]);
    expect(shard.subscriberCount('')).toBe(1);
  });

  test('is dropped for a member that takes too little, which may leave meanwhile', () => {
    const group = shard.bus.openGroup();
    const [a, slow] = join(group, 2) as [BusReader, BusReader];
    slow.onDropped = () => {
      slow.close();
      shard.bus.leave(group, slow);
    };
    slow.block();
    for (let i = 0; i < 4; i++) {
      send(group, String(i).repeat(600));
      endTurn();
    }
    expect(slow.dropped).toHaveLength(1);
    expect(a.texts()).toHaveLength(4);
    expect(group.subscribers.size).toBe(1);
    expect(shard.bus.join(group, slow)).toBe(false);
  });

  test('goes compressed to those that take it so', () => {
    const group = shard.bus.openGroup();
    const [plain, deflating] = join(group, 2) as [BusReader, BusReader];
    deflating.deflateBits = 15;
    shard.bus.variants!.add(15);
    shard.bus.sendToGroup(group, message.set('', Buffer.from('a'.repeat(5000)), false, true));
    endTurn();
    expect(plain.texts()).toEqual(['a'.repeat(5000)]);
    expect(deflating.foreign).toBe(1);
    expect(deflating.frames()[0]!.payload.length).toBeLessThan(200);
  });
});
