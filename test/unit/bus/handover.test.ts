import { afterEach, describe, expect, it } from 'vitest';
import { createLinkMemory, type LinkMemory } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { buffersOf, type Handover, Participant, type Role } from '../../../src/bus/participant.ts';
import { Publisher } from '../../../src/bus/publisher.ts';
import { MAX_KIND, type RecordKind } from '../../../src/bus/record-kinds.ts';
import { THREAD_SLOTS } from '../../../src/metrics/counter.ts';

/** A kind of requests, and one of records that nobody answers. */
const REQUEST = MAX_KIND as RecordKind;
const NOTE = (MAX_KIND - 1) as RecordKind;

const CAPACITY = 4096;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

function newParticipant(role: Role, id: number): Participant {
  const counters = new Float64Array(THREAD_SLOTS);
  return new Participant(role, id, new Publisher(counters), counters);
}

/** A thread, its links in this one. */
class Thread {
  readonly participant: Participant;
  /** What it was asked or told, in the order in which it was handled. */
  readonly handled: string[];

  constructor(id: number, memory: LinkMemory, handled: string[], handover: Handover | null | 'first') {
    this.handled = handled;
    this.participant = newParticipant('shard', id);
    this.participant.answer(REQUEST, (request) => this.answer(text(request)));
    this.participant.on(NOTE, (bytes) => this.handled.push(text(bytes)));
    this.participant.prepare(memory.owners);
    live.push(this.participant);
    this.participant.link(new Links(memory, id, () => {}), handover !== 'first' && handover !== null);
  }

  answer(request: string): Uint8Array | Promise<Uint8Array> {
    this.handled.push(request);
    return Buffer.from(`done ${request}`);
  }
}

const live: Participant[] = [];
afterEach(() => {
  for (const participant of live.splice(0)) participant.unlink();
});

async function pair(): Promise<{ memory: LinkMemory; asker: Participant; owner: Thread }> {
  const memory = createLinkMemory(2, 1, CAPACITY);
  const asker = new Thread(0, memory, [], 'first');
  const owner = new Thread(1, memory, [], 'first');
  await asker.participant.begin(null);
  await owner.participant.begin(null);
  return { memory, asker: asker.participant, owner };
}

/** What the owner was asked is under way, so that it reads on, until it is released. */
async function beginToHandOver(
  asker: Participant,
  owner: Thread,
): Promise<{ handingOver: Promise<Handover>; release: () => void }> {
  let release = (): void => {};
  let isBegun = false;
  owner.answer = () => {
    isBegun = true;
    return new Promise((resolve) => {
      release = () => {
        resolve(Buffer.from('done'));
      };
    });
  };
  asker.ask(1, REQUEST, Buffer.from('slow')).catch(() => {});
  while (!isBegun) await new Promise(setImmediate);
  return { handingOver: owner.participant.handOver(), release: () => release() };
}

