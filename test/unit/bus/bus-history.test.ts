import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Shard } from '../../../src/shard/shard.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { BusReader } from './bus-reader.ts';

/**
 * Random histories of everything that can happen to the bus of one shard, checked afterwards. Handlers of
 * dropped messages act in the middle of other calls, so every call has a beginning and an end on a clock of
 * its own: what ended before something else began came before it, and nothing is asked of two that overlap.
 */

const READERS = 4;
const TOPICS = ['a', 'b', 'c'];

type Action =
  | { kind: 'publish'; topic: string; size: number; from: number | null; isText: boolean }
  | { kind: 'send' | 'close'; reader: number }
  | { kind: 'subscribe' | 'unsubscribe'; reader: number; topic: string }
  | { kind: 'turn' }
  | { kind: 'block'; reader: number; room: number }
  | { kind: 'unblock'; reader: number }
  | { kind: 'cork'; reader: number; actions: Action[] };

interface Span {
  start: number;
  end: number;
}
interface Message extends Span {
  readonly payload: Uint8Array;
  readonly topic: string | null;
  /** The reader it was sent to, or the one that published it. */
  readonly reader: number | null;
}
interface Subscription {
  readonly reader: number;
  readonly topic: string;
  readonly since: Span;
  until: Span | null;
}

const ALWAYS = Number.POSITIVE_INFINITY;

class History {
  readonly shard = new Shard();
  readonly readers: BusReader[];
  readonly messages: Message[] = [];
  readonly subscriptions: Subscription[] = [];
  readonly closed = new Set<number>();
  /** Readers and topics of the changes of subscriptions that are under way, also of those that change nothing. */
  readonly #changing = new Set<string>();
  #clock = 0;

  constructor(limits: readonly number[]) {
    this.readers = limits.map((limit) => {
      const reader = new BusReader(this.shard);
      reader.maxBackpressure = limit;
      return reader;
    });
  }

  run(actions: readonly Action[]): void {
    for (const action of actions) this.#run(action);
  }

  finish(): void {
    for (let round = 0; round < 3; round++) {
      for (const reader of this.readers) reader.unblock();
      this.#endTurn();
    }
  }

  /** Everything a reader must have got or been told of, and everything that it may have. */
  expected(reader: number): { must: Set<number>; may: Set<number> } {
    const must = new Set<number>();
    const may = new Set<number>();
    this.messages.forEach((message, id) => {
      if (message.topic === null ? message.reader !== reader : message.reader === reader) return;
      if (message.topic === null) {
        must.add(id);
        may.add(id);
      }
      for (const { topic, since, until, reader: who } of this.subscriptions) {
        if (who !== reader || topic !== message.topic) continue;
        if (since.end < message.start && (until?.start ?? ALWAYS) > message.end) must.add(id);
        if (since.start < message.end && (until?.end ?? ALWAYS) > message.start) may.add(id);
      }
    });
    return { must, may };
  }

  #run(action: Action): void {
    switch (action.kind) {
      case 'publish':
        this.#publish(action);
        break;
      case 'send': {
        const { reader } = action;
        if (this.closed.has(reader)) return;
        const message = this.#message(null, reader, 4);
        this.readers[reader]!.send(message.payload);
        message.end = ++this.#clock;
        break;
      }
      case 'subscribe':
      case 'unsubscribe':
        this.#change(action.kind, action.reader, action.topic);
        break;
      case 'close': {
        const { reader } = action;
        this.closed.add(reader);
        this.readers[reader]!.close();
        break;
      }
      case 'turn':
        this.#endTurn();
        break;
      case 'block':
        this.readers[action.reader]!.block(action.room);
        break;
      case 'unblock':
        this.readers[action.reader]!.unblock();
        break;
      case 'cork': {
        const { transport } = this.readers[action.reader]!;
        if (transport.isClosed) return;
        const previous = transport.io.corked;
        transport.beginCork();
        this.run(action.actions);
        transport.endCork(previous);
        break;
      }
    }
  }

  #publish({ topic, size, from, isText }: Action & { kind: 'publish' }): void {
    if (from !== null && this.closed.has(from)) return;
    const message = this.#message(topic, from, size);
    const sender = from === null ? null : this.readers[from]!;
    const { payload } = message;
    // Texts are ASCII, and begin with their number just the same.
    const content = isText ? Buffer.from(payload).toString('latin1') : payload;
    this.shard.publish(topic, content, !isText, sender);
    message.end = ++this.#clock;
  }

  #message(topic: string | null, reader: number | null, size: number): Message {
    const payload = pattern(size, this.messages.length).map((byte) => byte & 127);
    for (let i = 0, rest = this.messages.length; i < 4; i++, rest >>= 7) payload[i] = rest & 127;
    const message: Message = { payload, topic, reader, start: ++this.#clock, end: ALWAYS };
    this.messages.push(message);
    return message;
  }

  #change(kind: 'subscribe' | 'unsubscribe', reader: number, topic: string): void {
    if (this.closed.has(reader)) return;
    const span = { start: ++this.#clock, end: ALWAYS };
    const current = this.subscriptions.find(
      (one) => one.reader === reader && one.topic === topic && one.until === null,
    );
    // A handler that is called in the middle of one change makes another: which of them is the last is not asked.
    const key = `${reader} ${topic}`;
    const isInner = this.#changing.has(key);
    const isAsked =
      !isInner &&
      !this.subscriptions.some(
        (one) =>
          one.reader === reader &&
          one.topic === topic &&
          (one.until === null ? one.since.end : one.until.end) === ALWAYS,
      );
    this.#changing.add(key);
    const known = isAsked ? span : { start: span.start, end: ALWAYS };
    if (kind === 'subscribe' && current === undefined) {
      this.subscriptions.push({ reader, topic, since: known, until: null });
    } else if (kind === 'unsubscribe' && current !== undefined) {
      current.until = known;
    }
    if (kind === 'subscribe') this.readers[reader]!.subscribe(topic);
    else this.readers[reader]!.unsubscribe(topic);
    if (!isInner) this.#changing.delete(key);
    span.end = ++this.#clock;
  }

  #endTurn(): void {
    this.shard.bus.onTurnEnd();
    this.shard.io.flushDirty();
  }
}

