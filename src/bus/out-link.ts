import { PairCounter, type PairCounters } from '../metrics/pair-table.ts';
import { Doorbell } from '../ring/doorbell.ts';
import { instanceOf, isUp, NO_INSTANCE, type ParticipantTable } from '../ring/participant-table.ts';
import { RecordWriter, WriteStatus } from '../ring/record-writer.ts';
import { RingProducer } from '../ring/ring-producer.ts';
import { type LinkMemory, MAX_CROSS_FRAME, ringRegion } from './link-memory.ts';
import type { Message } from './message.ts';
import { SendStatus } from './send-status.ts';

// The compiler takes constants of this module for what they are.
const { WRITTEN, WAKES } = PairCounter;

/** What a message that waits takes beside its bytes, so that `maxOverflow` bounds many small ones too. */
const WAITING_OVERHEAD = 128;

/** Messages written while others wait, from one look whether there is room again to the next. */
const LOOK_EVERY = 64;

/** What a message counts while it waits. */
function costOf(message: Message): number {
  return WAITING_OVERHEAD + message.name.length + message.body.length;
}

/** One direction of a pair of threads, the writing side: the ring, and what waits for room in it. */
export class OutLink {
  /** Messages dropped because the thread does not keep up, since somebody set this to 0. */
  unreported = 0;
  readonly #to: number;
  readonly #counters: PairCounters;
  readonly #producer: RingProducer;
  readonly #writer: RecordWriter;
  readonly #doorbell: Doorbell;
  readonly #participants: ParticipantTable;
  readonly #maxOverflow: number;
  #waiting: Message[] = [];
  /** The first of `#waiting` that is still to be written. */
  #next = 0;
  #waitingBytes = 0;
  /** What a message that is in the ring in part counts among the waiting bytes; 0: there is none. */
  #partialCost = 0;
  #sequence = 0;
  /** The reader, as the participants' table has it; what was written and what waits is for this one. */
  #word: number;
  /** What was written to its predecessors less what they have read. */
  #unreadBefore = 0;

  constructor(
    memory: LinkMemory,
    from: number,
    to: number,
    counters: PairCounters,
    participants: ParticipantTable,
  ) {
    this.#to = to;
    this.#counters = counters;
    this.#participants = participants;
    this.#producer = new RingProducer(ringRegion(memory, from, to));
    this.#writer = new RecordWriter(this.#producer, MAX_CROSS_FRAME);
    this.#doorbell = new Doorbell(memory.doorbells, to);
    this.#maxOverflow = memory.maxOverflow;
    this.#word = participants.word(to);
    this.#unreadBefore = this.#unread();
    // What waited in a predecessor that died is gone.
    counters.set(PairCounter.OVERFLOW_BYTES, 0);
  }

  /** Messages wait for room in the ring. */
  get isOverflowing(): boolean {
    return this.#waitingBytes > 0;
  }