describe('a participant that hands over', () => {
  it('loses nothing that comes before, meanwhile and behind, and does nothing twice', async () => {
    const { memory, asker, owner } = await pair();
    const sent: string[] = [];
    const answers: Promise<Uint8Array>[] = [];
    const send = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const name = `${sent.length}`.padEnd(100, '.');
        sent.push(name);
        if (i % 3 === 0) asker.sendTo(1, NOTE, Buffer.from(name));
        else answers.push(asker.ask(1, REQUEST, Buffer.from(name)));
      }
    };
    // More than the ring holds.
    send(100);
    const handingOver = owner.participant.handOver();
    send(100);
    const handover = await handingOver;
    send(100);
    owner.participant.unlink();
    send(100);
    const successor = new Thread(1, memory, owner.handled, handover);
    send(100);
    await successor.participant.begin(handover);
    send(100);
    const replies = await Promise.all(answers);
    expect(replies.map(text)).toEqual(
      sent.filter((_, i) => (i % 100) % 3 !== 0).map((name) => `done ${name}`),
    );
    expect(owner.handled).toEqual(sent);
    expect([owner.participant.instance, successor.participant.instance]).toEqual([0, 1]);
    expect(asker.peers.get(1)?.instance).toBe(1);
  });

  it('goes on with messages that are longer than the ring, and were under way', async () => {
    const { memory, asker, owner } = await pair();
    const long = (i: number): Buffer => Buffer.alloc(5 * CAPACITY, `${i}`);
    const answers = [0, 1, 2].map((i) => asker.ask(1, REQUEST, long(i)));
    const handover = await owner.participant.handOver();
    owner.participant.unlink();
    const successor = new Thread(1, memory, owner.handled, handover);
    await successor.participant.begin(handover);
    await Promise.all(answers);
    expect(owner.handled).toEqual([0, 1, 2].map((i) => text(long(i))));
  });

  it('leaves short records in few buffers, as each that is posted makes all others dearer', async () => {
    const { memory, asker, owner } = await pair();
    const { handingOver, release } = await beginToHandOver(asker, owner);
    const sent = Array.from({ length: 5000 }, (_, i) => `${i}`);
    for (const name of sent) asker.sendTo(1, NOTE, Buffer.from(name));
    for (let i = 0; i < 100; i++) await new Promise(setImmediate);
    release();
    const handover = await handingOver;
    expect(handover.held.length).toBeGreaterThan(50);
    expect(buffersOf(handover).length).toBeLessThan(10);
    owner.participant.unlink();
    const posted = structuredClone(handover, { transfer: buffersOf(handover) });
    const successor = new Thread(1, memory, [], posted);
    await successor.participant.begin(posted);
    while (successor.handled.length < sent.length) await new Promise(setImmediate);
    expect(successor.handled).toEqual(sent);
  });

  it('gets to its end what came in part, whoever has died in the middle of another message', async () => {
    const memory = createLinkMemory(3, 1, CAPACITY);
    const [dying, sender] = [new Links(memory, 0, () => {}), new Links(memory, 1, () => {})];
    for (const links of [dying, sender]) links.listen(0, { onRecord: () => true, onInstance: () => {} });
    const owner = new Thread(2, memory, [], 'first');
    await owner.participant.begin(null);
    const long = Buffer.alloc(3 * CAPACITY, 'x');
    dying.sendTo(2, NOTE, long);
    sender.sendTo(2, NOTE, long);
    // The first piece of each.
    dying.flush();
    sender.flush();
    await new Promise(setImmediate);
    // It never writes again.
    dying.flush = (): void => {};
    sender.clearThread(0);
    const handover = await owner.participant.handOver();
    expect(handover.held.map(({ bytes }) => bytes.length)).toEqual([long.length]);
    dying.close();
    sender.close();
  });

  it('waits for handlers that are under way, and tells those who asked when they take too long', async () => {
    const { asker, owner } = await pair();
    const done: ((answer: Uint8Array) => void)[] = [];
    owner.answer = () => new Promise((resolve) => done.push(resolve));
    const soon = asker.ask(1, REQUEST, Buffer.from('soon'));
    const never = asker.ask(1, REQUEST, Buffer.from('never'));
    const failed = expect(never).rejects.toMatchObject({ code: 'MILLRACE_PEER_GONE' });
    while (done.length < 2) await new Promise(setImmediate);
    const handingOver = owner.participant.handOver();
    done[0]!(Buffer.from('done'));
    expect(text(await soon)).toBe('done');
    await failed;
    await handingOver;
  });

  it('has what it asked answered, and may not ask when its handlers are done', async () => {
    const { asker, owner } = await pair();
    let isBegun = false;
    owner.answer = async () => {
      isBegun = true;
      const reply = await owner.participant.ask(0, REQUEST, Buffer.from('back'));
      return Buffer.from(`with ${text(reply)}`);
    };
    const asked = asker.ask(1, REQUEST, Buffer.from('there'));
    while (!isBegun) await new Promise(setImmediate);
    const handover = await owner.participant.handOver();
    expect(text(await asked)).toBe('with done back');
    expect(handover).toMatchObject({ held: [], lastAsk: 1 });
    await expect(owner.participant.ask(0, REQUEST, Buffer.from(''))).rejects.toMatchObject({
      code: 'MILLRACE_ASK_REFUSED',
    });
  });

  it('refuses what nobody answers', async () => {
    const { asker, owner } = await pair();
    await expect(asker.ask(1, NOTE, Buffer.from(''))).rejects.toMatchObject({ code: 'MILLRACE_ASK_REFUSED' });
    expect(() => {
      owner.participant.answer(REQUEST, (request) => request);
    }).toThrow('are answered already');
  });

  it('that ends instead is gone to the others, and nothing goes to the next with its number', async () => {
    const { memory, asker, owner } = await pair();
    const changes: string[] = [];
    asker.onPeer(({ id, instance }, state) => changes.push(`${state} ${id} ${instance}`));
    const lost = asker.ask(1, REQUEST, Buffer.from('lost'));
    owner.participant.unlink();
    await expect(lost).rejects.toMatchObject({ code: 'MILLRACE_PEER_GONE' });
    await expect(asker.ask(1, REQUEST, Buffer.from('lost'))).rejects.toMatchObject({
      code: 'MILLRACE_PEER_GONE',
    });
    const next = new Thread(1, memory, [], null);
    const { failures } = await next.participant.begin(null);
    expect(failures).toEqual([]);
    expect(text(await asker.ask(1, REQUEST, Buffer.from('again')))).toBe('done again');
    expect(next.handled).toEqual(['again']);
    expect(changes).toEqual(['up 1 1', 'gone 1 1', 'up 1 2']);
  });
});

