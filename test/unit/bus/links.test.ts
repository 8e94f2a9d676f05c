import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { createLinkMemory, type LinkMemory, MAX_CROSS_FRAME } from '../../../src/bus/link-memory.ts';
import { createSubscriberCounts } from '../../../src/ring/subscriber-counts.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { until } from '../../support/tools/deadline.ts';
import { LinkThread, pairStats, quiet } from './link-threads.ts';

/** Two shards that listen, and the main thread. */
function threads(memory: LinkMemory): [LinkThread, LinkThread, LinkThread] {
  return [new LinkThread(memory, 0).listen(), new LinkThread(memory, 1).listen(), new LinkThread(memory, 2)];
}

const SMALL_RING = 4096;
/** What a waiting message counts beside its topic and frame. */
const OVERHEAD = 128;

describe('links', () => {
  test('bring a message to the threads that are interested, and to no other', async () => {
    const memory = createLinkMemory(3, 5);
    const [a, b, c] = [0, 1, 2].map((thread) => new LinkThread(memory, thread).listen()) as [
      LinkThread,
      LinkThread,
      LinkThread,
    ];
    const main = new LinkThread(memory, 3);
    a.subscribe('t');
    b.subscribe('t', 'u');
    a.publish('t', 'from a');
    b.publish('u', 'from b, who alone has it');
    c.publish('u', 'from c', 2);
    main.publish('t', 'from main');
    main.publish('nothing', 'for nobody');
    for (const thread of [a, b, c, main]) thread.flush();
    await quiet(memory);
    expect(a.texts()).toEqual(['from main']);
    expect(b.got.map(({ topic, opcode, publisher }) => [topic, opcode, publisher])).toEqual([
      ['t', 1, 0],
      ['u', 2, 2],
      ['t', 1, 3],
    ]);
    expect(b.texts()).toEqual(['from a', 'from c', 'from main']);
    expect(c.got).toEqual([]);
    expect(pairStats(memory, 1, 0).WRITTEN + pairStats(memory, 3, 2).WRITTEN).toBe(0);
  });

  test('read the ring of one busy thread and give the sockets their turn, then that of the next', async () => {
    const memory = createLinkMemory(4, 5);
    const [reader, ...busy] = [0, 1, 2, 3].map((thread) => new LinkThread(memory, thread).listen());
    reader!.subscribe('t');
    await quiet(memory);
    let time = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (time += 1000));
    for (const thread of busy) {
      for (let i = 0; i < 10; i++) thread.publish('t', `${i}`);
      thread.flush();
    }
    const perTurn: number[] = [];
    for (let turn = 0; turn < 12; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      perTurn.push(reader!.got.splice(0).length);
    }
    clock.mockRestore();
    expect(Math.max(...perTurn)).toBe(10);
    expect(perTurn.reduce((sum, count) => sum + count, 0)).toBe(30);
  });

  test('read no more than 64 KiB of a large ring in a turn', async () => {
    const memory = createLinkMemory(2, 5, 4 * 1024 * 1024);
    const [reader, writer] = threads(memory);
    reader.subscribe('t');
    await quiet(memory);
    for (let i = 0; i < 10_000; i++) writer.publish('t', 'x'.repeat(100));
    writer.flush();
    let most = 0;
    let total = 0;
    while (total < 10_000) {
      await new Promise((resolve) => setImmediate(resolve));
      const count = reader.got.splice(0).length;
      most = Math.max(most, count);
      total += count;
    }
    expect(most).toBeLessThan((64 * 1024) / 100);
  });

  test('say that somebody may have a topic when its subscribers could not all be counted', () => {
    const memory: LinkMemory = { ...createLinkMemory(2, 5), counts: createSubscriberCounts(4, 8, 5, 0) };
    const [a, b] = threads(memory);
    b.subscribe('first');
    const heard = (topic: string): boolean => a.links.hasElsewhere(topic, a.links.hash(topic));
    expect([heard('first'), heard('none')]).toEqual([true, false]);
    const topics = Array.from({ length: 200 }, (_, i) => `t${i}`);
    b.subscribe(...topics);
    // Published to all of them, each has a subscriber.
    expect(topics.filter((topic) => !heard(topic))).toEqual([]);
    // Nobody wants it, whatever could not be counted.
    expect(a.links.isWanted(a.links.hash('none'))).toBe(false);
    expect(heard('none')).toBe(false);
    for (const topic of topics) b.unsubscribe(topic);
    expect([heard('first'), heard('t5')]).toEqual([true, false]);
  });

  test('tell whether others are interested, and how many subscribers they have', () => {
    const memory = createLinkMemory(2, 5);
    const [a, b, main] = threads(memory);
    const wanted = (thread: LinkThread): boolean => thread.links.isWanted(thread.links.hash('t'));
    a.subscribe('t', 't');
    expect([wanted(a), wanted(b), wanted(main)]).toEqual([false, true, true]);
    b.subscribe('t');
    expect([wanted(a), wanted(b), wanted(main)]).toEqual([true, true, true]);
    expect([a, b, main].map(({ links }) => links.countElsewhere('t'))).toEqual([1, 2, 3]);
    a.unsubscribe('t');
    expect([a, b, main].map(({ links }) => links.countElsewhere('t'))).toEqual([1, 1, 2]);
    a.unsubscribe('t');
    b.unsubscribe('t');
    expect([wanted(a), wanted(b), wanted(main)]).toEqual([false, false, false]);
    expect(main.links.countElsewhere('t')).toBe(0);
  });

  test('reach 63 shards from the main thread', async () => {
    const memory = createLinkMemory(63, 5, SMALL_RING);
    const main = new LinkThread(memory, 63);
    const shards = [0, 30, 31, 32, 33, 62].map((thread) => new LinkThread(memory, thread).listen());
    for (const shard of shards) shard.subscribe('t');
    expect(main.links.countElsewhere('t')).toBe(6);
    main.publish('t', 'to all');
    shards[5]!.publish('t', 'from 62');
    shards[2]!.publish('t', 'from 31');
    for (const thread of [main, ...shards]) thread.flush();
    await quiet(memory);
    expect(shards.map((shard) => shard.texts().sort())).toEqual([
      ['from 31', 'from 62', 'to all'],
      ['from 31', 'from 62', 'to all'],
      ['from 62', 'to all'],
      ['from 31', 'from 62', 'to all'],
      ['from 31', 'from 62', 'to all'],
      ['from 31', 'to all'],
    ]);
  });

  test('bring what was written before the shard listened for the first time', async () => {
    const memory = createLinkMemory(2, 5);
    const main = new LinkThread(memory, 2);
    const a = new LinkThread(memory, 0).listen().subscribe('t');
    const late = new LinkThread(memory, 1);
    main.publish('t', 'one');
    main.flush();
    await quiet(memory);
    late.listen().subscribe('t');
    main.publish('t', 'two');
    main.flush();
    await quiet(memory);
    expect(a.texts()).toEqual(['one', 'two']);
    expect(late.texts()).toEqual(['two']);
    expect(pairStats(memory, 2, 1).LOST).toBe(0);
  });

  test('send nothing off before a flush, and wake a sleeper once for all of a turn', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = threads(memory);
    b.subscribe('t');
    for (let i = 0; i < 100; i++) a.publish('t', String(i));
    await quiet(memory);
    expect(b.got).toEqual([]);
    a.flush();
    a.flush();
    await quiet(memory);
    expect(b.texts()).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
    expect(pairStats(memory, 0, 1)).toMatchObject({ WRITTEN: 100, RECEIVED: 100, WAKES: 1, OVERFLOWED: 0 });
  });

  test('go on reading when there is more than one read takes', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = threads(memory);
    b.subscribe('t');
    const frame = pattern(1000);
    for (let i = 0; i < 200; i++) a.publish('t', frame);
    a.flush();
    await quiet(memory);
    expect(b.got).toHaveLength(200);
    expect(pairStats(memory, 0, 1)).toMatchObject({ WAKES: 1, OVERFLOWED: 0 });
  });
});

