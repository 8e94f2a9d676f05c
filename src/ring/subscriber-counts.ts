/**
 * How many subscribers a topic has in every thread, in shared memory: what `numSubscribers` adds up.
 *
 * Each thread has a table of its own and is the only one to write it; all may read all. A topic is known by
 * 96 bits (two hashes and its length) and lives in one of two buckets of eight entries, so a look-up reads
 * at most sixteen entries and nothing ever moves. A topic that finds both buckets full is not counted in shared
 * memory, which `uncounted` tells: the sum over all threads is then a lower bound. With the table half full
 * that practically never happens.
 *
 * The entry's COUNT says whether its key means anything: a writer stores the key before the count and zeroes
 * the count before the key changes, a reader looks at the key again after it has read the count. So a reader
 * gets a count which the topic had at some moment of the look-up, or just before or after a change of it.
 */
import { invalidArgument } from '../errors.ts';
import {
  COUNT_BUCKET,
  COUNTS_MAGIC,
  CountEntry,
  CountsHeader,
  DEFAULT_COUNTED_TOPICS,
  isPowerOfTwo,
  LAYOUT_VERSION,
  MAX_THREADS,
} from './layout.ts';
import { hashTopic, secondHashTopic } from './topic-hash.ts';

const ENTRY_WORDS = CountEntry.BYTES >> 2;
const BUCKET_WORDS = COUNT_BUCKET * ENTRY_WORDS;
const SECOND_HASH = CountEntry.SECOND_HASH >> 2;
const TOPIC_LENGTH = CountEntry.TOPIC_LENGTH >> 2;
const COUNT = CountEntry.COUNT >> 2;
const NOT_FOUND = -1;

/**
 * Makes empty tables.
 *
 * @param threads how many threads count, 1 to 64
 * @param topics topics that fit each thread's table, a power of two from 8 (131,072); 16 bytes each
 * @param seed any 32 bits; random ones keep who names topics from filling a bucket
 */
export function createSubscriberCounts(
  threads: number,
  topics: number = DEFAULT_COUNTED_TOPICS,
  seed = 0,
): SharedArrayBuffer {
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw invalidArgument(`1 to ${MAX_THREADS} threads, not ${threads}`);
  }
  if (!isPowerOfTwo(topics) || topics < COUNT_BUCKET) {
    throw invalidArgument(`Topics must be a power of two from ${COUNT_BUCKET}, not ${topics}`);
  }
  const buffer = new SharedArrayBuffer(CountsHeader.TABLES + threads * topics * CountEntry.BYTES);
  const header = new Int32Array(buffer, 0, CountsHeader.TABLES >> 2);
  header[CountsHeader.VERSION >> 2] = LAYOUT_VERSION;
  header[CountsHeader.THREADS >> 2] = threads;
  header[CountsHeader.TOPICS >> 2] = topics;
  header[CountsHeader.SEED >> 2] = seed;
  // Publishes the words above: who reads the magic sees them all.
  Atomics.store(header, CountsHeader.MAGIC >> 2, COUNTS_MAGIC);
  return buffer;
}

/** Reads every thread's counts. */
export class SubscriberCounts {
  readonly threads: number;
  /** Topics that fit one thread's table. */
  readonly topics: number;
  readonly seed: number;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    const header = new Int32Array(buffer, 0, CountsHeader.TABLES >> 2);
    // Orders the reads of the other words after the store that published them.
    const magic = Atomics.load(header, CountsHeader.MAGIC >> 2);
    if (magic !== COUNTS_MAGIC || header[CountsHeader.VERSION >> 2] !== LAYOUT_VERSION) {
      throw invalidArgument('This memory holds no subscriber counts of this version');
    }
    this.threads = header[CountsHeader.THREADS >> 2]!;
    this.topics = header[CountsHeader.TOPICS >> 2]!;
    this.seed = header[CountsHeader.SEED >> 2]!;
    this.#words = new Int32Array(buffer, CountsHeader.TABLES);
  }

  /**
   * Subscribers of a topic in all threads, or some.
   *
   * @param low a bit for each of the threads 0 to 31 that is to be counted
   * @param high the same for 32 to 63
   */
  count(topic: string, low = -1, high = -1): number {
    if (low === 0 && high === 0) return 0;
    const first = hashTopic(topic, this.seed);
    const second = secondHashTopic(topic, this.seed);
    let sum = 0;
    for (let thread = 0; thread < this.threads; thread++) {
      const bits = thread < 32 ? low : high;
      if ((bits & (1 << (thread & 31))) !== 0) sum += this.#countIn(thread, first, second, topic.length);
    }
    return sum;
  }

  /** Forgets a thread that has ended. Linear in the size of its table. */
  clearThread(thread: number): void {
    const words = this.table(thread);
    for (let entry = 0; entry < words.length; entry += ENTRY_WORDS) {
      if (Atomics.load(words, entry + COUNT) !== 0) Atomics.store(words, entry + COUNT, 0);
    }
  }

  /** One thread's table, for its LocalCounts. */
  table(thread: number): Int32Array<SharedArrayBuffer> {
    if (!Number.isInteger(thread) || thread < 0 || thread >= this.threads) {
      throw invalidArgument(`There is no table of thread ${thread}`);
    }
    const length = this.topics * ENTRY_WORDS;
    return this.#words.subarray(thread * length, (thread + 1) * length);
  }

  #countIn(thread: number, first: number, second: number, length: number): number {
    const words = this.#words;
    const start = thread * this.topics * ENTRY_WORDS;
    const entry = findEntry(words, start, this.topics, first, second, length);
    if (entry === NOT_FOUND) return 0;
    const count = Atomics.load(words, entry + COUNT);
    // After the count: if the entry went to another topic meanwhile, the count may be that topic's.
    return hasKey(words, entry, first, second, length) ? count : 0;
  }
}

