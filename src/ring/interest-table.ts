/**
 * Which threads want to hear about a topic: a table in shared memory of slots that topics hash to, each with
 * a bit for every thread that has a local subscriber of some topic of that slot.
 *
 * A set bit may be unfounded (another topic of the slot): that costs a record which the receiver discards. A
 * missing bit never happens: a thread sets its bit before `add` returns, with a sequentially consistent
 * read-modify-write, and only the thread itself clears it, when its last topic of the slot is gone. So a
 * publish that comes after the end of a subscribe (because a message, or anything else that orders two
 * threads, came from one to the other) loads a word with the bit set; a publish that runs at the same time
 * as the subscribe loads it before or after, and counts as before or after it.
 */
import { invalidArgument } from '../errors.ts';
import {
  DEFAULT_INTEREST_SLOTS,
  INTEREST_MAGIC,
  INTEREST_SLOT_BYTES,
  InterestHeader,
  isPowerOfTwo,
  LAYOUT_VERSION,
  MAX_THREADS,
} from './layout.ts';
import { hashTopic } from './topic-hash.ts';

/**
 * Makes an empty table.
 *
 * @param slots a power of two (65,536); each takes 8 shared bytes, and 4 private ones in every thread
 * @param seed any 32 bits; random ones keep who names topics from choosing slots
 */
export function createInterestTable(slots: number = DEFAULT_INTEREST_SLOTS, seed = 0): SharedArrayBuffer {
  if (!isPowerOfTwo(slots)) throw invalidArgument(`Slots must be a power of two, not ${slots}`);
  const buffer = new SharedArrayBuffer(InterestHeader.TABLE + slots * INTEREST_SLOT_BYTES);
  const header = new Int32Array(buffer, 0, InterestHeader.TABLE >> 2);
  header[InterestHeader.VERSION >> 2] = LAYOUT_VERSION;
  header[InterestHeader.SLOTS >> 2] = slots;
  header[InterestHeader.SEED >> 2] = seed;
  // Publishes the words above: who reads the magic sees them all.
  Atomics.store(header, InterestHeader.MAGIC >> 2, INTEREST_MAGIC);
  return buffer;
}