describe('messages that do not fit the ring', () => {
  test.each([1000, 1016, 1017, 4096, 5000, 1024 * 1024, 500_001])(
    'of %i bytes arrive whole, among others, when the memory of the frame is used again',
    async (length) => {
      const memory = createLinkMemory(2, 5, SMALL_RING);
      const [a, b] = threads(memory);
      b.subscribe('t');
      const large = pattern(length);
      a.publish('t', 'before');
      a.publish('t', large);
      a.publish('t', 'after');
      a.flush();
      await quiet(memory);
      expect(b.got.map(({ sequence }) => sequence)).toEqual([0, 1, 2]);
      const [before, whole, after] = b.got.map(({ frame }) => frame);
      expect([before!.toString(), after!.toString()]).toEqual(['before', 'after']);
      expect(Buffer.compare(whole!, large)).toBe(0);
    },
  );

  test('of the largest size arrive whole', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = threads(memory);
    b.subscribe('t');
    const largest = Buffer.alloc(MAX_CROSS_FRAME, 'abcdefg');
    a.publishStable('t', largest);
    a.flush();
    await quiet(memory);
    expect(Buffer.compare(b.got[0]!.frame, largest)).toBe(0);
    a.publishStable('t', Buffer.alloc(MAX_CROSS_FRAME + 1));
    a.publish('t', 'the next');
    a.flush();
    await quiet(memory);
    expect(b.got[1]!.frame.toString()).toBe('the next');
    expect(pairStats(memory, 0, 1)).toMatchObject({ DROPPED: 1, LOST: 1, OVERFLOW_BYTES: 0 });
    expect(a.reports).toEqual([[1, 1]]);
  });

  test('because of their topic are dropped and counted, at the length where it begins', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING);
    const [a, b] = threads(memory);
    // A quarter of the ring, less 8 bytes of alignment, a header of 24 and a gap of up to 8.
    const longest = SMALL_RING / 4 - 8 - 24 - 8;
    const topics = [longest - 1, longest, longest + 1].map((length) => 'x'.repeat(length));
    b.subscribe(...topics, 't');
    for (const topic of topics) a.publish(topic, 'm');
    a.publish('t', 'last');
    a.flush();
    await quiet(memory);
    expect(b.got.map(({ topic }) => topic.length)).toEqual([longest - 1, longest, 1]);
    expect(pairStats(memory, 0, 1)).toMatchObject({ WRITTEN: 3, DROPPED: 1, LOST: 1 });
  });
});