describe('a thread that is about to begin', () => {
  it('holds what arrives, and may not ask', async () => {
    const memory = createLinkMemory(2, 1, CAPACITY);
    const asker = new Thread(0, memory, [], 'first');
    const owner = new Thread(1, memory, [], 'first');
    await asker.participant.begin(null);
    const answers = Array.from({ length: 100 }, (_, i) =>
      asker.participant.ask(1, REQUEST, Buffer.from(`${i}`)),
    );
    await expect(owner.participant.ask(0, REQUEST, Buffer.from(''))).rejects.toMatchObject({
      code: 'MILLRACE_ASK_REFUSED',
    });
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(owner.handled).toEqual([]);
    await owner.participant.begin(null);
    await Promise.all(answers);
    expect(owner.handled).toEqual(answers.map((_, i) => `${i}`));
  });
});

describe('a record that is held until its sender is gone', () => {
  it.each(['by the thread itself', 'for its successor'])(
    '%s comes between its up and its gone',
    async (who) => {
      const memory = createLinkMemory(2, 1, CAPACITY);
      const events: string[] = [];
      const watched = (handover: Handover | null | 'first'): Thread => {
        const thread = new Thread(1, memory, events, handover);
        thread.participant.onPeer(({ id, instance }, state) => events.push(`${state} ${id} ${instance}`));
        return thread;
      };
      const sender = new Thread(0, memory, [], 'first');
      let owner = watched('first');
      let handover: Handover | null = null;
      if (who === 'for its successor') {
        await owner.participant.begin(null);
        await sender.participant.begin(null);
        const { handingOver, release } = await beginToHandOver(sender.participant, owner);
        sender.participant.sendTo(1, NOTE, Buffer.from('note'));
        for (let i = 0; i < 5; i++) await new Promise(setImmediate);
        release();
        handover = await handingOver;
        expect(handover.held.length).toBe(1);
        sender.participant.unlink();
        owner.participant.unlink();
        events.length = 0;
        owner = watched(handover);
      } else {
        sender.participant.sendTo(1, NOTE, Buffer.from('note'));
        await new Promise(setImmediate);
        await new Promise(setImmediate);
        sender.participant.unlink();
        await new Promise(setImmediate);
        await new Promise(setImmediate);
      }
      await owner.participant.begin(handover);
      while (events.at(-1) !== 'gone 0 1') await new Promise(setImmediate);
      expect(events.slice(-3)).toEqual(['up 0 1', 'note', 'gone 0 1']);
    },
  );
});

describe('an App by itself', () => {
  it('owns all names, and asks itself', async () => {
    const participant = newParticipant('app', 0);
    participant.answer(REQUEST, (request, from) => Buffer.from(`${text(request)} from ${from}`));
    expect(participant.ownerOf('anything')).toBe(0);
    expect(text(await participant.ask(participant.ownerOf('anything'), REQUEST, Buffer.from('a')))).toBe(
      'a from 0',
    );
    await expect(participant.ask(1, REQUEST, Buffer.from('a'))).rejects.toMatchObject({
      code: 'MILLRACE_PEER_GONE',
    });
  });
});