/** The counts of one thread, kept by itself. */
export class LocalCounts {
  /** Topics that have subscribers here and found no entry. While it is not 0, sums are lower bounds. */
  uncounted = 0;

  readonly #seed: number;
  readonly #topics: number;
  readonly #words: Int32Array<SharedArrayBuffer>;

  /** Begins empty: what a predecessor of the same number left is cleared. */
  constructor(counts: SubscriberCounts, thread: number) {
    counts.clearThread(thread);
    this.#seed = counts.seed;
    this.#topics = counts.topics;
    this.#words = counts.table(thread);
  }

  /**
   * Says how many subscribers a topic has in this thread from now on. Other threads see it when this returns.
   *
   * @param before what it was before, which tells a new topic from one that found no entry
   */
  set(topic: string, count: number, before: number): void {
    const first = hashTopic(topic, this.#seed);
    const second = secondHashTopic(topic, this.#seed);
    const words = this.#words;
    const entry = findEntry(words, 0, this.#topics, first, second, topic.length);
    // Release: orders the key before its count. And the count before what the caller does next.
    if (entry !== NOT_FOUND) Atomics.store(words, entry + COUNT, count);
    else if (before === 0 && count > 0) this.#insert(first, second, topic.length, count);
    else if (before > 0 && count === 0) this.uncounted--;
  }

  #insert(first: number, second: number, length: number, count: number): void {
    const entry = this.#freeEntry(first, second);
    if (entry === NOT_FOUND) {
      this.uncounted++;
      return;
    }
    const words = this.#words;
    // Atomic, so that a reader cannot see the count below without the whole key.
    Atomics.store(words, entry, first);
    Atomics.store(words, entry + SECOND_HASH, second);
    Atomics.store(words, entry + TOPIC_LENGTH, length);
    Atomics.store(words, entry + COUNT, count);
  }

  /** A free entry in the emptier one of the topic's two buckets, which keeps both from filling up. */
  #freeEntry(first: number, second: number): number {
    const one = bucketOf(0, this.#topics, first);
    const other = bucketOf(0, this.#topics, second);
    const roomInOne = this.#freeIn(one);
    const roomInOther = this.#freeIn(other);
    if (roomInOne === 0 && roomInOther === 0) return NOT_FOUND;
    let entry = roomInOne >= roomInOther ? one : other;
    while (this.#words[entry + COUNT] !== 0) entry += ENTRY_WORDS;
    return entry;
  }

  #freeIn(bucket: number): number {
    let free = 0;
    for (let entry = bucket; entry < bucket + BUCKET_WORDS; entry += ENTRY_WORDS) {
      if (this.#words[entry + COUNT] === 0) free++;
    }
    return free;
  }
}

/** Where a bucket begins, in words. */
function bucketOf(start: number, topics: number, hash: number): number {
  return start + (hash & (topics / COUNT_BUCKET - 1)) * BUCKET_WORDS;
}

/** The topic's entry with a count in the table at `start`, or NOT_FOUND. */
function findEntry(
  words: Int32Array,
  start: number,
  topics: number,
  first: number,
  second: number,
  length: number,
): number {
  for (let choice = 0; choice < 2; choice++) {
    const bucket = bucketOf(start, topics, choice === 0 ? first : second);
    for (let entry = bucket; entry < bucket + BUCKET_WORDS; entry += ENTRY_WORDS) {
      // Acquire: orders the reads of the key after the store of the count, before which it was written.
      if (Atomics.load(words, entry + COUNT) === 0) continue;
      if (hasKey(words, entry, first, second, length)) return entry;
    }
  }
  return NOT_FOUND;
}

function hasKey(words: Int32Array, entry: number, first: number, second: number, length: number): boolean {
  return (
    Atomics.load(words, entry) === first &&
    Atomics.load(words, entry + SECOND_HASH) === second &&
    Atomics.load(words, entry + TOPIC_LENGTH) === length
  );
}
