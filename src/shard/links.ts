import { formatRing, type RingRegion, ringByteLength } from '../ring/byte-ring.ts';
import { createDoorbells, Doorbell, DoorbellWaiter, type Sleeper } from '../ring/doorbell.ts';
import { createInterestTable, InterestTable, LocalInterest } from '../ring/interest-table.ts';
import { alignUp, DEFAULT_RING_CAPACITY, LINE_PAIR } from '../ring/layout.ts';
import { PairCounter, type PairCounters, PairTable } from '../ring/pair-table.ts';
import type { PublishMessage, PublishRecord } from '../ring/record.ts';
import { type PublishHandler, RecordAssembler } from '../ring/record-assembler.ts';
import { RecordWriter, WriteStatus } from '../ring/record-writer.ts';
import { RingConsumer } from '../ring/ring-consumer.ts';
import { RingProducer } from '../ring/ring-producer.ts';
import { createSubscriberCounts, LocalCounts, SubscriberCounts } from '../ring/subscriber-counts.ts';
import { TopicReader } from '../ring/topic-bytes.ts';

/**
 * The shared memory of a server's topics, posted to each of its threads. Threads 0 to shards - 1 are the
 * shards; the last one is the main thread, which publishes and does not subscribe.
 *
 *     rings: from 0 to 0, from 0 to 1, … from main to the last shard
 */
export interface LinkMemory {
  readonly shards: number;
  /** Bytes of a ring. */
  readonly capacity: number;
  /** Bytes that may wait for a ring with no room, for each pair of threads. */
  readonly maxOverflow: number;
  readonly rings: SharedArrayBuffer;
  readonly doorbells: SharedArrayBuffer;
  readonly interest: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
  readonly pairs: SharedArrayBuffer;
}

/** Bytes that may wait for a slow shard, for each pair of threads. */
export const DEFAULT_MAX_OVERFLOW = 16 * 1024 * 1024;

/** The longest frame that crosses threads. */
export const MAX_CROSS_FRAME = 64 * 1024 * 1024;

export function createLinkMemory(
  shards: number,
  seed: number,
  capacity: number = DEFAULT_RING_CAPACITY,
  maxOverflow: number = DEFAULT_MAX_OVERFLOW,
): LinkMemory {
  const memory: LinkMemory = {
    shards,
    capacity,
    maxOverflow,
    rings: new SharedArrayBuffer((shards + 1) * shards * ringStride(capacity)),
    doorbells: createDoorbells(shards),
    interest: createInterestTable(undefined, seed),
    counts: createSubscriberCounts(shards, undefined, seed),
    pairs: PairTable.create(shards + 1, shards),
  };
  for (let from = 0; from <= shards; from++) {
    for (let to = 0; to < shards; to++) formatRing(ringRegion(memory, from, to), capacity);
  }
  return memory;
}

function ringStride(capacity: number): number {
  return alignUp(ringByteLength(capacity), LINE_PAIR);
}

/** Where the ring of a pair of threads lies. */
export function ringRegion(memory: LinkMemory, from: number, to: number): RingRegion {
  const index = from * memory.shards + to;
  return { buffer: memory.rings, byteOffset: index * ringStride(memory.capacity) };
}

/** What waits because the ring has no room. */
interface Waiting {
  readonly topic: string;
  readonly hash: number;
  readonly opcode: number;
  readonly frame: Uint8Array;
  readonly sequence: number;
}

/** Ms between two looks at a ring that had no room. */
const RETRY_INTERVAL = 1;

/** Told when messages for a shard were dropped, at most once a second for each pair. */
export type OnOverflow = (to: number, dropped: number) => void;

/** One direction of a pair of threads: the writing side. */
class OutLink {
  readonly counters: PairCounters;
  readonly #producer: RingProducer;
  readonly #writer: RecordWriter;
  readonly #doorbell: Doorbell;
  readonly #message: PublishMessage;
  readonly #maxOverflow: number;
  #waiting: Waiting[] = [];
  /** The first of `#waiting` that is still to be written. */
  #next = 0;
  #waitingBytes = 0;
  /** The frame of a message that is in the ring in part. */
  #partial: Waiting | null = null;
  #sequence = 0;

