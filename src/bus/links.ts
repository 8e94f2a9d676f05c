import { setTimeout as sleep } from 'node:timers/promises';
import { PairCounter, PairTable } from '../metrics/pair-table.ts';
import { Doorbell, DoorbellWaiter, type Sleeper } from '../ring/doorbell.ts';
import { InterestTable, LocalInterest } from '../ring/interest-table.ts';
import {
  instanceOf,
  isUp,
  NO_INSTANCE,
  ParticipantTable,
  roleOf,
  wordOf,
} from '../ring/participant-table.ts';
import { INSTANCE_MASK, metaInstance, type ReceivedRecord } from '../ring/record.ts';
import { maxNameLengthOf } from '../ring/record-writer.ts';
import { LocalCounts, SubscriberCounts } from '../ring/subscriber-counts.ts';
import { TopicReader } from '../ring/topic-bytes.ts';
import { InLink, type LinkReader } from './in-link.ts';
import type { LinkMemory } from './link-memory.ts';
import { Message, NO_BYTES } from './message.ts';
import { OutLink } from './out-link.ts';
import { type Ownership, SharedOwnership } from './ownership.ts';
import type { PublishResult } from './publish-result.ts';
import { SendStatus } from './send-status.ts';

/** Ms between two looks at a ring that had no room. */
const RETRY_INTERVAL = 1;
/** Ms after which no further ring is read in a turn: the sockets get theirs, and the next turn begins with that ring. */
const DRAIN_TIME = 2;
/** Ms between two reports of drops. */
const REPORT_INTERVAL = 1000;

/** Told when messages for a shard that does not keep up were dropped, at most once a second for each pair. */
export type OnOverflow = (to: number, dropped: number) => void;

/** Gets the records that the other threads send, and hears of those threads. */
export interface LinkHandler {
  /** Returns false when nobody takes records of this kind. May not throw. */
  onRecord(record: ReceivedRecord): boolean;
  /**
   * A thread is up under a number, or gone. What a thread addressed to this one comes between the two. An instance that began
   * and ended between two looks is told of only if it addressed something to this thread.
   */
  onInstance(id: number, instance: number, role: number, isUp: boolean): void;
}

/** What one thread has to do with the rings of all others. */
export class Links implements Sleeper, LinkReader {
  readonly #memory: LinkMemory;
  /** This thread's number. */
  readonly thread: number;
  readonly #interest: InterestTable;
  readonly #counts: SubscriberCounts;
  readonly #pairs: PairTable;
  readonly #participants: ParticipantTable;
  /** Who owns which name. */
  readonly ownership: Ownership;
  /** This thread's instance number; 0: it does not read yet. */
  instance = 0;
  /** What this thread addresses to others. */
  readonly #addressed = new Message();
  /** What this thread sends to those that are interested in a name. */
  readonly #named = new Message();
  #flushing: NodeJS.Immediate | null = null;
  /** To each thread; null: this thread itself; undefined: nobody has had that number yet. */
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

  // Only in a thread that reads.
  #localInterest: LocalInterest | null = null;
  #localCounts: LocalCounts | null = null;
  #in: InLink[] = [];
  /** The same by the number of the writer. */
  readonly #inFrom: (InLink | undefined)[] = [];
  /** The ring that is read first. */
  #nextIn = 0;
  #handler: LinkHandler | null = null;
  /** The other threads as they were told of, and the number of changes then. */
  readonly #known: Int32Array;
  #changes = -1;
  readonly #topics = new TopicReader();
  #isPaused = false;
  #waiter: DoorbellWaiter | null = null;

