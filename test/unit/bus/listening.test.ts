import { describe, expect, test, vi } from 'vitest';
import { createLinkMemory, type LinkMemory, MAX_CROSS_FRAME } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { EVERYTHING, type Heard, type Listener } from '../../../src/bus/listeners.ts';
import { Message } from '../../../src/bus/message.ts';
import { Participant, type Role } from '../../../src/bus/participant.ts';
import { Publisher } from '../../../src/bus/publisher.ts';
import type { RecordKind } from '../../../src/bus/record-kinds.ts';
import { THREAD_SLOTS } from '../../../src/metrics/counter.ts';
import { Shard } from '../../../src/shard/shard.ts';
import { payloadOf } from '../../support/protocol/deflate-payloads.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { BusReader } from './bus-reader.ts';
import { pairStats, quiet } from './link-threads.ts';

const NOTE = 200 as RecordKind;

/** A thread without sockets, such as a bridge. */
class Talker {
  readonly participant: Participant;
  readonly links: Links;
  readonly heard: string[] = [];

  constructor(memory: LinkMemory, id: number, role: Role = 'bridge') {
    this.links = new Links(memory, id, () => {});
    const counters = new Float64Array(THREAD_SLOTS);
    this.participant = new Participant(role, id, new Publisher(counters), counters);
    this.participant.link(this.links);
  }

  listen(topic: string | typeof EVERYTHING): Listener {
    return this.participant.listen(topic, (heard) => this.heard.push(textOf(heard)));
  }

  publish(topic: string, payload: string | Uint8Array, own: Listener | null = null): Outcome {
    const message = new Message().set(topic, payload, false);
    message.exceptListener = own;
    return { ...this.participant.publish(message) };
  }

  take(): string[] {
    return this.heard.splice(0);
  }
}

type Outcome = ReturnType<Participant['publish']>;

function textOf({ topic, payload, from }: Heard): string {
  return `${topic} from ${from}: ${Buffer.from(Uint8Array.from(payload)).toString()}`;
}

function shardOf(memory: LinkMemory, id: number): Shard {
  const shard = new Shard(id);
  shard.link(new Links(memory, id, () => {}));
  return shard;
}

async function settled(memory: LinkMemory, ...shards: Shard[]): Promise<void> {
  for (const shard of shards) shard.bus.onTurnEnd();
  await quiet(memory);
}