  /** Instance number of the reader; 0: there is none now. */
  get readerInstance(): number {
    this.meetReader();
    return isUp(this.#word) ? instanceOf(this.#word) : 0;
  }

  /** Writes a message, or keeps a copy of it until there is room. */
  write(message: Message): SendStatus {
    const sequence = this.#sequence++;
    message.sequence = sequence;
    const cost = costOf(message);
    this.meetReader();
    if (this.#isReaderGone) {
      this.#counters.add(PairCounter.DROPPED, 1);
      return SendStatus.GONE;
    }
    // The reader goes on while this turn lasts.
    if (this.isOverflowing && (sequence % LOOK_EVERY === 0 || this.#isOverLimit(cost))) this.flush();
    if (!this.isOverflowing) {
      const status = this.#tryWrite(message, cost);
      if (status !== WriteStatus.FULL) return this.#written(message, status);
    }
    if (this.#isOverLimit(cost)) {
      this.#drop();
      return SendStatus.DROPPED;
    }
    this.#commit();
    this.#counters.add(PairCounter.OVERFLOWED, 1);
    this.#enqueue(message.copy(), cost);
    return SendStatus.QUEUED;
  }

  /** Publishes what was written, and as much of what waits as there is room for. */
  flush(): void {
    this.#commit();
    if (!this.isOverflowing) return;
    this.meetReader();
    this.#pump();
    this.#commit();
    this.#counters.set(PairCounter.OVERFLOW_BYTES, this.#waitingBytes);
  }

  /** Forgets what waits, as nothing will be written any more. */
  abandon(): void {
    this.#forget();
  }

  /**
   * Looks whether the reader is another one: it must not get what was written for its predecessor, neither what is
   * addressed to that nor what was published before its own clients subscribed.
   */
  meetReader(): void {
    const word = this.#participants.word(this.#to);
    if (word !== this.#word) this.#meet(word);
  }

  #meet(word: number): void {
    const isFirst = this.#word === NO_INSTANCE;
    this.#word = word;
    const unread = this.#unread();
    // The first one succeeds nobody: it gets all.
    if (!isFirst) {
      this.#forget();
      this.#counters.add(PairCounter.UNREAD, Math.max(unread - this.#unreadBefore, 0));
    }
    this.#unreadBefore = unread;
  }

  /** The last one that had the number. Of one that nobody has had yet nothing is known. */
  get #isReaderGone(): boolean {
    return this.#word !== NO_INSTANCE && !isUp(this.#word);
  }

  #unread(): number {
    return this.#counters.get(WRITTEN) - this.#counters.get(PairCounter.RECEIVED);
  }

  #forget(): void {
    const lost = this.#waiting.length - this.#next;
    // One that is in the ring in part is among those that were not read.
    this.#writer.abandon();
    this.#partialCost = 0;
    this.#waiting = [];
    this.#next = 0;
    this.#waitingBytes = 0;
    this.#counters.add(PairCounter.DROPPED, lost);
    this.#counters.set(PairCounter.OVERFLOW_BYTES, 0);
  }

  #tryWrite(message: Message, cost: number): WriteStatus {
    const status = this.#writer.write(message);
    if (status === WriteStatus.FULL) return status;
    if (status === WriteStatus.PARTIAL) {
      this.#partialCost = cost;
      this.#waitingBytes += cost;
    }
    if (status === WriteStatus.TOO_BIG) this.#drop();
    else this.#counters.add(WRITTEN, 1);
    return status;
  }

  #written(message: Message, status: WriteStatus): SendStatus {
    if (status === WriteStatus.DONE) return SendStatus.WRITTEN;
    if (status === WriteStatus.TOO_BIG) return SendStatus.TOO_BIG;
    if (!message.isStable) this.#writer.detach();
    return SendStatus.QUEUED;
  }

  /** A message that would wait alone may be larger than the limit: what can be sent can also wait. */
  #isOverLimit(cost: number): boolean {
    return this.isOverflowing && this.#waitingBytes + cost > this.#maxOverflow;
  }

  #drop(): void {
    this.#counters.add(PairCounter.DROPPED, 1);
    this.unreported++;
  }

  #enqueue(waiting: Message, cost: number): void {
    this.#waiting.push(waiting);
    this.#waitingBytes += cost;
    this.#counters.set(PairCounter.OVERFLOW_BYTES, this.#waitingBytes);
  }

  #pump(): void {
    if (this.#writer.resume() === WriteStatus.PARTIAL) return;
    this.#waitingBytes -= this.#partialCost;
    this.#partialCost = 0;
    while (this.#next < this.#waiting.length) {
      const message = this.#waiting[this.#next]!;
      const cost = costOf(message);
      if (this.#tryWrite(message, cost) === WriteStatus.FULL) break;
      this.#waitingBytes -= cost;
      this.#next++;
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
    const { wakes } = this.#doorbell;
    this.#doorbell.ring();
    this.#counters.add(WAKES, this.#doorbell.wakes - wakes);
  }
}