  constructor(memory: LinkMemory, thread: number, onOverflow: OnOverflow) {
    this.#memory = memory;
    this.thread = thread;
    this.#onOverflow = onOverflow;
    this.maxTopicLength = maxNameLengthOf(memory.capacity);
    this.#interest = new InterestTable(memory.interest);
    this.#counts = new SubscriberCounts(memory.counts);
    this.#pairs = new PairTable(memory.pairs, memory.threads, memory.threads);
    this.#participants = new ParticipantTable(memory.participants);
    this.ownership = new SharedOwnership(memory.owners);
    this.#known = new Int32Array(memory.threads);
    this.#addressed.sender = thread;
    this.#addressed.isAddressed = true;
    this.#named.sender = thread;
    this.#out = memory.inboxes.map((inbox, to) => {
      if (to === thread) return null;
      return inbox === undefined ? undefined : this.#outLink(to);
    });
  }

  /** A thread joins under this number, for the first time or after another that ended. */
  addThread(thread: number, inbox: SharedArrayBuffer): void {
    const { inboxes } = this.#memory;
    if (thread === this.thread || inboxes[thread] !== undefined) return;
    inboxes[thread] = inbox;
    this.#out[thread] = this.#outLink(thread);
    if (this.#handler === null) return;
    this.#read(thread);
    // It may have rung for what could not be found then. Not at once: a publish may be under way.
    setImmediate(this.#drain);
  }

  /** This thread neither reads nor writes any more, and is gone. */
  close(): void {
    this.#end();
    // Another one may have the number already, if this thread was taken for gone before.
    if (instanceOf(this.#participants.word(this.thread)) === this.instance) this.clearThread(this.thread);
  }

  /**
   * The same, but to the others it is there: a successor goes on where it has stopped. What it is interested in goes on
   * being written for that one.
   */
  leave(): void {
    this.#end();
    this.#counts.clearThread(this.thread);
  }

  #end(): void {
    this.flush();
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#report !== null) clearTimeout(this.#report);
    if (this.#flushing !== null) clearImmediate(this.#flushing);
    for (const link of this.#written) link.abandon();
    this.#written.clear();
    this.#waiter?.cancel();
    this.#waiter = null;
    this.#in = [];
    this.#inFrom.length = 0;
    this.#handler = null;
  }

  // Publishing.

  hash(topic: string): number {
    return this.#interest.hash(topic);
  }

  /** Whether a shard other than this one may have a subscriber of a topic with this hash. */
  isWanted(hash: number): boolean {
    const slot = this.#interest.slotOf(hash);
    const low = this.#interest.targetsLow(slot) & ~bitOf(this.thread, 0);
    return low !== 0 || (this.#interest.targetsHigh(slot) & ~bitOf(this.thread, 32)) !== 0;
  }

  /** Subscribers of a topic on all other shards. */
  countElsewhere(topic: string): number {
    // A thread that counts a subscriber has set its bit before.
    const slot = this.#interest.slotOf(this.#interest.hash(topic));
    const low = this.#interest.targetsLow(slot) & ~bitOf(this.thread, 0);
    return this.#counts.count(topic, low, this.#interest.targetsHigh(slot) & ~bitOf(this.thread, 32));
  }

  /** Whether a topic of this hash has subscribers on other shards; if one of them could not count all of its own, whether it may. */
  hasElsewhere(topic: string, hash: number): boolean {
    const slot = this.#interest.slotOf(hash);
    const low = this.#interest.targetsLow(slot) & ~bitOf(this.thread, 0);
    const high = this.#interest.targetsHigh(slot) & ~bitOf(this.thread, 32);
    return this.#counts.count(topic, low, high) > 0 || this.#counts.hasUncounted(low, high);
  }

  /** Writes a publish for every thread that may have a subscriber, and adds to the result; `flush` sends it off. */
  write(message: Message, result: PublishResult): void {
    const slot = this.#interest.slotOf(message.tag);
    message.sender = this.thread;
    message.instance = this.instance;
    this.#writeTo(this.#interest.targetsLow(slot), 0, message, result);
    if (this.#memory.threads > 32) this.#writeTo(this.#interest.targetsHigh(slot), 32, message, result);
  }

  /** Whether another thread may be interested in one of these names. */
  isAnyWanted(names: readonly string[]): boolean {
    for (const name of names) if (this.isWanted(this.#interest.hash(name))) return true;
    return false;
  }

  /**
   * Sends a record to each thread that may be interested in one of these names, behind what was published before, and off
   * at the end of the turn. It has the first of them.
   */
  sendToInterested(kind: number, names: readonly string[], body: Uint8Array, result: PublishResult): void {
    let low = 0;
    let high = 0;
    for (const name of names) {
      const slot = this.#interest.slotOf(this.#interest.hash(name));
      low |= this.#interest.targetsLow(slot);
      high |= this.#interest.targetsHigh(slot);
    }
    const message = this.#named;
    message.kind = kind;
    message.name = names[0]!;
    message.tag = this.#interest.hash(message.name);
    message.instance = this.instance;
    message.body = body;
    this.#writeTo(low, 0, message, result);
    if (this.#memory.threads > 32) this.#writeTo(high, 32, message, result);
    message.body = NO_BYTES;
    this.#flushing ??= setImmediate(this.#flushNow);
  }

  /**
   * Sends a record to one thread, behind what was published before, and off at the end of the turn.
   *
   * @param instance the thread it is for; 0: whichever has this number now
   */
  sendTo(thread: number, kind: number, body: Uint8Array, instance = 0): SendStatus {
    if (!(thread >= 0 && thread < this.#memory.threads) || thread === this.thread) return SendStatus.GONE;
    const link = this.#linkTo(thread);
    const reader = link === null ? 0 : link.readerInstance;
    if (link === null || reader === 0 || (instance !== 0 && instance !== reader)) {
      this.#pairs.counters(this.thread, thread).add(PairCounter.DROPPED, 1);
      return SendStatus.GONE;
    }
    const message = this.#addressed;
    message.kind = kind;
    message.tag = reader;
    message.instance = this.instance;
    message.body = body;
    const status = link.write(message);
    message.body = NO_BYTES;
    this.#written.add(link);
    this.#flushing ??= setImmediate(this.#flushNow);
    return status;
  }

  readonly #flushNow = (): void => {
    this.#flushing = null;
    this.flush();
  };

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

  /** A thread is gone: nobody writes to it until another has its number, and all hear of it. */
  clearThread(thread: number): void {
    this.#interest.clearThread(thread);
    this.#counts.clearThread(thread);
    if (this.#participants.end(thread)) this.#ringAll();
    this.#look();
  }

  // Reading.

  /**
   * Starts to take what other threads send: this thread is up.
   *
   * @param continues it goes on where the thread that had its number before has left, and is the same to the others
   * @param announce says what this thread is interested in; it is called before anything is read or told
   */
  listen(role: number, handler: LinkHandler, continues = false, announce: () => void = () => {}): void {
    const { threads, inboxes } = this.#memory;
    this.#handler = handler;
    this.#localInterest = new LocalInterest(this.#interest, this.thread, continues);
    this.#localCounts = new LocalCounts(this.#counts, this.thread);
    for (let from = 0; from < threads; from++) {
      if (from !== this.thread && inboxes[from] !== undefined) this.#read(from, continues);
    }
    this.#waiter = new DoorbellWaiter(this.#memory.doorbells, this.thread, this);
    // Behind the rings: a thread that sees this one up writes to its readers, and to no predecessor's.
    const word = this.#participants.word(this.thread);
    this.instance = continues && isUp(word) ? instanceOf(word) : this.#participants.begin(this.thread, role);
    // Behind it: what others publish for a thread that is not up counts as dropped.
    announce();
    this.#ringAll();
    this.#drain();
  }

  /** Instance number of the thread that has a number now; 0: there is none. */
  instanceAt(thread: number): number {
    // Who asks for it is told when that thread is gone.
    if (this.#participants.changes !== this.#changes) this.#look();
    const word = this.#participants.word(thread);
    return isUp(word) ? instanceOf(word) : 0;
  }

  onRecord(record: ReceivedRecord): boolean {
    if (record.isAddressed) this.#meetSender(record.sender, this.senderInstance(record));
    return this.#handler !== null && this.#handler.onRecord(record);
  }

  /** Instance number of the thread that sent a record, which may be gone. */
  senderInstance(record: ReceivedRecord): number {
    const last = instanceOf(this.#participants.word(record.sender));
    return last - ((last - metaInstance(record.meta)) & INSTANCE_MASK);
  }

  /** The sender of a record is told of first, also when it is gone already. */
  #meetSender(thread: number, instance: number): void {
    const known = this.#known[thread]!;
    if (isUp(known) && instanceOf(known) === instance) return;
    this.#turn(thread, wordOf(instance, roleOf(this.#participants.word(thread))));
    // It may have to be told that it is gone.
    this.#changes = -1;
  }

  /** All others look what has changed. */
  #ringAll(): void {
    for (let thread = 0; thread < this.#memory.threads; thread++) {
      if (thread !== this.thread) new Doorbell(this.#memory.doorbells, thread).ring();
    }
  }

  /** Looks which of the other threads are up, and tells of what has changed. */
  #look(): void {
    if (this.#handler === null) return;
    // Before the rows: what changes meanwhile is seen now, or at the next look.
    this.#changes = this.#participants.changes;
    for (let thread = 0; thread < this.#memory.threads; thread++) {
      if (thread === this.thread) continue;
      const word = this.#participants.word(thread);
      if (word === this.#known[thread]) continue;
      // What those have written that had the number before comes first; they write no more.
      if (!this.#isPaused && (!isUp(word) || instanceOf(word) > 1)) this.#inFrom[thread]?.readAll();
      // Unless a record among it was of an even later one.
      if (instanceOf(this.#known[thread]!) <= instanceOf(word)) this.#turn(thread, word);
    }
  }

  /** Tells of one thread what has changed. */
  #turn(thread: number, word: number): void {
    const known = this.#known[thread]!;
    if (word === known) return;
    // First, as a handler may have records read.
    this.#known[thread] = word;
    // Lets go of what waits for one that is gone.
    this.#out[thread]?.meetReader();
    if (isUp(known)) this.#tell(thread, known, false);
    if (isUp(word)) this.#tell(thread, word, true);
  }

  #tell(thread: number, word: number, up: boolean): void {
    this.#handler?.onInstance(thread, instanceOf(word), roleOf(word), up);
  }

  /** A local topic has `count` subscribers, after it had `before`. */
  setCount(topic: string, hash: number, count: number, before: number): void {
    // Interest first: a thread that learns of a subscriber by the count finds the bit set.
    if (before === 0) this.#localInterest?.add(hash);
    this.#localCounts?.set(topic, count, before);
    if (count === 0) this.#localInterest?.remove(hash);
  }

  /** Something here listens to a topic that is no socket and is not counted among the subscribers. */
  addInterest(hash: number): void {
    this.#localInterest?.add(hash);
  }

  /** Once for each `addInterest`. */
  removeInterest(hash: number): void {
    this.#localInterest?.remove(hash);
  }

  /** This thread wants what is published to any topic. */
  addInterestInAll(): void {
    this.#localInterest?.addAll();
  }

  removeInterestInAll(): void {
    this.#localInterest?.removeAll();
  }

  hasWork(): boolean {
    return this.#participants.changes !== this.#changes || this.#in.some((link) => link.hasRecords());
  }

  onWake(): void {
    this.#drain();
  }

  /** Reads nothing until `resume`: what comes waits in the rings, and for room in them. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Reads on, and looks who has come and gone. */
  resume(): void {
    this.#isPaused = false;
    setImmediate(this.#drain);
  }

  /** Pauses where no message has arrived in part, for a successor to go on; at the deadline, in ms, wherever it is. */
  async stop(deadline: number): Promise<void> {
    this.pause();
    while (this.#readOn() && performance.now() < deadline) await sleep(RETRY_INTERVAL);
  }

  /** Reads messages that have arrived in part to their ends. Returns whether that of one is still to come. */
  #readOn(): boolean {
    let isGathering = false;
    for (const [from, link] of this.#inFrom.entries()) {
      if (link === undefined) continue;
      // Before the ring: a thread that is gone has written all that it will.
      const word = this.#participants.word(from);
      while (link.isGathering && link.readOne());
      if (link.isGathering && (word === NO_INSTANCE || isUp(word))) isGathering = true;
    }
    return isGathering;
  }

  /** Resolves when nothing waits for room in the rings of others, or the deadline, in ms, is over. */
  async sent(deadline: number): Promise<void> {
    this.flush();
    while (this.#written.size > 0 && performance.now() < deadline) {
      await sleep(RETRY_INTERVAL);
      this.flush();
    }
  }

  /** What the former instance of this thread was interested in, and this one is not, is written for it no more. */
  reconcile(): void {
    this.#localInterest?.reconcile();
  }

  readonly #drain = (): void => {
    if (this.#participants.changes !== this.#changes) this.#look();
    if (this.#isPaused) return;
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

  #writeTo(targets: number, base: number, message: Message, result: PublishResult): void {
    let rest = targets & ~bitOf(this.thread, base);
    while (rest !== 0) {
      const lowest = 31 - Math.clz32(rest & -rest);
      rest &= rest - 1;
      const link = this.#linkTo(base + lowest);
      if (link === null) continue;
      note(result, link.write(message));
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
    const counters = this.#pairs.counters(this.thread, to);
    return new OutLink(this.#memory, this.thread, to, counters, this.#participants);
  }

  #read(from: number, continues = false): void {
    const counters = this.#pairs.counters(from, this.thread);
    const link = new InLink(this.#memory, from, this.thread, counters, this.#topics, this, continues);
    this.#in.push(link);
    this.#inFrom[from] = link;
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

function note(result: PublishResult, status: SendStatus): void {
  if (status === SendStatus.WRITTEN) result.written++;
  else if (status === SendStatus.QUEUED) result.queued++;
  else result.dropped++;
}

/** A thread's bit in the word of threads `base` to `base + 31`. */
function bitOf(thread: number, base: number): number {
  return thread >= base && thread < base + 32 ? 1 << (thread - base) : 0;
}