describe('a listener', () => {
  test('hears what is published to its topic here and in other threads, and no other; then no more', async () => {
    const memory = createLinkMemory(2, 5);
    const [zero, one] = [shardOf(memory, 0), shardOf(memory, 1)];
    const heard: string[] = [];
    const listener = zero.participant.listen('t', (each) => heard.push(textOf(each)));
    expect(zero.publish('t', 'here', false, null)).toBe(true);
    one.publish('t', 'there', false, null);
    one.publish('u', 'something else', false, null);
    expect(heard).toEqual(['t from 0: here']);
    await settled(memory, zero, one);
    expect(heard).toEqual(['t from 0: here', 't from 1: there']);
    expect(one.subscriberCount('t')).toBe(0);
    zero.participant.unlisten(listener);
    zero.participant.unlisten(listener);
    expect(zero.publish('t', 'too late', false, null)).toBe(false);
    one.publish('t', 'too late', false, null);
    await settled(memory, zero, one);
    expect(heard).toHaveLength(2);
    expect(pairStats(memory, 1, 0).WRITTEN).toBe(1);
  });

  test('that throws, or rejects, or leaves, breaks nothing for the others', async () => {
    const memory = createLinkMemory(2, 5);
    const [zero, one] = [shardOf(memory, 0), shardOf(memory, 1)];
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    const reader = new BusReader(zero).subscribe('t');
    zero.participant.listen('t', () => {
      throw new Error('broken');
    });
    zero.participant.listen(EVERYTHING, () => Promise.reject(new Error('broken later')));
    const once = zero.participant.listen('t', () => {
      zero.participant.unlisten(once);
    });
    const heard: string[] = [];
    zero.participant.listen('t', (each) => heard.push(textOf(each)));
    for (const shard of [zero, one]) for (let i = 0; i < 3; i++) shard.publish('t', `${i}`, false, null);
    await settled(memory, one);
    await settled(memory, zero);
    zero.io.flushDirty();
    expect(heard).toEqual([0, 0, 0, 1, 1, 1].map((from, i) => `t from ${from}: ${i % 3}`));
    expect(reader.texts()).toEqual(['0', '1', '2', '0', '1', '2']);
    report.mockRestore();
  });

  test('may publish: all hear that behind what it heard, in one order, and the result is of the outer one', async () => {
    const memory = createLinkMemory(2, 5);
    const [a] = [new Talker(memory, 0), new Talker(memory, 1)];
    a.participant.listen('t', ({ payload }) => {
      const text = Buffer.from(payload).toString();
      if (text.length < 4) a.publish('t', `${text}+`);
      a.publish('nobody', text);
    });
    a.listen('t');
    const result = a.publish('t', 'x');
    a.publish('t', 'y');
    expect(result).toEqual({ local: 2, written: 0, queued: 0, dropped: 0, isHeard: true });
    await vi.waitUntil(() => a.heard.length === 8);
    const texts = a.take().map((text) => text.slice(-4).trim());
    expect(texts).toEqual(
      ['0: x', ': x+', '0: y', 'x++', 'y+', 'x+++', 'y++', 'y+++'].map(
        (t) => expect.stringContaining(t.trim().replace(/^.*: /, '')) as string,
      ),
    );
  });

  test('gets the payload as it was published: text, bytes, compressed, in pieces', async () => {
    const memory = createLinkMemory(2, 5, 4096);
    const [zero, bridge] = [shardOf(memory, 0), new Talker(memory, 3)];
    zero.bus.variants!.isEnabled = true;
    const got: [Buffer, boolean, boolean][] = [];
    bridge.participant.listen('t', ({ payload, isBinary, isCompressed }) => {
      got.push([Buffer.from(Uint8Array.from(payload)), isBinary, isCompressed]);
    });
    const prose = payloadOf('prose', 3000, 1) as string;
    const cases: [string | Uint8Array, boolean, boolean][] = [
      ['é😀', false, false],
      ['', false, false],
      [pattern(200), true, false],
      [pattern(70_000), true, false],
      [prose, false, true],
    ];
    for (const [payload, isBinary, compress] of cases) zero.publish('t', payload, isBinary, null, compress);
    await settled(memory, zero);
    expect(got).toEqual(cases.map(([payload, ...rest]) => [Buffer.from(payload as string), ...rest]));
  });
});