describe('overflow', () => {
  /** Fills the ring from thread 0 to thread 1, so that the next message waits. Returns how many it took. */
  function fill(a: LinkThread, memory: LinkMemory): number {
    let count = 0;
    for (; pairStats(memory, 0, 1).OVERFLOWED === 0; count++) a.publish('t', `fill ${count}`.padEnd(100));
    return count;
  }

  test.each([
    [-1, 4],
    [0, 5],
    [1, 5],
  ])('takes messages up to the limit: with %i bytes of room beside five, %i', async (spare, accepted) => {
    const cost = OVERHEAD + 1 + 100;
    const memory = createLinkMemory(2, 5, SMALL_RING, 6 * cost + spare);
    const [a, b] = threads(memory);
    b.subscribe('t');
    const filled = fill(a, memory);
    for (let i = 0; i < 8; i++) a.publish('t', `waits ${i}`.padEnd(100));
    expect(pairStats(memory, 0, 1)).toMatchObject({
      WRITTEN: filled - 1,
      OVERFLOWED: 1 + accepted,
      OVERFLOW_BYTES: (1 + accepted) * cost,
      DROPPED: 8 - accepted,
    });
    a.flush();
    await quiet(memory);
    a.publish('t', 'last');
    a.flush();
    await quiet(memory);
    const texts = b.texts().map((text) => text.trim());
    expect(texts).toEqual([
      ...Array.from({ length: filled }, (_, i) => `fill ${i}`),
      ...Array.from({ length: accepted }, (_, i) => `waits ${i}`),
      'last',
    ]);
    // What is missing is what was dropped, as the reader sees it too.
    expect(pairStats(memory, 0, 1)).toMatchObject({
      WRITTEN: filled + accepted + 1,
      RECEIVED: filled + accepted + 1,
      DROPPED: 8 - accepted,
      LOST: 8 - accepted,
      OVERFLOW_BYTES: 0,
    });
  });

  test('still takes a shorter message after a longer one was dropped', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING, 1000);
    const [a, b] = threads(memory);
    b.subscribe('t');
    fill(a, memory);
    a.publish('t', 'long'.padEnd(900));
    a.publish('t', 'short');
    a.flush();
    await quiet(memory);
    expect(b.texts().slice(-1)).toEqual(['short']);
    expect(pairStats(memory, 0, 1)).toMatchObject({ DROPPED: 1, LOST: 1 });
  });

  test('takes a message that is larger than the limit when it is alone, and then none', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING, 2000);
    const [a, b] = threads(memory);
    b.subscribe('t');
    const large = pattern(100_000);
    a.publishStable('t', large);
    a.publish('t', 'too much');
    a.flush();
    await quiet(memory);
    a.publish('t', 'last');
    a.flush();
    await quiet(memory);
    expect(b.got.map(({ sequence }) => sequence)).toEqual([0, 2]);
    expect(Buffer.compare(b.got[0]!.frame, large)).toBe(0);
    expect(pairStats(memory, 0, 1)).toMatchObject({ DROPPED: 1, LOST: 1 });
  });

  test('bounds what many tiny messages take', () => {
    const memory = createLinkMemory(2, 5, SMALL_RING, 1024 * 1024);
    const [a, b] = threads(memory);
    b.subscribe('t');
    for (let i = 0; i < 100_000; i++) a.publish('t', '');
    expect(pairStats(memory, 0, 1).OVERFLOWED).toBeLessThan(10_000);
    expect(pairStats(memory, 0, 1).DROPPED).toBeGreaterThan(80_000);
  });

  test('of one slow thread holds up no other', async () => {
    const memory = createLinkMemory(3, 5, SMALL_RING, 5000);
    const main = new LinkThread(memory, 3);
    const reader = new LinkThread(memory, 0).listen().subscribe('t');
    const other = new LinkThread(memory, 1).listen().subscribe('t');
    const dead = new LinkThread(memory, 2).listen().subscribe('t');
    dead.die();
    const expected: string[] = [];
    for (let i = 0; i < 1000; i++) {
      expected.push(String(i));
      main.publish('t', String(i).padEnd(50));
      main.flush();
      if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => other.got.length === 1000, 'all is read');
    for (const thread of [reader, other]) expect(thread.texts().map((text) => text.trim())).toEqual(expected);
    expect(pairStats(memory, 3, 0)).toMatchObject({ DROPPED: 0, LOST: 0, RECEIVED: 1000 });
    expect(pairStats(memory, 3, 2).DROPPED).toBeGreaterThan(800);
    main.links.clearThread(2);
  });

  test('lets the reader begin while the turn that overflows lasts', () => {
    const memory = createLinkMemory(2, 5, SMALL_RING, 20_000);
    const [a, b] = threads(memory);
    b.subscribe('t');
    // The reader is called by hand, as if it ran in another thread.
    for (let i = 0; i < 5000; i++) {
      a.publish('t', String(i).padEnd(50));
      if (b.links.hasWork()) b.links.onWake();
    }
    expect(pairStats(memory, 0, 1)).toMatchObject({ DROPPED: 0 });
    expect(b.got.length).toBeGreaterThan(4500);
  });

  test('is reported at once, then not before a second has passed, and completely', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING, 1000);
    const [a, b] = threads(memory);
    b.subscribe('t');
    fill(a, memory);
    for (let i = 0; i < 50; i++) a.publish('t', 'x'.repeat(500));
    a.flush();
    const first = pairStats(memory, 0, 1).DROPPED;
    expect(first).toBeGreaterThan(40);
    expect(a.reports).toEqual([[1, first]]);
    for (let i = 0; i < 50; i++) a.publish('t', 'x'.repeat(500));
    a.flush();
    await quiet(memory);
    expect(a.reports).toHaveLength(1);
    const all = pairStats(memory, 0, 1).DROPPED;
    await until(() => a.reports.length === 2, 'the rest is reported');
    expect(a.reports[1]).toEqual([1, all - first]);
  });
});

