import { PairCounter, type PairCounters } from '../metrics/pair-table.ts';
import type { ReceivedRecord } from '../ring/record.ts';
import { type MessageHandler, RecordAssembler } from '../ring/record-assembler.ts';
import { RingConsumer } from '../ring/ring-consumer.ts';
import type { TopicReader } from '../ring/topic-bytes.ts';
import { type LinkMemory, MAX_CROSS_FRAME, ringRegion } from './link-memory.ts';

// The compiler takes a constant of this module for what it is.
const { RECEIVED } = PairCounter;

/** Bytes that are read at a time, however large the ring is. */
const MAX_READ = 64 * 1024;

/** The taker of what was read. */
export interface LinkReader {
  /** This thread's instance number. */
  readonly instance: number;
  /** Returns false when nobody takes records of this kind. */
  onRecord(record: ReceivedRecord): boolean;
}

/** One direction of a pair of threads, the reading side. */
export class InLink implements MessageHandler {
  readonly #counters: PairCounters;
  readonly #consumer: RingConsumer;
  readonly #assembler: RecordAssembler;
  readonly #reader: LinkReader;
  /** The sequence number that comes next; -1: whatever comes first. */
  #expected: number;

  constructor(
    memory: LinkMemory,
    from: number,
    to: number,
    counters: PairCounters,
    topics: TopicReader,
    reader: LinkReader,
    continues: boolean,
  ) {
    this.#counters = counters;
    this.#consumer = new RingConsumer(ringRegion(memory, from, to), continues);
    this.#assembler = new RecordAssembler(this.#consumer, this, topics, MAX_CROSS_FRAME);
    this.#reader = reader;
    // The first consumer of a ring misses nothing; another starts at the live edge, or somewhere in the middle.
    this.#expected = this.#consumer.epoch === 1 && !continues ? 0 : -1;
  }

  hasRecords(): boolean {
    return this.#consumer.hasRecords();
  }

  /** A message has arrived in part. */
  get isGathering(): boolean {
    return this.#assembler.isGathering;
  }

  /** Reads a single piece of a message. Returns whether there was one. */
  readOne(): boolean {
    return this.#consumer.read(this.#assembler, this.#consumer.capacity, 1) > 0;
  }

  /** Reads a share of what there is. Returns whether there was anything that can be read now. */
  read(): boolean {
    return this.#consumer.read(this.#assembler, Math.min(this.#consumer.capacity >> 2, MAX_READ)) > 0;
  }

  /** Reads all that is there when it begins. */
  readAll(): void {
    const share = Math.min(this.#consumer.capacity >> 2, MAX_READ);
    for (let rest = this.#consumer.capacity; rest > 0 && this.read(); rest -= share);
  }

  onMessage(record: ReceivedRecord): void {
    const { sequence } = record;
    this.#counters.add(RECEIVED, 1);
    if (this.#expected >= 0 && sequence > this.#expected) {
      this.#counters.add(PairCounter.LOST, sequence - this.#expected);
    }
    this.#expected = sequence + 1;
    if (record.isAddressed && record.tag !== this.#reader.instance) {
      this.#counters.add(PairCounter.STALE, 1);
    } else if (!this.#reader.onRecord(record)) {
      this.#counters.add(PairCounter.UNHANDLED, 1);
    }
  }

  /** Another thread took the ring over, and numbers its messages from 0. */
  onProducerRestart(): void {
    this.#expected = 0;
  }

  onReset(): void {
    this.#counters.add(PairCounter.RESETS, 1);
  }
}