describe('a thread that is interested in everything', () => {
  test('hears all of all shards and publishes to them, through 20 instances, none of which hears what was for another', async () => {
    const memory = createLinkMemory(2, 5);
    const [zero, one] = [shardOf(memory, 0), shardOf(memory, 1)];
    const main = new Talker(memory, 2, 'main');
    const readers = [zero, one].map((shard) => new BusReader(shard).subscribe('from the bridge'));
    const peers: string[] = [];
    zero.participant.onPeer(({ role, instance }, state) => {
      if (role === 'bridge') peers.push(`${state} ${instance}`);
    });
    for (let instance = 1; instance <= 20; instance++) {
      const bridge = new Talker(memory, 3);
      const own = bridge.listen(EVERYTHING);
      const sent = ['a', 'b', 'c'].map((text) => `${text}${instance}`);
      for (const text of sent) {
        zero.publish(`topic ${text}`, text, false, null);
        one.publish(text, text, false, null);
      }
      main.publish('from main', `${instance}`);
      bridge.publish('from the bridge', `${instance}`, own);
      await settled(memory, zero, one);
      const heard = bridge.take();
      expect(heard.filter((text) => text.includes('from 0'))).toEqual(
        sent.map((t) => `topic ${t} from 0: ${t}`),
      );
      expect(heard.filter((text) => text.includes('from 1'))).toEqual(sent.map((t) => `${t} from 1: ${t}`));
      expect(heard).toContain(`from main from 2: ${instance}`);
      expect(heard).toHaveLength(7);
      await settled(memory, zero, one);
      for (const [i, shard] of [zero, one].entries()) {
        shard.io.flushDirty();
        expect(readers[i]!.texts()).toEqual([`${instance}`]);
      }
      // It dies, and is still thought to be there for a while.
      bridge.links.onWake = () => {};
      zero.publish('t', `for the dead ${instance}`, false, null);
      zero.bus.onTurnEnd();
      main.links.clearThread(3);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(peers).toEqual(Array.from({ length: 20 }, (_, i) => [`up ${i + 1}`, `gone ${i + 1}`]).flat());
    expect(zero.publish('t', 'for nobody', false, null)).toBe(false);
    expect(pairStats(memory, 0, 3)).toMatchObject({ UNREAD: 20, WRITTEN: 80, LOST: 0, STALE: 0 });
  });

  test('is no subscriber: who publishes hears that it was written, and that nobody has subscribed', () => {
    const memory = createLinkMemory(2, 5);
    const main = new Talker(memory, 2, 'main');
    const bridge = new Talker(memory, 3);
    const listener = bridge.listen(EVERYTHING);
    expect(main.publish('t', 'm')).toEqual({ local: 0, written: 1, queued: 0, dropped: 0, isHeard: false });
    bridge.participant.unlisten(listener);
    expect(main.publish('t', 'm')).toMatchObject({ written: 0, isHeard: false });
  });
});

describe('what publish returns', () => {
  test('says for how many threads it was written, waits and was dropped, at the exact limits', async () => {
    const memory = createLinkMemory(3, 5, 4096, 5 * (128 + 1 + 102));
    const main = new Talker(memory, 3, 'main');
    const threads = [0, 1, 2].map((id) => new Talker(memory, id, 'shard'));
    for (const thread of threads) thread.listen('t');
    await quiet(memory);
    const sum = { written: 0, queued: 0, dropped: 0 };
    for (let i = 0; i < 60; i++) {
      const { written, queued, dropped } = main.publish('t', String(i).padEnd(100));
      expect(written + queued + dropped).toBe(3);
      sum.written += written;
      sum.queued += queued;
      sum.dropped += dropped;
    }
    const stats = [0, 1, 2].map((to) => pairStats(memory, 3, to));
    const total = (name: 'WRITTEN' | 'OVERFLOWED' | 'DROPPED'): number =>
      stats.reduce((all, each) => all + each[name], 0);
    expect(sum).toEqual({
      written: total('WRITTEN'),
      queued: total('OVERFLOWED'),
      dropped: total('DROPPED'),
    });
    expect(sum.queued).toBe(15);
    expect(main.publish('t', Buffer.alloc(MAX_CROSS_FRAME))).toMatchObject({ dropped: 3 });
    await quiet(memory);
    const got = (sum.written + sum.queued) / 3;
    for (const thread of threads) expect(thread.heard).toHaveLength(got);
  });

  test('counts the sockets and listeners here, but the one that publishes', () => {
    const memory = createLinkMemory(2, 5);
    const zero = shardOf(memory, 0);
    const [a] = [new BusReader(zero).subscribe('t'), new BusReader(zero).subscribe('t')];
    const listener = zero.participant.listen('t', () => {});
    const message = new Message().set('t', 'm', false);
    expect(zero.participant.publish(message)).toMatchObject({ local: 3, isHeard: true });
    message.except = a;
    message.exceptListener = listener;
    expect(zero.participant.publish(message)).toMatchObject({ local: 1, isHeard: true });
  });
});

test('publishes and addressed records of one thread come in the order in which it made them', async () => {
  const memory = createLinkMemory(2, 5, 4096);
  const [zero, bridge] = [shardOf(memory, 0), new Talker(memory, 3)];
  bridge.listen(EVERYTHING);
  bridge.participant.on(NOTE, (bytes) => bridge.heard.push(Buffer.from(Uint8Array.from(bytes)).toString()));
  const expected: string[] = [];
  for (let i = 0; i < 300; i++) {
    if (i % 3 === 0) {
      zero.participant.sendTo(3, NOTE, Buffer.from(`note ${i}`));
      expected.push(`note ${i}`);
    } else {
      const text = `${i}`.padEnd(i % 50 === 1 ? 5000 : 10);
      zero.publish('t', text, false, null);
      expected.push(`t from 0: ${text}`);
    }
  }
  await settled(memory, zero);
  expect(bridge.take()).toEqual(expected);
});