describe('a thread that is replaced', () => {
  test('as a writer begins anew: nothing torn, nothing of its own counted as lost', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING);
    const [a, b] = threads(memory);
    b.subscribe('t');
    for (let i = 0; i < 5; i++) a.publish('t', `old ${i}`);
    a.flush();
    await quiet(memory);
    // Dies with a message in the ring in part, others waiting, and some not sent off.
    a.publish('t', 'committed');
    a.publish('t', pattern(10_000));
    a.publish('t', 'waits');
    expect(pairStats(memory, 0, 1).OVERFLOW_BYTES).toBeGreaterThan(10_000);
    const reborn = new LinkThread(memory, 0).listen();
    expect(pairStats(memory, 0, 1).OVERFLOW_BYTES).toBe(0);
    reborn.publish('t', 'new 0');
    reborn.publish('t', 'new 1');
    reborn.flush();
    await quiet(memory);
    const texts = b.texts();
    expect(texts.slice(0, 5)).toEqual(['old 0', 'old 1', 'old 2', 'old 3', 'old 4']);
    expect(texts.slice(-2)).toEqual(['new 0', 'new 1']);
    expect(texts.length).toBeLessThanOrEqual(8);
    expect(pairStats(memory, 0, 1)).toMatchObject({ LOST: 0, RESETS: 0 });
  });

  test('as a writer is told from its predecessor, so that what it drops first is counted', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING);
    const [a, b] = threads(memory);
    b.subscribe('t', 'x'.repeat(2000));
    a.publish('t', 'old');
    a.flush();
    await quiet(memory);
    const reborn = new LinkThread(memory, 0).listen();
    reborn.publish('x'.repeat(2000), 'a topic that is too long');
    reborn.publish('t', 'new');
    reborn.flush();
    await quiet(memory);
    expect(b.texts()).toEqual(['old', 'new']);
    expect(pairStats(memory, 0, 1)).toMatchObject({ DROPPED: 1, LOST: 1 });
  });

  test('as a reader starts at the live edge, without interest', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING);
    const [a, b, main] = threads(memory);
    b.subscribe('t', 'u');
    a.publish('t', 'read');
    a.flush();
    await quiet(memory);
    b.die();
    for (let i = 0; i < 100; i++) a.publish('t', `never read ${i}`);
    a.publish('t', pattern(20_000));
    a.flush();
    const waited = pairStats(memory, 0, 1).OVERFLOWED;
    // As the supervisor does it.
    main.links.clearThread(1);
    expect(a.links.isWanted(a.links.hash('t'))).toBe(false);
    expect(main.links.countElsewhere('t')).toBe(0);
    const reborn = new LinkThread(memory, 1).listen();
    a.flush();
    const { DROPPED, OVERFLOW_BYTES } = pairStats(memory, 0, 1);
    expect([DROPPED, OVERFLOW_BYTES]).toEqual([waited, 0]);
    reborn.subscribe('u');
    a.publish('t', 'nobody wants it');
    a.publish('u', 'wanted');
    a.publish('u', pattern(9000));
    a.flush();
    await quiet(memory);
    expect(reborn.got.map(({ topic }) => topic)).toEqual(['u', 'u']);
    expect(Buffer.compare(reborn.got[1]!.frame, pattern(9000))).toBe(0);
    expect(pairStats(memory, 0, 1)).toMatchObject({ LOST: 0, RESETS: 0, OVERFLOW_BYTES: 0 });
    // It is no overload that a shard died.
    expect(a.reports).toEqual([]);
  });

  test('as a reader that a writer hears of late costs its successor nothing', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING);
    const [a, b, main] = threads(memory);
    b.subscribe('t');
    let reader = b;
    for (let instance = 1; instance <= 3; instance++) {
      await quiet(memory);
      reader.die();
      main.links.clearThread(1);
      reader = new LinkThread(memory, 1).listen().subscribe('t');
      const texts = Array.from({ length: 200 }, (_, i) => `for instance ${instance}: ${i}`);
      for (const text of texts) a.publish('t', text);
      a.publish('t', pattern(20_000));
      a.flush();
      await quiet(memory);
      expect(reader.got.splice(200).map(({ frame }) => frame.length)).toEqual([20_000]);
      expect(reader.texts()).toEqual(texts);
    }
    expect(pairStats(memory, 0, 1)).toMatchObject({ DROPPED: 0, LOST: 0 });
  });

  test('as a reader leaves nothing to its successor, even if the writer has not heard of it', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING);
    const [a, b, main] = threads(memory);
    b.subscribe('t');
    await quiet(memory);
    b.die();
    for (let i = 0; i < 200; i++) a.publish('t', `before ${i}`);
    a.flush();
    main.links.clearThread(1);
    const reborn = new LinkThread(memory, 1).listen().subscribe('t');
    a.flush();
    await quiet(memory);
    expect(reborn.texts()).toEqual([]);
    a.publish('t', 'after');
    a.flush();
    await quiet(memory);
    expect(reborn.texts()).toEqual(['after']);
  });

  test('as a reader can be reset in the middle of a message in pieces', async () => {
    const memory = createLinkMemory(2, 5, SMALL_RING);
    const [a, b, main] = threads(memory);
    b.subscribe('t');
    await quiet(memory);
    b.die();
    a.publish('t', pattern(50_000));
    a.flush();
    main.links.clearThread(1);
    const reborn = new LinkThread(memory, 1).listen().subscribe('t');
    // The writer has not heard of it yet, and goes on where it was.
    a.flush();
    await new Promise((resolve) => setImmediate(resolve));
    a.publish('t', 'whole');
    a.publish('t', pattern(7000));
    a.flush();
    await quiet(memory);
    expect(reborn.got).toHaveLength(2);
    expect(reborn.got[0]!.frame.toString()).toBe('whole');
    expect(Buffer.compare(reborn.got[1]!.frame, pattern(7000))).toBe(0);
  });
});

