import { describe, expect, test, vi } from 'vitest';
import { createLinkMemory, type LinkMemory, MAX_CROSS_FRAME } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { Participant, type Role } from '../../../src/bus/participant.ts';
import { Publisher } from '../../../src/bus/publisher.ts';
import { RecordKind } from '../../../src/bus/record-kinds.ts';
import { SendStatus } from '../../../src/bus/send-status.ts';
import { THREAD_SLOTS } from '../../../src/metrics/counter.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { pairStats, quiet } from './link-threads.ts';

/** Kinds that no record has but those of these tests. */
const NOTE = 200 as RecordKind;
const OTHER = 201 as RecordKind;

/** One instance of a thread; here all of them share one thread. */
class Instance {
  readonly participant: Participant;
  readonly links: Links;
  /** What it was sent, with who sent it. */
  readonly got: string[] = [];
  readonly peers: string[] = [];
  /** Everything in the order in which it came. */
  readonly events: string[] = [];

  constructor(memory: LinkMemory, id: number, role: Role = 'shard') {
    this.links = new Links(memory, id, () => {});
    const counters = new Float64Array(THREAD_SLOTS);
    this.participant = new Participant(role, id, new Publisher(counters), counters);
    this.participant.on(NOTE, (bytes, from, instance) => {
      const text = Buffer.from(Uint8Array.from(bytes)).toString();
      this.got.push(`${from}.${instance}: ${text}`);
      this.events.push(`${from}.${instance}: ${text}`);
    });
    this.participant.onPeer(({ id: peer, instance, role: peerRole }, state) => {
      this.peers.push(`${peerRole} ${peer} ${state} ${instance}`);
      this.events.push(`${peer} ${state} ${instance}`);
    });
    this.participant.link(this.links);
  }

  note(to: number, text: string, instance?: number): SendStatus {
    const bytes = Buffer.from(text);
    const status = this.participant.sendTo(to, NOTE, bytes, instance);
    bytes.fill(0xdd);
    return status;
  }

  /** It ends as in a crash: it never reads again. It must be asleep. */
  die(): void {
    this.links.onWake = () => {};
  }
}

describe('what one thread addresses to another', () => {
  test('arrives there alone, in order, with who sent it, and within the call at the thread itself', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b, main] = [new Instance(memory, 0), new Instance(memory, 1), new Instance(memory, 2, 'main')];
    expect(a.note(1, 'one')).toBe(SendStatus.WRITTEN);
    expect([a.note(1, 'two'), a.note(2, 'three'), main.note(0, 'four')]).toEqual([0, 0, 0]);
    expect(a.note(0, 'to itself')).toBe(SendStatus.WRITTEN);
    expect(a.got).toEqual(['0.1: to itself']);
    await quiet(memory);
    expect(a.got).toEqual(['0.1: to itself', '2.1: four']);
    expect(b.got).toEqual(['0.1: one', '0.1: two']);
    expect(main.got).toEqual(['0.1: three']);
  });

  test.each([0, 1, 1000, 5000, 100_000])('of %i bytes arrives whole', async (length) => {
    const memory = createLinkMemory(2, 5, 4096);
    const [a, b] = [new Instance(memory, 0), new Instance(memory, 1)];
    const got: Uint8Array[] = [];
    b.participant.on(OTHER, (bytes) => got.push(Uint8Array.from(bytes)));
    const bytes = pattern(length);
    const status = a.participant.sendTo(1, OTHER, bytes);
    expect(status).toBe(length < 5000 ? SendStatus.WRITTEN : SendStatus.QUEUED);
    const sent = Uint8Array.from(bytes);
    bytes.fill(0xdd);
    a.note(1, 'behind it');
    await quiet(memory);
    expect(got.map((each) => Buffer.compare(each, sent))).toEqual([0]);
    expect(b.got).toEqual(['0.1: behind it']);
  });

  test('is refused when it is too long, and counted', () => {
    const memory = createLinkMemory(2, 5);
    const [a] = [new Instance(memory, 0), new Instance(memory, 1)];
    expect(a.participant.sendTo(1, NOTE, new Uint8Array(MAX_CROSS_FRAME + 1))).toBe(SendStatus.TOO_BIG);
    expect(pairStats(memory, 0, 1)).toMatchObject({ DROPPED: 1, WRITTEN: 0 });
  });

  test('waits up to the limit and is dropped beyond it, as the sender is told', async () => {
    const memory = createLinkMemory(2, 5, 4096, 10 * (128 + 100));
    const [a, b] = [new Instance(memory, 0), new Instance(memory, 1)];
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 100; i++) counts[a.note(1, String(i).padEnd(100))]!++;
    const { WRITTEN, OVERFLOWED, DROPPED } = pairStats(memory, 0, 1);
    expect(counts).toEqual([WRITTEN, 10, DROPPED, 0, 0]);
    expect([OVERFLOWED, WRITTEN + OVERFLOWED + DROPPED]).toEqual([10, 100]);
    await quiet(memory);
    expect(b.got.map((text) => text.trim())).toEqual(
      Array.from({ length: WRITTEN + 10 }, (_, i) => `0.1: ${i}`),
    );
  });

  test('of a kind that nobody takes is counted and dropped; what handlers throw costs the next nothing', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = [new Instance(memory, 0), new Instance(memory, 1)];
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    a.participant.sendTo(1, OTHER, Buffer.from('for nobody'));
    a.note(1, 'one');
    await quiet(memory);
    expect(pairStats(memory, 0, 1)).toMatchObject({ RECEIVED: 2, UNHANDLED: 1 });
    b.participant.on(OTHER, () => {
      throw new Error('a broken handler');
    });
    a.participant.sendTo(1, OTHER, Buffer.from('for the broken one'));
    a.note(1, 'two');
    await quiet(memory);
    expect(b.got).toEqual(['0.1: one', '0.1: two']);
    report.mockRestore();
  });

  test('is taken by one handler for each kind, and PUBLISH by none', () => {
    const { participant } = new Instance(createLinkMemory(1, 5), 0);
    const invalid = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' });
    for (const kind of [NOTE, RecordKind.PUBLISH, -1, 256, 1.5]) {
      expect(() => {
        participant.on(kind as RecordKind, () => {});
      }).toThrow(invalid);
    }
  });
});

