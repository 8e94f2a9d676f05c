import { PairTable } from '../metrics/pair-table.ts';
import { DoorbellWaiter, type Sleeper } from '../ring/doorbell.ts';
import { InterestTable, LocalInterest } from '../ring/interest-table.ts';
import type { PublishRecord } from '../ring/record.ts';
import { maxTopicLengthOf } from '../ring/record-writer.ts';
import { LocalCounts, SubscriberCounts } from '../ring/subscriber-counts.ts';
import { TopicReader } from '../ring/topic-bytes.ts';
import { InLink } from './in-link.ts';
import type { LinkMemory } from './link-memory.ts';
import { OutLink } from './out-link.ts';

/** Ms between two looks at a ring that had no room. */
const RETRY_INTERVAL = 1;
/** Ms after which no further ring is read in a turn: the sockets get theirs, and the next turn begins with that ring. */
const DRAIN_TIME = 2;
/** Ms between two reports of drops. */
const REPORT_INTERVAL = 1000;

/** Told when messages for a shard that does not keep up were dropped, at most once a second for each pair. */
export type OnOverflow = (to: number, dropped: number) => void;

/** What one thread has to do with the rings of all others. */
export class Links implements Sleeper {
  readonly #memory: LinkMemory;
  readonly #thread: number;
  readonly #interest: InterestTable;
  readonly #counts: SubscriberCounts;
  readonly #pairs: PairTable;
  /** To each shard; null: this thread itself; undefined: nobody has had that number yet. */
  readonly #out: (OutLink | null | undefined)[];
  /** Links written to since the last flush. */
  readonly #written = new Set<OutLink>();
  readonly #onOverflow: OnOverflow;
  #retry: NodeJS.Timeout | null = null;
  #report: NodeJS.Timeout | null = null;
  #lastReport = Number.NEGATIVE_INFINITY;
  /** Bytes of the longest topic that the rings take. */
  readonly maxTopicLength: number;
  /** Called when a thread wants messages that this one has not been told of: it must have been told by now. */
  onUnknownThread: (() => void) | null = null;

  // Only in a thread that subscribes.
  #localInterest: LocalInterest | null = null;
  #localCounts: LocalCounts | null = null;
  #in: InLink[] = [];
  /** The ring that is read first. */
  #nextIn = 0;
  #onPublish: ((record: PublishRecord) => void) | null = null;
  readonly #topics = new TopicReader();
  #waiter: DoorbellWaiter | null = null;

