import { PairCounter, type PairCounters } from '../metrics/pair-table.ts';
import { Doorbell } from '../ring/doorbell.ts';
import type { PublishMessage } from '../ring/record.ts';
import { RecordWriter, WriteStatus } from '../ring/record-writer.ts';
import { RingProducer } from '../ring/ring-producer.ts';
import { type LinkMemory, MAX_CROSS_FRAME, ringRegion } from './link-memory.ts';

/** What waits because the ring has no room. */
interface Waiting {
  readonly topic: string;
  readonly hash: number;
  readonly opcode: number;
  readonly frame: Uint8Array;
  readonly compressed: boolean;
  readonly sequence: number;
}

/** What a message that waits takes beside its bytes, so that `maxOverflow` bounds many small ones too. */
const WAITING_OVERHEAD = 128;

/** Messages written while others wait, from one look whether there is room again to the next. */
const LOOK_EVERY = 64;

/** What a message counts while it waits. */
function costOf(topic: string, frame: Uint8Array): number {
  return WAITING_OVERHEAD + topic.length + frame.length;
}

/** One direction of a pair of threads, the writing side: the ring, and what waits for room in it. */
export class OutLink {
  /** Messages dropped because the shard does not keep up, since somebody set this to 0. */
  unreported = 0;
  readonly #counters: PairCounters;
  readonly #producer: RingProducer;
  readonly #writer: RecordWriter;
  readonly #doorbell: Doorbell;
  readonly #message: PublishMessage;
  readonly #maxOverflow: number;
  #waiting: Waiting[] = [];
  /** The first of `#waiting` that is still to be written. */
  #next = 0;
  #waitingBytes = 0;
  /** What a message that is in the ring in part counts among the waiting bytes; 0: there is none. */
  #partialCost = 0;
  #sequence = 0;
  /** The reader that is known, by its number; what waits is for it. */
  #reader: number;
  /** Changes of the reader that `reset` has yet to tell of; -1: it told of one that is not there yet. */
  #untold = 0;

  constructor(memory: LinkMemory, from: number, to: number, counters: PairCounters) {
    this.#counters = counters;
    this.#producer = new RingProducer(ringRegion(memory, from, to));
    this.#writer = new RecordWriter(this.#producer, MAX_CROSS_FRAME);
    this.#doorbell = new Doorbell(memory.doorbells, to);
    this.#maxOverflow = memory.maxOverflow;
    this.#reader = this.#producer.consumerEpoch;
    // What waited in a predecessor that died is gone.
    counters.set(PairCounter.OVERFLOW_BYTES, 0);
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

  /**
   * @param isStable the frame's bytes never change, so it need not be copied to wait
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
    const sequence = this.#sequence++;
    const cost = costOf(topic, frame);
    this.#meetReader();
    // The reader goes on while this turn lasts.
    if (this.isOverflowing && (sequence % LOOK_EVERY === 0 || this.#isOverLimit(cost))) this.flush();
    if (!this.isOverflowing && this.#tryWrite(topic, hash, opcode, frame, compressed, sequence)) {
      if (this.#partialCost > 0 && !isStable) this.#writer.detach();
      return;
    }
    if (this.#isOverLimit(cost)) {
      this.#drop();
      return;
    }
    this.#commit();
    this.#counters.add(PairCounter.OVERFLOWED, 1);
    // A copy: slice() would be none, as batches lie in Buffers.
    const kept = isStable ? frame : new Uint8Array(frame);
    this.#enqueue({ topic, hash, opcode, frame: kept, compressed, sequence });
  }

  /** Publishes what was written, and as much of what waits as there is room for. */
  flush(): void {
    this.#commit();
    if (!this.isOverflowing) return;
    this.#meetReader();
    this.#pump();
    this.#commit();
    this.#counters.set(PairCounter.OVERFLOW_BYTES, this.#waitingBytes);
  }

  /** The reader's thread ended. */
  reset(): void {
    this.#meetReader();
    const isNews = this.#untold <= 0;
    this.#untold = Math.max(this.#untold - 1, -1);
    // Otherwise what waits is for its successor, which was met before this was told.
    if (isNews) this.#forget();
  }

  /** Looks whether the shard was started anew: it must not get what was published before its clients subscribed. */
  #meetReader(): void {
    const reader = this.#producer.consumerEpoch;
    if (reader === this.#reader) return;
    // The first one succeeds nobody.
    this.#untold += reader - Math.max(this.#reader, 1);
    this.#reader = reader;
    if (this.#untold > 0) this.#forget();
  }

  #forget(): void {
    const lost = this.#waiting.length - this.#next + (this.#partialCost > 0 ? 1 : 0);
    this.#writer.abandon();
    this.#partialCost = 0;
    this.#waiting = [];
    this.#next = 0;
    this.#waitingBytes = 0;
    this.#counters.add(PairCounter.DROPPED, lost);
    this.#counters.set(PairCounter.OVERFLOW_BYTES, 0);
  }

  /** Returns whether the message needs no place in the queue. */
  #tryWrite(
    topic: string,
    hash: number,
    opcode: number,
    frame: Uint8Array,
    compressed: boolean,
    sequence: number,
  ): boolean {
    const message = this.#message;
    message.topic = topic;
    message.topicHash = hash;
    message.opcode = opcode;
    message.compressed = compressed;
    message.sequence = sequence;
    message.frame = frame;
    const status = this.#writer.write(message);
    message.frame = NO_BYTES;
    if (status === WriteStatus.FULL) return false;
    if (status === WriteStatus.PARTIAL) {
      this.#partialCost = costOf(topic, frame);
      this.#waitingBytes += this.#partialCost;
    }
    if (status === WriteStatus.TOO_BIG) this.#drop();
    else this.#counters.add(PairCounter.WRITTEN, 1);
    return true;
  }

  /** A message that would wait alone may be larger than the limit: what can be sent can also wait. */
  #isOverLimit(cost: number): boolean {
    return this.isOverflowing && this.#waitingBytes + cost > this.#maxOverflow;
  }

  #drop(): void {
    this.#counters.add(PairCounter.DROPPED, 1);
    this.unreported++;
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#waitingBytes += costOf(waiting.topic, waiting.frame);
    this.#counters.set(PairCounter.OVERFLOW_BYTES, this.#waitingBytes);
  }

  #pump(): void {
    if (this.#writer.resume() === WriteStatus.PARTIAL) return;
    this.#waitingBytes -= this.#partialCost;
    this.#partialCost = 0;
    while (this.#next < this.#waiting.length) {
      const { topic, hash, opcode, frame, compressed, sequence } = this.#waiting[this.#next]!;
      if (!this.#tryWrite(topic, hash, opcode, frame, compressed, sequence)) break;
      this.#waitingBytes -= costOf(topic, frame);
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
    this.#counters.add(PairCounter.WAKES, this.#doorbell.wakes - wakes);
  }
}

const NO_BYTES = new Uint8Array(0);
