import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLinkMemory, type LinkMemory } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { SLAB_SIZE } from '../../../src/net/write-memory.ts';
import { Shard } from '../../../src/shard/shard.ts';
import { asciiPattern, pattern } from '../../support/protocol/frame-bytes.ts';
import { BusReader } from './bus-reader.ts';
import { quiet } from './link-threads.ts';

let shard: Shard;
beforeEach(() => {
  shard = new Shard();
});

function readers(count: number): BusReader[] {
  return Array.from({ length: count }, () => new BusReader(shard));
}

/** Ends a turn of the event loop, as far as the bus is concerned. */
function endTurn(): void {
  shard.bus.onTurnEnd();
  shard.io.flushDirty();
}

/** The event loop has gone round once more. */
function nextRound(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function publish(topic: string, message: string | Uint8Array, isBinary = false): boolean {
  return shard.publish(topic, message, isBinary, null);
}

describe('publishes of a turn', () => {
  test('come to all subscribers at its end, in one write each', () => {
    const [a, b, c] = readers(3) as [BusReader, BusReader, BusReader];
    a.subscribe('x', 'y');
    b.subscribe('y');
    const expected: string[] = [];
    for (let i = 0; i < 50; i++) {
      expect(publish(i % 2 === 0 ? 'x' : 'y', String(i))).toBe(true);
      expected.push(String(i));
    }
    expect([a.texts(), b.texts()]).toEqual([[], []]);
    endTurn();
    expect(a.texts()).toEqual(expected);
    expect(b.texts()).toEqual(expected.filter((_, i) => i % 2 === 1));
    expect(c.texts()).toEqual([]);
    expect([a.writes, b.writes, c.writes]).toEqual([1, 1, 0]);
    endTurn();
    expect(a.texts()).toEqual([]);
    expect(shard.counters[Counter.PUBLISHED]).toBe(50);
    expect(shard.counters[Counter.DELIVERED]).toBe(75);
    expect(shard.counters[Counter.MESSAGES_OUT]).toBe(75);
  });

  test('are framed as text or binary, of every length', () => {
    const [a] = readers(1) as [BusReader];
    a.subscribe('t');
    const lengths = [0, 1, 40, 41, 42, 125, 126, 5000, 5462, 16_373, 16_374, 16_375, 65_535, 65_536, 200_000];
    for (const length of lengths) {
      publish('t', asciiPattern(length));
      publish('t', pattern(length), true);
      publish('t', 'é😀\ud800'.repeat(length >> 3));
    }
    endTurn();
    const frames = a.frames();
    expect(frames).toHaveLength(lengths.length * 3);
    lengths.forEach((length, i) => {
      const [ascii, binary, text] = frames.slice(i * 3) as [
        (typeof frames)[0],
        (typeof frames)[0],
        (typeof frames)[0],
      ];
      expect([ascii.opcode, binary.opcode, text.opcode, ascii.fin]).toEqual([1, 2, 1, true]);
      expect(Buffer.from(ascii.payload).toString()).toBe(asciiPattern(length));
      expect(Buffer.compare(binary.payload, pattern(length))).toBe(0);
      expect(Buffer.from(text.payload).toString()).toBe('é😀\ufffd'.repeat(length >> 3));
    });
  });

  test('of their own are not sent to those who published, among those of others', () => {
    const [a, b, c] = readers(3) as [BusReader, BusReader, BusReader];
    for (const reader of [a, b, c]) reader.subscribe('t');
    for (const [reader, text] of [
      [a, 'a1'],
      [a, 'a2'],
      [b, 'b1'],
      [a, 'a3'],
      [b, 'b2'],
      [b, 'b3'],
    ] as const) {
      expect(reader.publish('t', text)).toBe(true);
    }
    publish('t', 'of nobody');
    endTurn();
    expect(a.texts()).toEqual(['b1', 'b2', 'b3', 'of nobody']);
    expect(b.texts()).toEqual(['a1', 'a2', 'a3', 'of nobody']);
    expect(c.texts()).toEqual(['a1', 'a2', 'b1', 'a3', 'b2', 'b3', 'of nobody']);
    expect([a.writes, b.writes, c.writes]).toEqual([1, 1, 1]);
  });

  test('say whether there is anybody to get them', () => {
    const [a, b] = readers(2) as [BusReader, BusReader];
    expect(publish('t', 'm')).toBe(false);
    a.subscribe('t');
    expect([publish('t', 'm'), a.publish('t', 'm'), b.publish('t', 'm')]).toEqual([true, false, true]);
    b.subscribe('t');
    expect(a.publish('t', 'm')).toBe(true);
    a.close();
    expect([b.publish('t', 'm'), publish('t', 'm')]).toEqual([false, true]);
    b.unsubscribe('t');
    expect(publish('t', 'm')).toBe(false);
    expect(shard.subscriberCount('t')).toBe(0);
  });

  test('of more than a slab are delivered in between', () => {
    const [a, b] = readers(2) as [BusReader, BusReader];
    a.subscribe('t');
    b.subscribe('t', 'u');
    const expected: number[] = [];
    for (let i = 0; i < 100; i++) {
      publish(i % 10 === 0 ? 'u' : 't', pattern(3000 + i, i), true);
      expected.push(i);
    }
    endTurn();
    const [forA, forB] = [a, b].map((reader) => reader.frames().map(({ payload }) => payload.length - 3000));
    expect(forA).toEqual(expected.filter((i) => i % 10 !== 0));
    expect(forB).toEqual(expected);
    expect(b.writes).toBe(Math.ceil((100 * 3050) / SLAB_SIZE));
  });

  test('are delivered by the event loop without anybody’s help', async () => {
    const [a] = readers(1) as [BusReader];
    a.subscribe('t');
    publish('t', 'one');
    await nextRound();
    expect(a.texts()).toEqual(['one']);
  });
});

describe('a flush right behind one to many sockets', () => {
  let now = 0;
  beforeEach(() => {
    now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Subscribers of 't' that have just got a message. */
  function flushed(count: number): BusReader[] {
    const all = readers(count);
    for (const reader of all) reader.subscribe('t');
    publish('t', 'first');
    endTurn();
    for (const reader of all) expect(reader.texts()).toEqual(['first']);
    return all;
  }

  test('waits one round of the loop for more', () => {
    const all = flushed(256);
    publish('t', 'a');
    endTurn();
    for (const reader of all) expect([reader.texts(), reader.writes]).toEqual([[], 1]);
    publish('t', 'b');
    endTurn();
    for (const reader of all) expect([reader.texts(), reader.writes]).toEqual([['a', 'b'], 2]);
    // It was a large one itself.
    publish('t', 'c');
    endTurn();
    expect(all[0]!.texts()).toEqual([]);
    endTurn();
    expect(all[0]!.texts()).toEqual(['c']);
  });

  test('does not wait a millisecond later, nor behind one to fewer sockets', () => {
    const many = flushed(256);
    now += 1;
    publish('t', 'a');
    endTurn();
    for (const reader of many) expect(reader.texts()).toEqual(['a']);
    for (const reader of many.slice(0, -255)) reader.close();
    now += 1;
    publish('t', 'b');
    endTurn();
    publish('t', 'c');
    endTurn();
    for (const reader of many.slice(-255)) expect(reader.texts()).toEqual(['b', 'c']);
  });

  test('is ended by the event loop, without anybody’s help', async () => {
    const all = flushed(256);
    publish('t', 'a');
    endTurn();
    expect(all[0]!.texts()).toEqual([]);
    // The round of the publish, and the one that it waits for.
    await nextRound();
    await nextRound();
    for (const reader of all) expect(reader.texts()).toEqual(['a']);
  });

  test('keeps the order with direct sends and subscriptions', () => {
    const all = flushed(256);
    publish('t', 'a');
    endTurn();
    const [one, two] = all as [BusReader, BusReader];
    one.send('direct');
    shard.io.flushDirty();
    expect(one.texts()).toEqual(['a', 'direct']);
    two.unsubscribe('t');
    expect(two.texts()).toEqual(['a']);
    publish('t', 'b');
    endTurn();
    expect([one.texts(), two.texts(), all[2]!.texts()]).toEqual([['b'], [], ['a', 'b']]);
  });
});

describe('the order between publishes and what else happens to a socket', () => {
  test('is that of the calls for direct sends', () => {
    const [a, b] = readers(2) as [BusReader, BusReader];
    for (const reader of [a, b]) reader.subscribe('x', 'y');
    a.send('1');
    publish('x', '2');
    publish('y', '3');
    a.send('4');
    b.publish('y', '5');
    a.send('6');
    a.send('7');
    a.publish('x', 'not to itself');
    publish('x', '8');
    endTurn();
    expect(a.texts()).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect(b.texts()).toEqual(['2', '3', 'not to itself', '8']);
  });

  test('is that of the calls in a corked handler, of itself and of another', () => {
    const [a, b] = readers(2) as [BusReader, BusReader];
    for (const reader of [a, b]) reader.subscribe('t');
    a.transport.beginCork();
    a.send('1');
    publish('t', '2');
    b.send('b 1');
    a.send('3');
    publish('t', pattern(20_000), true);
    a.send('4');
    b.send('b 2');
    a.transport.endCork();
    endTurn();
    expect(a.texts().map((text) => text.slice(0, 9))).toEqual([
      '1',
      '2',
      '3',
      Buffer.from(pattern(20_000)).toString().slice(0, 9),
      '4',
    ]);
    expect(b.frames().map(({ payload }) => payload.length)).toEqual([1, 3, 20_000, 3]);
  });

  test('is that of the calls for subscribe and unsubscribe', () => {
    const [a] = readers(1) as [BusReader];
    const [always] = readers(1) as [BusReader];
    always.subscribe('t', 'u');
    publish('t', '1');
    a.subscribe('t');
    publish('t', '2');
    publish('u', '3');
    a.subscribe('u');
    publish('u', '4');
    a.unsubscribe('t');
    publish('t', '5');
    publish('u', '6');
    a.subscribe('t');
    publish('t', '7');
    a.unsubscribe('u');
    a.unsubscribe('t');
    publish('t', '8');
    endTurn();
    expect(a.texts()).toEqual(['2', '4', '6', '7']);
    expect(always.texts()).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  });

  test('holds for the last subscriber of a topic that begins anew in the same turn', () => {
    const [a] = readers(1) as [BusReader];
    a.subscribe('t');
    publish('t', '1');
    a.unsubscribe('t');
    expect(publish('t', 'to nobody')).toBe(false);
    a.subscribe('t');
    publish('t', '2');
    endTurn();
    expect(a.texts()).toEqual(['1', '2']);
  });

  test('holds for large messages, which do not wait for the end of the turn', () => {
    const [a, b] = readers(2) as [BusReader, BusReader];
    for (const reader of [a, b]) reader.subscribe('t');
    publish('t', 'x');
    b.publish('t', pattern(50_000), true);
    publish('t', 'xx');
    a.send('xxx');
    publish('t', pattern(60_000), true);
    a.unsubscribe('t');
    publish('t', pattern(70_000), true);
    endTurn();
    expect(a.frames().map(({ payload }) => payload.length)).toEqual([1, 50_000, 2, 3, 60_000]);
    expect(b.frames().map(({ payload }) => payload.length)).toEqual([1, 2, 60_000, 70_000]);
  });

  test('holds for a socket that is closed: it gets nothing more', () => {
    const [a, b] = readers(2) as [BusReader, BusReader];
    for (const reader of [a, b]) reader.subscribe('t');
    publish('t', '1');
    a.close();
    publish('t', '2');
    endTurn();
    expect(a.frames().length).toBeLessThanOrEqual(1);
    expect(b.texts()).toEqual(['1', '2']);
    expect(shard.counters[Counter.DELIVERED]).toBeLessThanOrEqual(3);
  });
});

describe('a slow subscriber', () => {
  test('gets what its route lets wait, in order, and is told of the rest; others get everything', () => {
    const [slow, other] = readers(2) as [BusReader, BusReader];
    for (const reader of [slow, other]) reader.subscribe('t');
    slow.block();
    const expected: string[] = [];
    for (let i = 0; i < 100; i++) {
      expected.push(String(i).padEnd(98));
      publish('t', String(i).padEnd(98));
      if (i % 3 === 0) endTurn();
    }
    endTurn();
    expect(other.texts()).toEqual(expected);
    slow.unblock();
    publish('t', 'last');
    endTurn();
    const got = slow.texts();
    const dropped = slow.dropped.map((payload) => Buffer.from(payload).toString());
    expect(got.length).toBeGreaterThan(10);
    expect(got.length).toBeLessThan(15);
    expect([...got.slice(0, -1), ...dropped]).toEqual(expected);
    expect(got.at(-1)).toBe('last');
    expect(shard.counters[Counter.DELIVERED]).toBe(101 + got.length);
    expect(shard.counters[Counter.MESSAGES_OUT]).toBe(101 + got.length);
  });

  test('shares the bytes of large messages with the others that wait', () => {
    const all = readers(3);
    for (const reader of all) {
      reader.maxBackpressure = 1_000_000;
      reader.subscribe('t');
      reader.block();
    }
    publish('t', 'first');
    endTurn();
    const before = shard.counters[Counter.BYTES_OUT]!;
    for (let i = 0; i < 5; i++) publish('t', pattern(100_000, i), true);
    endTurn();
    expect(shard.counters[Counter.BYTES_OUT]! - before).toBe(0);
    for (const reader of all) {
      expect(reader.transport.bufferedAmount).toBe(7 + 5 * 100_010);
      reader.unblock();
      const [first, ...large] = reader.frames();
      expect(first!.payload).toHaveLength(5);
      large.forEach(({ payload }, i) => {
        expect(Buffer.compare(payload, pattern(100_000, i))).toBe(0);
      });
      expect(large).toHaveLength(5);
      // Each once in memory, for all that wait.
      expect(reader.memories.slice(1)).toEqual(all[0]!.memories.slice(1));
      expect(new Set(reader.memories.slice(1)).size).toBe(5);
    }
    expect(shard.counters[Counter.BYTES_OUT]! - before).toBe(3 * 5 * 100_010);
    const memories = all.flatMap((reader) => reader.memories.slice(1));
    expect(new Set(memories).size).toBe(5);
  });

  test('keeps the bytes that wait for it as they are while turns go on', () => {
    const [slow, other] = readers(2) as [BusReader, BusReader];
    for (const reader of [slow, other]) reader.subscribe('t');
    for (let round = 0; round < 20; round++) {
      slow.block(10 + round);
      for (let turn = 0; turn < 5; turn++) {
        for (let i = 0; i < 5; i++) publish('t', `${round} ${turn} ${i} `.padEnd(40, 'x'));
        endTurn();
      }
      slow.unblock();
    }
    const texts = other.texts();
    expect(texts).toHaveLength(500);
    expect(slow.texts()).toEqual(texts);
  });
});

/** `dropped` handlers run in the middle of a delivery, and may do anything. */
describe('a handler that is told of a dropped message', () => {
  let slow: BusReader;
  let others: BusReader[];
  beforeEach(() => {
    // Subscribed between two others, so that one comes before it and one after.
    const [before, blocked, after] = readers(3) as [BusReader, BusReader, BusReader];
    slow = blocked;
    others = [before, after];
    for (const reader of [before, slow, after]) reader.subscribe('t');
    slow.block();
    slow.maxBackpressure = 10;
    slow.send('fills the limit');
    endTurn();
  });

  /** What each way to deliver does with a message: at the turn's end, large, or before a direct send. */
  const ways: [string, message: string, deliver: () => void][] = [
    ['at the end of the turn', 'm', () => endTurn()],
    ['of a large message', 'm'.repeat(20_000), () => {}],
    ['before a direct send', 'm', () => slow.send('s')],
  ];

  test.each(ways)('publishes for later: %s', (_name, message, deliver) => {
    let handled = 0;
    slow.onDropped = () => {
      if (handled++ > 0) return;
      publish('t', 'from the handler');
      publish('t', 'L'.repeat(100_000));
      for (let i = 0; i < 100; i++) publish('t', `${i}`.padEnd(1000));
    };
    publish('t', message);
    deliver();
    endTurn();
    endTurn();
    for (const reader of others) {
      const texts = reader.texts();
      expect(texts.slice(0, 3)).toEqual([message, 'from the handler', 'L'.repeat(100_000)]);
      expect(texts.slice(3).map(Number)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    }
    // Once for each message that was published, and the direct send.
    expect(handled).toBe(slow.dropped.length);
    const published = slow.dropped.filter((payload) => payload.length !== 1 || payload[0] !== 0x73);
    expect(published).toHaveLength(103);
  });

  test.each(ways)('sends to others behind the message: %s', (_name, message, deliver) => {
    slow.onDropped = () => {
      slow.onDropped = () => {};
      for (const reader of others) reader.send('behind');
    };
    publish('t', message);
    deliver();
    endTurn();
    for (const reader of others) expect(reader.texts()).toEqual([message, 'behind']);
  });

  test.each(ways)('subscribes one that gets only what comes after: %s', (_name, message, deliver) => {
    const late = new BusReader(shard);
    slow.onDropped = () => {
      late.subscribe('t');
    };
    publish('t', message);
    deliver();
    publish('t', 'next');
    endTurn();
    expect(late.texts()).toEqual(['next']);
    for (const reader of others) expect(reader.texts()).toEqual([message, 'next']);
  });

  test.each(ways)('unsubscribes one that still gets what came before: %s', (_name, message, deliver) => {
    slow.onDropped = () => {
      for (const reader of others) reader.unsubscribe('t');
    };
    publish('t', message);
    deliver();
    publish('t', 'next');
    endTurn();
    for (const reader of others) expect(reader.texts()).toEqual([message]);
  });

  test.each(ways)('closes itself: %s', (_name, message, deliver) => {
    slow.onDropped = () => {
      slow.close();
    };
    publish('t', message);
    publish('t', 'another');
    deliver();
    endTurn();
    expect(slow.dropped).toHaveLength(1);
    expect(shard.subscriberCount('t')).toBe(2);
    for (const reader of others) expect(reader.texts()).toEqual([message, 'another']);
  });

  test('and publishes much changes nothing of what it is told of next', () => {
    slow.onDropped = () => {
      slow.onDropped = () => {};
      publish('t', 'L'.repeat(100_000));
      for (let i = 0; i < 200; i++) publish('t', `${i}`.padEnd(1000));
    };
    for (const message of ['one', 'two', 'three']) publish('t', message);
    slow.send('s');
    expect(slow.dropped.map((payload) => Buffer.from(payload).toString())).toEqual([
      'one',
      'two',
      'three',
      's',
    ]);
  });

  test('and closes its socket in the middle of a subscribe, which then does not happen', () => {
    slow.onDropped = () => {
      slow.close();
    };
    publish('t', 'm');
    slow.subscribe('other');
    expect(shard.subscriberCount('other')).toBe(0);
    expect(slow.subscriptions).toBeNull();
  });

  test('and publishes again each time is told once a turn, not for ever', () => {
    slow.onDropped = () => {
      publish('t', 'again');
    };
    publish('t', 'm');
    slow.send('s');
    const told = slow.dropped.length;
    expect(told).toBe(2);
    endTurn();
    expect(slow.dropped.length).toBe(told + 2);
  });
});

describe('over shared memory', () => {
  let memory: LinkMemory;
  let shards: Shard[];

  function start(count: number, capacity?: number, maxOverflow?: number): void {
    memory = createLinkMemory(count, 3, capacity, maxOverflow);
    shards = Array.from(
      { length: count },
      (_, index) => new Shard(index, null, new Links(memory, index, () => {})),
    );
  }

  test('a publish reaches the subscribers of all shards, in the order of the publisher', async () => {
    start(3);
    const all = shards.flatMap((one) => [
      new BusReader(one).subscribe('t'),
      new BusReader(one).subscribe('t', 'u'),
    ]);
    const publisher = all[2]!;
    const expected: string[] = [];
    for (let i = 0; i < 200; i++) {
      const text = `${i} `.padEnd(1 + ((i * 37) % 300), 'x');
      expected.push(text);
      expect(publisher.publish('t', text)).toBe(true);
      if (i % 50 === 0) {
        const large = String(i).repeat(30_000);
        expected.push(large);
        publisher.publish('t', large);
      }
      if (i % 70 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await quiet(memory);
    expect(publisher.texts()).toEqual([]);
    for (const reader of all) if (reader !== publisher) expect(reader.texts()).toEqual(expected);
  });

  test('a publish says whether any shard has a subscriber, and the count is that of all', () => {
    start(3);
    const [a, b, c] = shards.map((one) => new BusReader(one)) as [BusReader, BusReader, BusReader];
    const ask = (): boolean[] => shards.map((each) => each.publish('t', 'm', false, null));
    const counts = (): number[] => shards.map((one) => one.subscriberCount('t'));
    expect(ask()).toEqual([false, false, false]);
    b.subscribe('t');
    expect([ask(), counts()]).toEqual([
      [true, true, true],
      [1, 1, 1],
    ]);
    expect(b.publish('t', 'm')).toBe(false);
    c.subscribe('t');
    expect(b.publish('t', 'm')).toBe(true);
    expect(counts()).toEqual([2, 2, 2]);
    a.subscribe('t');
    b.close();
    c.unsubscribe('t');
    expect(counts()).toEqual([1, 1, 1]);
    a.unsubscribe('t');
    expect([ask(), counts()]).toEqual([
      [false, false, false],
      [0, 0, 0],
    ]);
  });

  test('nothing that a small ring cannot take at once is torn when the batch is used again', async () => {
    start(2, 4096);
    const near = new BusReader(shards[0]!).subscribe('t');
    const far = new BusReader(shards[1]!).subscribe('t');
    const expected: Uint8Array[] = [];
    for (let turn = 0; turn < 30; turn++) {
      for (let i = 0; i < 5; i++) {
        const payload = pattern(100 + (((turn * 5 + i) * 977) % 15_000), turn * 5 + i);
        expected.push(payload);
        shards[0]!.publish('t', payload, true, null);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await quiet(memory);
    for (const reader of [near, far]) {
      const frames = reader.frames();
      expect(frames).toHaveLength(expected.length);
      frames.forEach(({ payload }, i) => {
        expect(Buffer.compare(payload, expected[i]!), `message ${i}`).toBe(0);
      });
    }
  });

  test('a large message of another shard comes behind what came before it, and is shared by those that wait', async () => {
    start(2);
    const [slow, quick] = [new BusReader(shards[1]!), new BusReader(shards[1]!)];
    for (const reader of [slow, quick]) {
      reader.maxBackpressure = 1_000_000;
      reader.subscribe('t');
    }
    slow.block();
    const from = shards[0]!;
    from.publish('t', 'one', false, null);
    from.publish('t', pattern(50_000), true, null);
    from.publish('t', 'two', false, null);
    from.publish('t', pattern(500_000), true, null);
    from.publish('t', 'three', false, null);
    await quiet(memory);
    slow.unblock();
    for (const reader of [slow, quick]) {
      const frames = reader.frames();
      expect(frames.map(({ payload }) => payload.length)).toEqual([3, 50_000, 3, 500_000, 5]);
      expect(Buffer.compare(frames[1]!.payload, pattern(50_000))).toBe(0);
      expect(Buffer.compare(frames[3]!.payload, pattern(500_000))).toBe(0);
    }
  });

  test('a record nobody here wants is discarded', async () => {
    start(2);
    const far = new BusReader(shards[1]!).subscribe('t');
    shards[0]!.publish('t', 'on its way', false, null);
    shards[0]!.bus.onTurnEnd();
    far.unsubscribe('t');
    far.subscribe('u');
    await quiet(memory);
    expect(far.texts()).toEqual([]);
    expect(shards[1]!.counters[Counter.DELIVERED]).toBe(0);
  });
});