function idOf(payload: Uint8Array): number {
  return payload[0]! | (payload[1]! << 7) | (payload[2]! << 14) | (payload[3]! << 21);
}

const reader = fc.nat(READERS - 1);
const topic = fc.constantFrom(...TOPICS);
const size = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 4, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 4000, max: 16_400 }) },
  { weight: 1, arbitrary: fc.integer({ min: 16_400, max: 200_000 }) },
);
/** What user code can do. The kernel takes bytes between two callbacks only, so `block` and `unblock` are not in it. */
const asked: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      topic,
      size,
      from: fc.option(reader, { freq: 2 }),
      isText: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), reader }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), reader, topic }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), reader, topic }) },
  { weight: 4, arbitrary: fc.constant<Action>({ kind: 'turn' }) },
);
const simple: fc.Arbitrary<Action> = fc.oneof(
  { weight: 24, arbitrary: asked },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('block' as const), reader, room: fc.nat(400) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('unblock' as const), reader }) },
);
const closing: fc.Arbitrary<Action> = fc.record({ kind: fc.constant('close' as const), reader });
const cork: fc.Arbitrary<Action> = fc.record({
  kind: fc.constant('cork' as const),
  reader,
  actions: fc.array(simple, { maxLength: 6 }),
});
const action = fc.oneof(
  { weight: 20, arbitrary: simple },
  { weight: 2, arbitrary: cork },
  { weight: 1, arbitrary: closing },
);
/** What `dropped` handlers do, one list for each time a reader's is called. */
const handlers = fc.array(fc.array(fc.oneof(asked, closing), { maxLength: 4 }), { maxLength: 4 });

function check(
  actions: readonly Action[],
  limits: readonly number[],
  scripts: readonly (readonly (readonly Action[])[])[],
): void {
  const history = new History(limits);
  history.readers.forEach((one, i) => {
    const todo = [...(scripts[i] ?? [])];
    one.onDropped = () => {
      const next = todo.shift();
      if (next !== undefined) history.run(next);
    };
  });
  history.run(actions);
  history.finish();
  history.readers.forEach((one, number) => {
    const got = one.frames().map(({ payload }) => payload);
    for (const payload of [...got, ...one.dropped]) {
      const message = history.messages[idOf(payload)];
      expect(message !== undefined && Buffer.compare(message.payload, payload)).toBe(0);
    }
    const ids = got.map(idOf);
    const all = [...ids, ...one.dropped.map(idOf)];
    expect(new Set(all).size).toBe(all.length);
    // What came later never ended before what came earlier began.
    let latestStart = 0;
    for (const id of ids) {
      const { start, end } = history.messages[id]!;
      expect(end).toBeGreaterThan(latestStart);
      latestStart = Math.max(latestStart, start);
    }
    const { must, may } = history.expected(number);
    for (const id of all) expect(may.has(id), `message ${id} was not for reader ${number}`).toBe(true);
    if (history.closed.has(number)) return;
    const reached = new Set(all);
    for (const id of must) expect(reached.has(id), `message ${id} did not reach reader ${number}`).toBe(true);
  });
}

const limits = fc.array(fc.constantFrom(0, 100, 2000, 100_000), { minLength: READERS, maxLength: READERS });

test('every reader gets what it is to get, in order, whatever happens in between', () => {
  const property = fc.property(
    fc.array(action, { maxLength: 80, size: 'max' }),
    limits,
    (actions, limits) => {
      check(actions, limits, []);
    },
  );
  fc.assert(property, { numRuns: 400 });
});

test('the same holds when handlers of dropped messages act in the middle of deliveries', () => {
  const property = fc.property(
    fc.array(action, { maxLength: 80, size: 'max' }),
    limits,
    fc.array(handlers, { minLength: READERS, maxLength: READERS }),
    (actions, limits, scripts) => {
      check(actions, limits, scripts);
    },
  );
  fc.assert(property, { numRuns: 400 });
});