  constructor(memory: LinkMemory, from: number, to: number, counters: PairCounters) {
    this.counters = counters;
    this.#producer = new RingProducer(ringRegion(memory, from, to));
    this.#writer = new RecordWriter(this.#producer, MAX_CROSS_FRAME);
    this.#doorbell = new Doorbell(memory.doorbells, to);
    this.#maxOverflow = memory.maxOverflow;
    this.#message = {
      topic: '',
      topicHash: 0,
      opcode: 0,
      compressed: false,
      publisher: from,
      sequence: 0,
      frame: NO_BYTES,
    };
  }

  /** Messages wait for room in the ring. */
  get isOverflowing(): boolean {
    return this.#waitingBytes > 0;
  }

  /** @param isStable the frame's bytes never change, so it need not be copied to wait */
  write(topic: string, hash: number, opcode: number, frame: Uint8Array, isStable: boolean): void {
    const sequence = this.#sequence++;
    if (!this.isOverflowing && this.#tryWrite(topic, hash, opcode, frame, sequence)) return;
    if (this.#waitingBytes > 0 && this.#waitingBytes + frame.length > this.#maxOverflow) {
      this.counters.add(PairCounter.DROPPED, 1);
      return;
    }
    this.counters.add(PairCounter.OVERFLOWED, 1);
    this.#enqueue({ topic, hash, opcode, frame: isStable ? frame : frame.slice(), sequence });
  }

  /** Publishes what was written, and as much of what waits as there is room for. */
  flush(): void {
    this.#commit();
    if (!this.isOverflowing) return;
    this.#pump();
    this.#commit();
    this.counters.set(PairCounter.OVERFLOW_BYTES, this.#waitingBytes);
  }

  /** The shard was started anew: it must not get what was published before its clients subscribed. */
  reset(): void {
    const lost = this.#waiting.length - this.#next + (this.#partial === null ? 0 : 1);
    if (this.#partial !== null) this.#writer.abandon();
    this.#partial = null;
    this.#waiting = [];
    this.#next = 0;
    this.#waitingBytes = 0;
    this.counters.add(PairCounter.DROPPED, lost);
    this.counters.set(PairCounter.OVERFLOW_BYTES, 0);
  }

  /** Returns whether the message needs no place in the queue. */
  #tryWrite(topic: string, hash: number, opcode: number, frame: Uint8Array, sequence: number): boolean {
    const message = this.#message;
    message.topic = topic;
    message.topicHash = hash;
    message.opcode = opcode;
    message.sequence = sequence;
    message.frame = frame;
    const status = this.#writer.write(message);
    message.frame = NO_BYTES;
    if (status === WriteStatus.FULL) return false;
    if (status === WriteStatus.PARTIAL) {
      // Frames that do not fit one piece are never in memory that is used again.
      this.#partial = { topic, hash, opcode, frame, sequence };
      this.#waitingBytes += frame.length;
    }
    this.counters.add(status === WriteStatus.TOO_BIG ? PairCounter.DROPPED : PairCounter.WRITTEN, 1);
    return true;
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    // An empty frame still has a header: every message that waits counts.
    this.#waitingBytes += waiting.frame.length;
    this.counters.set(PairCounter.OVERFLOW_BYTES, this.#waitingBytes);
  }

  #pump(): void {
    if (this.#partial !== null) {
      if (this.#writer.resume() === WriteStatus.PARTIAL) return;
      this.#waitingBytes -= this.#partial.frame.length;
      this.#partial = null;
    }
    while (this.#next < this.#waiting.length) {
      const { topic, hash, opcode, frame, sequence } = this.#waiting[this.#next]!;
      if (!this.#tryWrite(topic, hash, opcode, frame, sequence)) break;
      this.#waitingBytes -= frame.length;
      this.#next++;
      if (this.#partial !== null) break;
    }
    if (this.#next === this.#waiting.length) {
      this.#waiting = [];
      this.#next = 0;
    } else if (this.#next > 1024) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
  }

  #commit(): void {
    if (!this.#producer.commit() && !this.isOverflowing) return;
    this.#doorbell.ring();
    this.counters.set(PairCounter.WAKES, this.#doorbell.wakes);
  }
}

/** One direction of a pair of threads: the reading side. */
class InLink implements PublishHandler {
  readonly #counters: PairCounters;
  readonly #consumer: RingConsumer;
  readonly #assembler: RecordAssembler;
  readonly #onPublish: (record: PublishRecord) => void;
  /** The sequence number that comes next; -1: whatever comes first. */
  #expected = -1;

  constructor(
    memory: LinkMemory,
    from: number,
    to: number,
    counters: PairCounters,
    topics: TopicReader,
    onPublish: (record: PublishRecord) => void,
  ) {
    this.#counters = counters;
    this.#consumer = new RingConsumer(ringRegion(memory, from, to));
    this.#assembler = new RecordAssembler(this.#consumer, this, topics, MAX_CROSS_FRAME);
    this.#onPublish = onPublish;
  }

  hasRecords(): boolean {
    return this.#consumer.hasRecords();
  }

  /** Reads a share of what there is. */
  read(): void {
    this.#consumer.read(this.#assembler);
  }

  onPublish(record: PublishRecord): void {
    const { sequence } = record;
    this.#counters.add(PairCounter.RECEIVED, 1);
    if (this.#expected >= 0 && sequence > this.#expected) {
      this.#counters.add(PairCounter.LOST, sequence - this.#expected);
    }
    this.#expected = sequence + 1;
    this.#onPublish(record);
  }

  onProducerRestart(): void {
    this.#expected = -1;
  }

  onReset(): void {
    this.#counters.add(PairCounter.RESETS, 1);
  }
}

/** What one thread has to do with the rings of all others. */
export class Links implements Sleeper {
  readonly #memory: LinkMemory;
  readonly #thread: number;
  readonly #interest: InterestTable;
  readonly #counts: SubscriberCounts;
  readonly #pairs: PairTable;
  /** To each shard; null: this thread itself. */
  readonly #out: (OutLink | null)[];
  /** Links written to since the last flush. */
  readonly #written = new Set<OutLink>();
  readonly #onOverflow: OnOverflow;
  readonly #reported: number[];
  #retry: NodeJS.Timeout | null = null;
  #lastReport = 0;

  // Only in a thread that subscribes.
  #localInterest: LocalInterest | null = null;
  #localCounts: LocalCounts | null = null;
  #in: InLink[] = [];
  #waiter: DoorbellWaiter | null = null;

  constructor(memory: LinkMemory, thread: number, onOverflow: OnOverflow) {
    this.#memory = memory;
    this.#thread = thread;
    this.#onOverflow = onOverflow;
    this.#interest = new InterestTable(memory.interest);
    this.#counts = new SubscriberCounts(memory.counts);
    this.#pairs = new PairTable(memory.pairs, memory.shards + 1, memory.shards);
    this.#reported = Array.from({ length: memory.shards }, () => 0);
    this.#out = Array.from({ length: memory.shards }, (_, to) =>
      to === thread ? null : new OutLink(memory, thread, to, this.#pairs.counters(thread, to)),
    );
  }

  // Publishing.

  hash(topic: string): number {
    return this.#interest.hash(topic);
  }

  /** Whether a shard other than this one may have a subscriber of a topic with this hash. */
  isWanted(hash: number): boolean {
    const slot = this.#interest.slotOf(hash);
    const low = this.#interest.targetsLow(slot) & ~bitOf(this.#thread, 0);
    return low !== 0 || (this.#interest.targetsHigh(slot) & ~bitOf(this.#thread, 32)) !== 0;
  }

  /** Subscribers of a topic on all other shards. */
  countElsewhere(topic: string): number {
    return this.#counts.count(topic, this.#thread);
  }

  /** Writes a message for every shard that may have a subscriber; `flush` sends it off. */
  write(topic: string, hash: number, opcode: number, frame: Uint8Array, isStable: boolean): void {
    const slot = this.#interest.slotOf(hash);
    this.#writeTo(this.#interest.targetsLow(slot), 0, topic, hash, opcode, frame, isStable);
    if (this.#memory.shards > 32) {
      this.#writeTo(this.#interest.targetsHigh(slot), 32, topic, hash, opcode, frame, isStable);
    }
  }

  /** Sends off what was written, and what waits as far as there is room. */
  flush(): void {
    if (this.#written.size === 0) return;
    for (const link of this.#written) {
      link.flush();
      if (!link.isOverflowing) this.#written.delete(link);
    }
    if (this.#written.size > 0) this.#retryLater();
    this.#reportDrops();
  }

  /** A shard's thread died: nobody writes to it until it subscribes anew. Called in the main thread. */
  clearShard(shard: number): void {
    this.#interest.clearThread(shard);
    this.#counts.clearThread(shard);
    this.resetShard(shard);
  }

  /** Forgets what waits for a shard that died. */
  resetShard(shard: number): void {
    this.#out[shard]?.reset();
  }

  // Subscribing.

  /** Starts to take the publishes of other threads. */
  listen(onPublish: (record: PublishRecord) => void): void {
    const { shards } = this.#memory;
    const topics = new TopicReader();
    this.#localInterest = new LocalInterest(this.#interest, this.#thread);
    this.#localCounts = new LocalCounts(this.#counts, this.#thread);
    this.#in = Array.from({ length: shards + 1 }, (_, from) => from)
      .filter((from) => from !== this.#thread)
      .map(
        (from) =>
          new InLink(
            this.#memory,
            from,
            this.#thread,
            this.#pairs.counters(from, this.#thread),
            topics,
            onPublish,
          ),
      );
    this.#waiter = new DoorbellWaiter(this.#memory.doorbells, this.#thread, this);
    this.#drain();
  }

  /** A local topic has `count` subscribers, after it had `before`. */
  setCount(topic: string, hash: number, count: number, before: number): void {
    // Interest first: who is told of a subscriber by the count finds the bit set.
    if (before === 0) this.#localInterest?.add(hash);
    this.#localCounts?.set(topic, count, before);
    if (count === 0) this.#localInterest?.remove(hash);
  }

  hasWork(): boolean {
    return this.#in.some((link) => link.hasRecords());
  }

  onWake(): void {
    this.#drain();
  }

  readonly #drain = (): void => {
    for (const link of this.#in) link.read();
    // With more to read, the other sockets get their turn first.
    if (this.#waiter?.wait() === false) setImmediate(this.#drain);
  };

  #writeTo(
    targets: number,
    base: number,
    topic: string,
    hash: number,
    opcode: number,
    frame: Uint8Array,
    isStable: boolean,
  ): void {
    let rest = targets & ~bitOf(this.#thread, base);
    while (rest !== 0) {
      const lowest = 31 - Math.clz32(rest & -rest);
      rest &= rest - 1;
      const link = this.#out[base + lowest];
      if (link === null || link === undefined) continue;
      link.write(topic, hash, opcode, frame, isStable);
      this.#written.add(link);
    }
  }

  #retryLater(): void {
    if (this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.flush();
    }, RETRY_INTERVAL);
  }

  #reportDrops(): void {
    const now = performance.now();
    if (now - this.#lastReport < 1000) return;
    for (const [shard, link] of this.#out.entries()) {
      const dropped = link?.counters.get(PairCounter.DROPPED) ?? 0;
      if (dropped <= this.#reported[shard]!) continue;
      this.#lastReport = now;
      this.#onOverflow(shard, dropped - this.#reported[shard]!);
      this.#reported[shard] = dropped;
    }
  }
}

/** A thread's bit in the word of threads `base` to `base + 31`. */
function bitOf(thread: number, base: number): number {
  return thread >= base && thread < base + 32 ? 1 << (thread - base) : 0;
}

const NO_BYTES = new Uint8Array(0);