test('rings that no memory can hold are refused in words', () => {
  const refusal = expect.objectContaining({
    code: 'MILLRACE_INVALID_OPTION',
    message: expect.stringContaining("'ringSize'") as string,
  }) as Error;
  expect(() => createLinkMemory(63, 5, 2 ** 29)).toThrow(refusal);
});

test('any mix of messages arrives in order, once and whole, and what does not was counted', async () => {
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('publish' as const),
        from: fc.nat(2),
        topic: fc.nat(3),
        size: fc.oneof(fc.nat(300), fc.integer({ min: 900, max: 1100 }), fc.nat(20_000)),
        isStable: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const), from: fc.nat(2) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('toggle' as const), shard: fc.nat(1), topic: fc.nat(3) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('turn' as const), turns: fc.nat(3) }) },
  );
  const property = fc.asyncProperty(
    fc.array(action, { maxLength: 120, size: 'max' }),
    fc.constantFrom(3000, 40_000, 10_000_000),
    async (actions, maxOverflow) => {
      const memory = createLinkMemory(2, 7, SMALL_RING, maxOverflow);
      const all = threads(memory);
      const has = [new Set<number>(), new Set<number>()];
      /** What was written for each pair, as numbers of actions. */
      const sent = all.map(() => [[] as number[], [] as number[]]);
      for (const [number, step] of actions.entries()) {
        if (step.kind === 'publish') {
          const { from, topic, size } = step;
          for (const to of [0, 1]) if (to !== from && has[to]!.has(topic)) sent[from]![to]!.push(number);
          const frame = frameOf(number, size);
          if (step.isStable) all[from]!.publishStable(`topic ${topic}`, frame);
          else all[from]!.publish(`topic ${topic}`, frame);
        } else if (step.kind === 'flush') {
          all[step.from]!.flush();
        } else if (step.kind === 'toggle') {
          const topics = has[step.shard]!;
          if (topics.delete(step.topic)) {
            all[step.shard]!.unsubscribe(`topic ${step.topic}`);
          } else {
            topics.add(step.topic);
            all[step.shard]!.subscribe(`topic ${step.topic}`);
          }
        } else {
          for (let i = 0; i <= step.turns; i++) await new Promise((resolve) => setImmediate(resolve));
        }
      }
      for (const thread of all) thread.flush();
      await quiet(memory);
      // One more for every pair, so that the reader sees the end of its numbering.
      for (const shard of [0, 1]) all[shard]!.subscribe('end');
      for (const thread of all) thread.publish('end', frameOf(actions.length, 4));
      for (const thread of all) thread.flush();
      await quiet(memory);
      for (const to of [0, 1]) {
        for (const from of [0, 1, 2]) {
          if (from === to) continue;
          const got = all[to]!.got.filter(({ publisher }) => publisher === from);
          const numbers = got.map(({ frame }) => frame.readInt32LE(0));
          const wanted = [...sent[from]![to]!, actions.length];
          const stats = pairStats(memory, from, to);
          expect(stats.RECEIVED).toBe(got.length);
          expect(stats.WRITTEN).toBe(got.length);
          expect(stats.DROPPED).toBe(wanted.length - got.length);
          expect(stats.LOST).toBe(stats.DROPPED);
          expect(stats.RESETS).toBe(0);
          if (maxOverflow > 1_000_000) expect(stats.DROPPED).toBe(0);
          // A part of what was written, in its order.
          const arrived = new Set(numbers);
          expect(numbers).toEqual(wanted.filter((number) => arrived.has(number)));
          for (const { frame, topic, sequence } of got) {
            const number = frame.readInt32LE(0);
            expect(wanted[sequence]).toBe(number);
            expect(Buffer.compare(frame, frameOf(number, frame.length))).toBe(0);
            const step = actions[number];
            if (step?.kind === 'publish') expect(topic).toBe(`topic ${step.topic}`);
          }
        }
      }
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

/** Bytes that say which message they are of. */
function frameOf(number: number, size: number): Buffer {
  const frame = Buffer.from(pattern(Math.max(size, 4), number + 1));
  frame.writeInt32LE(number, 0);
  return frame;
}