/** The table as every thread sees it. */
export class InterestTable {
  readonly slots: number;
  readonly #seed: number;
  /** Two words for each slot: threads 0–31, threads 32–63. */
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    const header = new Int32Array(buffer, 0, InterestHeader.TABLE >> 2);
    // Orders the reads of the other words after the store that published them.
    const magic = Atomics.load(header, InterestHeader.MAGIC >> 2);
    if (magic !== INTEREST_MAGIC || header[InterestHeader.VERSION >> 2] !== LAYOUT_VERSION) {
      throw invalidArgument('This memory holds no interest table of this version');
    }
    this.slots = header[InterestHeader.SLOTS >> 2]!;
    this.#seed = header[InterestHeader.SEED >> 2]!;
    this.#words = new Int32Array(buffer, InterestHeader.TABLE, this.slots * 2);
  }

  /** 32 bits (signed) for a topic, the same in every thread. Linear: worth keeping with the topic. */
  hash(topic: string): number {
    return hashTopic(topic, this.#seed);
  }

  /** The slot of a topic with this hash. */
  slotOf(hash: number): number {
    return hash & (this.slots - 1);
  }

  /** The threads 0–31 with interest in a slot, a bit each. */
  targetsLow(slot: number): number {
    // Sequentially consistent with the read-modify-writes that set bits: see the top of this file.
    return Atomics.load(this.#words, slot * 2);
  }

  /** The threads 32–63. The two words are loaded one by one, which is as good: their bits are independent. */
  targetsHigh(slot: number): number {
    return Atomics.load(this.#words, slot * 2 + 1);
  }

  /** Sets a thread's bit. Only the thread itself calls this, through LocalInterest. */
  setBit(slot: number, thread: number): void {
    // Atomic as a whole, as other threads change other bits of the word. In the one order of all
    // sequentially consistent operations before anything the caller does next.
    Atomics.or(this.#words, slot * 2 + (thread >> 5), 1 << (thread & 31));
  }

  clearBit(slot: number, thread: number): void {
    // A publisher that has loaded the bit already writes a record which the receiver discards.
    Atomics.and(this.#words, slot * 2 + (thread >> 5), ~(1 << (thread & 31)));
  }

  isSet(slot: number, thread: number): boolean {
    // For the thread itself, whose own changes these are: it orders nothing.
    return (Atomics.load(this.#words, slot * 2 + (thread >> 5)) & (1 << (thread & 31))) !== 0;
  }

  /** Forgets a thread that has ended, so that nobody writes to it any more. Linear in the slots (about 1 ms). */
  clearThread(thread: number): void {
    checkThread(thread);
    const bit = 1 << (thread & 31);
    for (let word = thread >> 5; word < this.#words.length; word += 2) {
      if ((Atomics.load(this.#words, word) & bit) !== 0) Atomics.and(this.#words, word, ~bit);
    }
  }
}

/** One thread's own interest: counts its topics by slot and keeps its bits of the table in step. */
export class LocalInterest {
  readonly table: InterestTable;
  readonly thread: number;
  readonly #counts: Uint32Array;
  /** Bits may be set that a predecessor wanted. */
  #inherits: boolean;

  /**
   * Begins with no interest: bits left by a predecessor of the same number are cleared.
   *
   * @param thread 0 to 63
   * @param continues they stay, until `reconcile`
   */
  constructor(table: InterestTable, thread: number, continues = false) {
    checkThread(thread);
    this.table = table;
    this.thread = thread;
    this.#counts = new Uint32Array(table.slots);
    this.#inherits = continues;
    if (!continues) table.clearThread(thread);
  }

  /** Clears what a predecessor was interested in and this thread is not. Once, linear in the slots. */
  reconcile(): void {
    if (!this.#inherits) return;
    this.#inherits = false;
    for (let slot = 0; slot < this.#counts.length; slot++) {
      // A look first: all threads read this memory, and a write would take each line of it away from them.
      if (this.#counts[slot] === 0 && this.table.isSet(slot, this.thread))
        this.table.clearBit(slot, this.thread);
    }
  }

  /**
   * Call when a topic gets its first local subscriber, before the subscriber is told that it is subscribed.
   * From its return on no publisher passes this thread over.
   */
  add(hash: number): void {
    const slot = this.table.slotOf(hash);
    const count = this.#counts[slot]!;
    this.#counts[slot] = count + 1;
    if (count === 0) this.table.setBit(slot, this.thread);
  }

  /** Call when a topic has lost its last local subscriber, once for each `add`. */
  remove(hash: number): void {
    const slot = this.table.slotOf(hash);
    const count = this.#counts[slot]!;
    if (count === 0) throw invalidArgument('Interest removed that was never added');
    this.#counts[slot] = count - 1;
    if (count === 1) this.table.clearBit(slot, this.thread);
  }

  /**
   * The thread wants every topic: it has its bit in each slot, so publishers need no second look. About 1 ms. From its
   * return on no publisher passes this thread over.
   */
  addAll(): void {
    for (let slot = 0; slot < this.#counts.length; slot++) this.add(slot);
  }

  /** Once for each `addAll`. */
  removeAll(): void {
    for (let slot = 0; slot < this.#counts.length; slot++) this.remove(slot);
  }

  /** May this thread have a subscriber of a topic with this hash? Filters records without decoding a topic. */
  has(hash: number): boolean {
    return this.#counts[this.table.slotOf(hash)]! > 0;
  }
}

function checkThread(thread: number): void {
  if (Number.isInteger(thread) && thread >= 0 && thread < MAX_THREADS) return;
  throw invalidArgument(`A thread's number is 0 to ${MAX_THREADS - 1}, not ${thread}`);
}