  constructor(memory: LinkMemory, thread: number, onOverflow: OnOverflow) {
    this.#memory = memory;
    this.#thread = thread;
    this.#onOverflow = onOverflow;
    this.maxTopicLength = maxTopicLengthOf(memory.capacity);
    this.#interest = new InterestTable(memory.interest);
    this.#counts = new SubscriberCounts(memory.counts);
    this.#pairs = new PairTable(memory.pairs, memory.publishers, memory.shards);
    this.#out = memory.inboxes.map((inbox, to) => {
      if (to === thread) return null;
      return inbox === undefined ? undefined : this.#outLink(to);
    });
  }

  /** A thread joins under this number, for the first time or after another that ended. */
  addThread(thread: number, inbox: SharedArrayBuffer): void {
    const { inboxes } = this.#memory;
    if (thread === this.#thread || inboxes[thread] !== undefined) return;
    inboxes[thread] = inbox;
    this.#out[thread] = this.#outLink(thread);
    if (this.#onPublish === null) return;
    this.#in.push(this.#inLink(thread, this.#onPublish));
    // It may have rung for what could not be found then. Not at once: a publish may be under way.
    setImmediate(this.#drain);
  }

  /** This thread neither reads nor writes any more. */
  close(): void {
    this.flush();
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#report !== null) clearTimeout(this.#report);
    for (const link of this.#written) link.reset();
    this.#written.clear();
    this.#waiter?.cancel();
    this.#waiter = null;
    this.#in = [];
    this.#interest.clearThread(this.#thread);
    this.#counts.clearThread(this.#thread);
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
    // Who counts a subscriber has set its bit before.
    const slot = this.#interest.slotOf(this.#interest.hash(topic));
    const low = this.#interest.targetsLow(slot) & ~bitOf(this.#thread, 0);
    return this.#counts.count(topic, low, this.#interest.targetsHigh(slot) & ~bitOf(this.#thread, 32));
  }

  /** Whether a topic has subscribers on other shards; if one of them could not count all of its own, whether it may have. */
  hasElsewhere(topic: string): boolean {
    const slot = this.#interest.slotOf(this.#interest.hash(topic));
    const low = this.#interest.targetsLow(slot) & ~bitOf(this.#thread, 0);
    const high = this.#interest.targetsHigh(slot) & ~bitOf(this.#thread, 32);
    return this.#counts.count(topic, low, high) > 0 || this.#counts.hasUncounted(low, high);
  }

  /**
   * Writes a message for every shard that may have a subscriber; `flush` sends it off.
   *
   * @param compressed behind the frame there is the same in compressed form
   */
  write(
    topic: string,
    hash: number,
    opcode: number,
    frame: Uint8Array,
    isStable: boolean,
    compressed = false,
  ): void {
    const slot = this.#interest.slotOf(hash);
    this.#writeTo(this.#interest.targetsLow(slot), 0, topic, hash, opcode, frame, isStable, compressed);
    if (this.#memory.shards > 32) {
      this.#writeTo(this.#interest.targetsHigh(slot), 32, topic, hash, opcode, frame, isStable, compressed);
    }
  }

  /** Sends off what was written, and what waits as far as there is room. */
  flush(): void {
    if (this.#written.size === 0) return;
    let hasDropped = false;
    for (const link of this.#written) {
      link.flush();
      if (link.unreported > 0) hasDropped = true;
      if (!link.isOverflowing) this.#written.delete(link);
    }
    if (this.#written.size > 0) this.#retryLater();
    if (hasDropped) this.#reportDrops();
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
    const { shards, publishers, inboxes } = this.#memory;
    this.#onPublish = onPublish;
    this.#localInterest = new LocalInterest(this.#interest, this.#thread);
    this.#localCounts = new LocalCounts(this.#counts, this.#thread);
    for (let from = 0; from < publishers; from++) {
      const isThere = from >= shards || inboxes[from] !== undefined;
      if (isThere && from !== this.#thread) this.#in.push(this.#inLink(from, onPublish));
    }
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
    const links = this.#in;
    const { length } = links;
    const since = performance.now();
    let number = this.#nextIn;
    this.#nextIn = 0;
    for (let rest = length; rest > 0; rest--) {
      if (number >= length) number = 0;
      links[number++]!.read();
      if (rest === 1 || performance.now() - since < DRAIN_TIME) continue;
      this.#nextIn = number;
      break;
    }
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
    compressed: boolean,
  ): void {
    let rest = targets & ~bitOf(this.#thread, base);
    while (rest !== 0) {
      const lowest = 31 - Math.clz32(rest & -rest);
      rest &= rest - 1;
      const link = this.#linkTo(base + lowest);
      if (link === null) continue;
      link.write(topic, hash, opcode, frame, isStable, compressed);
      this.#written.add(link);
    }
  }

  #linkTo(thread: number): OutLink | null {
    const link = this.#out[thread];
    if (link !== undefined) return link;
    this.onUnknownThread?.();
    return this.#out[thread] ?? null;
  }

  #outLink(to: number): OutLink {
    return new OutLink(this.#memory, this.#thread, to, this.#pairs.counters(this.#thread, to));
  }

  #inLink(from: number, onPublish: (record: PublishRecord) => void): InLink {
    const counters = this.#pairs.counters(from, this.#thread);
    return new InLink(this.#memory, from, this.#thread, counters, this.#topics, onPublish);
  }

  #retryLater(): void {
    if (this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.flush();
    }, RETRY_INTERVAL);
  }

  /** Reports what was dropped: at once, or a while after the last report. */
  #reportDrops(): void {
    if (this.#report !== null) return;
    const wait = this.#lastReport + REPORT_INTERVAL - performance.now();
    if (wait <= 0) {
      this.#reportNow();
      return;
    }
    this.#report = setTimeout(() => {
      this.#report = null;
      this.#reportNow();
    }, wait);
    this.#report.unref();
  }

  #reportNow(): void {
    this.#lastReport = performance.now();
    for (const [shard, link] of this.#out.entries()) {
      if (!link || link.unreported === 0) continue;
      const dropped = link.unreported;
      link.unreported = 0;
      this.#onOverflow(shard, dropped);
    }
  }
}

/** A thread's bit in the word of threads `base` to `base + 31`. */
function bitOf(thread: number, base: number): number {
  return thread >= base && thread < base + 32 ? 1 << (thread - base) : 0;
}