describe('a thread that ends', () => {
  test('leaves nothing that was addressed to it to its successor, and what is lost is counted', async () => {
    const memory = createLinkMemory(2, 5, 4096);
    const [a, b, main] = [new Instance(memory, 0), new Instance(memory, 1), new Instance(memory, 2, 'main')];
    await quiet(memory);
    b.die();
    const statuses = Array.from({ length: 100 }, (_, i) => a.note(1, `for the dead ${i}`));
    a.links.flush();
    const written = pairStats(memory, 0, 1).WRITTEN;
    expect(statuses).toContain(SendStatus.QUEUED);
    main.links.clearThread(1);
    expect(a.note(1, 'for nobody')).toBe(SendStatus.GONE);
    const next = new Instance(memory, 1);
    expect(next.participant.instance).toBe(2);
    expect(a.note(1, 'for the first', 1)).toBe(SendStatus.GONE);
    expect([a.note(1, 'for the second', 2), a.note(1, 'for whoever is there')]).toEqual([0, 0]);
    await quiet(memory);
    expect(next.got).toEqual(['0.1: for the second', '0.1: for whoever is there']);
    // Those in the ring, those that waited, and the two that were refused.
    expect(pairStats(memory, 0, 1)).toMatchObject({ UNREAD: written, DROPPED: 100 - written + 2, STALE: 0 });
  });

  test('leaves it nothing that was claimed and not sent off either', async () => {
    const memory = createLinkMemory(2, 5, 4096);
    const [a, b, main] = [new Instance(memory, 0), new Instance(memory, 1), new Instance(memory, 2, 'main')];
    await quiet(memory);
    expect(a.note(1, 'for the dead')).toBe(SendStatus.WRITTEN);
    b.die();
    main.links.clearThread(1);
    const next = new Instance(memory, 1);
    // Only now does the writer commit: the record is behind the live edge at which the successor began.
    await quiet(memory);
    expect(next.got).toEqual([]);
    expect(pairStats(memory, 0, 1).STALE).toBe(1);
  });

  test('is told of once for each instance under 20 restarts, up before its first record and gone behind its last', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, main] = [new Instance(memory, 0), new Instance(memory, 2, 'main')];
    const expected: string[] = [];
    for (let instance = 1; instance <= 20; instance++) {
      const b = new Instance(memory, 1);
      for (let i = 0; i < 3; i++) b.note(0, `${i}`);
      b.links.flush();
      expected.push(`1 up ${instance}`, ...[0, 1, 2].map((i) => `1.${instance}: ${i}`), `1 gone ${instance}`);
      if (instance % 2 === 0) await quiet(memory);
      b.die();
      main.links.clearThread(1);
      if (instance % 3 === 0) await quiet(memory);
      // As the next one comes at once, the reader may hear of both only then.
      a.links.onWake();
    }
    await quiet(memory);
    expect(a.events.filter((event) => event.startsWith('1'))).toEqual(expected);
    expect(a.participant.isUp(1)).toBe(false);
    expect(a.participant.isUp(2)).toBe(true);
  });

  test('that leaves hears that all others are gone, and they hear of it', async () => {
    const memory = createLinkMemory(2, 5);
    const [a, b] = [new Instance(memory, 0), new Instance(memory, 1), new Instance(memory, 2, 'main')];
    await quiet(memory);
    expect(b.peers).toEqual(['shard 0 up 1', 'main 2 up 1']);
    b.participant.unlink();
    await quiet(memory);
    expect(b.peers.slice(2)).toEqual(['shard 0 gone 1', 'main 2 gone 1']);
    expect(a.peers).toEqual(['shard 1 up 1', 'main 2 up 1', 'shard 1 gone 1']);
    expect(b.note(0, 'for nobody')).toBe(SendStatus.GONE);
    const late: string[] = [];
    a.participant.onPeer(({ role }, state) => late.push(`${role} ${state}`));
    expect(late).toEqual(['main up']);
  });
});

test('handlers that are async may fail: it is reported, and costs nobody anything', async () => {
  const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
  const memory = createLinkMemory(2, 5);
  const a = new Instance(memory, 0);
  a.participant.on(OTHER, async () => {
    await Promise.resolve();
    throw new Error('no record');
  });
  a.participant.onPeer(async () => {
    await Promise.resolve();
    throw new Error('no peer');
  });
  const b = new Instance(memory, 1);
  b.participant.sendTo(0, OTHER, Buffer.from('one'));
  b.note(0, 'two');
  await quiet(memory);
  await new Promise(setImmediate);
  expect(a.got).toEqual(['1.1: two']);
  expect(printed).toHaveBeenCalledTimes(2);
  printed.mockRestore();
});

test('a thread that was taken for gone does not end the one that has its number since', () => {
  const memory = createLinkMemory(2, 5);
  const [a, late] = [new Instance(memory, 0), new Instance(memory, 1)];
  a.links.clearThread(1);
  late.die();
  const next = new Instance(memory, 1);
  next.participant.listen('topic', () => {});
  late.participant.unlink();
  expect(a.links.instanceAt(1)).toBe(2);
  expect(a.links.isWanted(a.links.hash('topic'))).toBe(true);
  expect(a.peers).toEqual(['shard 1 up 2']);
});

test('what listens as soon as it hears of a thread, while its own is being linked, counts once', () => {
  const memory = createLinkMemory(2, 5);
  const other = new Instance(memory, 0);
  const counters = new Float64Array(THREAD_SLOTS);
  const participant = new Participant('app', 1, new Publisher(counters), counters);
  const before = participant.listen('before', () => {});
  let listener: ReturnType<Participant['listen']> | null = null;
  participant.onPeer(() => {
    listener = participant.listen('topic', () => {});
    participant.unlisten(before);
  });
  participant.link(new Links(memory, 1, () => {}));
  const isWanted = (topic: string): boolean => other.links.isWanted(other.links.hash(topic));
  expect([isWanted('topic'), isWanted('before')]).toEqual([true, false]);
  participant.unlisten(listener!);
  expect(isWanted('topic')).toBe(false);
});

test('who learns of a thread that is gone meanwhile is not told last that it is up', () => {
  const memory = createLinkMemory(2, 5);
  const a = new Instance(memory, 0);
  const told: string[] = [];
  const counters = new Float64Array(THREAD_SLOTS);
  const participant = new Participant('app', 1, new Publisher(counters), counters);
  participant.onPeer((_, state) => {
    if (state === 'gone') return;
    a.participant.unlink();
    // A look.
    participant.ask(0, NOTE, Buffer.from('')).catch(() => {});
  });
  participant.onPeer((_, state) => told.push(state));
  participant.link(new Links(memory, 1, () => {}));
  expect(told.at(-1)).toBe('gone');
});
