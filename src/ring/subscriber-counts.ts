/**
 * How many subscribers a topic has in every thread, in shared memory: what `numSubscribers` adds up.
 *
 * Each thread has a table of its own and is the only one to write it; all may read all. A topic is known by
 * 96 bits (two hashes and its length) and lives in one of two buckets of eight entries, so a look-up reads
 * at most sixteen entries and nothing ever moves. A thread whose topic finds both buckets full adds a further table, twice as
 * large as its last, behind all others; look-ups of what is not in the first one go through them. Tables stay, for the
 * topics that come next, also when the thread is another one.
 *
 * A topic that finds no entry because there is no memory for a further table is not counted, which the thread's row says
 * to all: sums are lower bounds then, and whoever is interested may have a subscriber.
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
  CountsRow,
  DEFAULT_COUNTED_TOPICS,
  isPowerOfTwo,
  LAYOUT_VERSION,
  MAX_COUNT_TABLES,
  MAX_FURTHER_COUNTS,
  MAX_FURTHER_COUNTS_EACH,
  MAX_THREADS,
} from './layout.ts';
import { hashTopic, secondHashTopic } from './topic-hash.ts';

const ENTRY_WORDS = CountEntry.BYTES >> 2;
const BUCKET_WORDS = COUNT_BUCKET * ENTRY_WORDS;
const SECOND_HASH = CountEntry.SECOND_HASH >> 2;
const TOPIC_LENGTH = CountEntry.TOPIC_LENGTH >> 2;
const COUNT = CountEntry.COUNT >> 2;
const ENTRIES = CountsHeader.ENTRIES >> 2;
const ROW_WORDS = CountsRow.BYTES >> 2;
const UNCOUNTED = CountsRow.UNCOUNTED >> 2;
const TABLES = CountsRow.TABLES >> 2;
const STARTS = CountsRow.STARTS >> 2;
const NOT_FOUND = -1;

/** Some entries of the memory: a power of two from word `start` of `words` on. */
interface CountTable {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly start: number;
  readonly topics: number;
}

/**
 * Makes empty tables.
 *
 * @param threads how many threads count, 1 to 64
 * @param topics topics that fit each thread's first table, a power of two from 8 (131,072); 16 bytes each
 * @param seed any 32 bits; random ones keep who names topics from filling a bucket
 * @param further bytes of further tables at most (256 MiB a thread, 1 GiB in all)
 */
export function createSubscriberCounts(
  threads: number,
  topics: number = DEFAULT_COUNTED_TOPICS,
  seed = 0,
  further: number = Math.min(threads * MAX_FURTHER_COUNTS_EACH, MAX_FURTHER_COUNTS),
): SharedArrayBuffer {
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw invalidArgument(`1 to ${MAX_THREADS} threads, not ${threads}`);
  }
  if (!isPowerOfTwo(topics) || topics < COUNT_BUCKET) {
    throw invalidArgument(`Topics must be a power of two from ${COUNT_BUCKET}, not ${topics}`);
  }
  const size = tablesStart(threads) + threads * topics * CountEntry.BYTES;
  const buffer = growable(size, size + further);
  const header = new Int32Array(buffer, 0, CountsHeader.ROWS >> 2);
  header[CountsHeader.VERSION >> 2] = LAYOUT_VERSION;
  header[CountsHeader.THREADS >> 2] = threads;
  header[CountsHeader.TOPICS >> 2] = topics;
  header[CountsHeader.SEED >> 2] = seed;
  header[ENTRIES] = threads * topics;
  // Publishes the words above: who reads the magic sees them all.
  Atomics.store(header, CountsHeader.MAGIC >> 2, COUNTS_MAGIC);
  return buffer;
}

/** Reads every thread's counts. */
export class SubscriberCounts {
  readonly threads: number;
  /** Topics that fit one thread's first table. */
  readonly topics: number;
  readonly seed: number;
  readonly #buffer: SharedArrayBuffer;
  readonly #header: Int32Array<SharedArrayBuffer>;
  readonly #rows: Int32Array<SharedArrayBuffer>;
  /** All first tables. Of fixed length, which V8 reads faster than one that follows the memory as it grows. */
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** All tables as far as they were known when they were last looked for. */
  #allWords: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    const header = new Int32Array(buffer, 0, CountsHeader.ROWS >> 2);
    // Orders the reads of the other words after the store that published them.
    const magic = Atomics.load(header, CountsHeader.MAGIC >> 2);
    if (magic !== COUNTS_MAGIC || header[CountsHeader.VERSION >> 2] !== LAYOUT_VERSION) {
      throw invalidArgument('This memory holds no subscriber counts of this version');
    }
    this.threads = header[CountsHeader.THREADS >> 2]!;
    this.topics = header[CountsHeader.TOPICS >> 2]!;
    this.seed = header[CountsHeader.SEED >> 2]!;
    this.#buffer = buffer;
    this.#header = header;
    this.#rows = new Int32Array(buffer, CountsHeader.ROWS, this.threads * ROW_WORDS);
    const length = this.threads * this.topics * ENTRY_WORDS;
    this.#words = new Int32Array(buffer, tablesStart(this.threads), length);
    this.#allWords = this.#words;
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
    const { length } = topic;
    return (
      this.#countAmong(low, 0, first, second, length) + this.#countAmong(high, 32, first, second, length)
    );
  }

  /** Of the threads that have a bit in the word of threads `base` to `base + 31`. */
  #countAmong(bits: number, base: number, first: number, second: number, length: number): number {
    let sum = 0;
    for (let rest = bits; rest !== 0; rest &= rest - 1) {
      const thread = base + 31 - Math.clz32(rest & -rest);
      if (thread >= this.threads) break;
      sum += this.#countIn(thread, first, second, length);
    }
    return sum;
  }

  /** Whether one of these threads has topics that it could not count, so that 0 does not mean none. */
  hasUncounted(low = -1, high = -1): boolean {
    for (let thread = 0; thread < this.threads; thread++) {
      const bits = thread < 32 ? low : high;
      if ((bits & (1 << (thread & 31))) !== 0 && this.uncounted(thread) !== 0) return true;
    }
    return false;
  }

  /** Topics of a thread that have subscribers and could not be counted. */
  uncounted(thread: number): number {
    return Atomics.load(this.#rows, thread * ROW_WORDS + UNCOUNTED);
  }

  /** @param count topics of the thread that have subscribers and are in none of its tables */
  setUncounted(thread: number, count: number): void {
    // Release: whoever is told of a subscriber by what the thread does next sees it.
    Atomics.store(this.#rows, thread * ROW_WORDS + UNCOUNTED, count);
  }

  /** Forgets a thread that has ended. Linear in the size of its tables. */
  clearThread(thread: number): void {
    for (const { words, start, topics } of this.tables(thread)) {
      for (let entry = start, end = start + topics * ENTRY_WORDS; entry < end; entry += ENTRY_WORDS) {
        if (Atomics.load(words, entry + COUNT) !== 0) Atomics.store(words, entry + COUNT, 0);
      }
    }
    this.setUncounted(thread, 0);
  }

  /** One thread's tables, for its LocalCounts. */
  tables(thread: number): CountTable[] {
    if (!Number.isInteger(thread) || thread < 0 || thread >= this.threads) {
      throw invalidArgument(`There is no table of thread ${thread}`);
    }
    const { topics } = this;
    const tables: CountTable[] = [{ words: this.#words, start: thread * topics * ENTRY_WORDS, topics }];
    for (let i = 0, most = this.#further(thread); i < most; i++) tables.push(this.#table(thread, i));
    return tables;
  }

  /** Makes one more table for a thread, which must be the one that calls; undefined: there is no memory for it. */
  addTable(thread: number): CountTable | undefined {
    const row = thread * ROW_WORDS;
    const number = Atomics.load(this.#rows, row + TABLES);
    if (number === MAX_COUNT_TABLES) return undefined;
    const entries = this.topics << (number + 1);
    let start = Atomics.load(this.#header, ENTRIES);
    for (;;) {
      if (!grow(this.#buffer, tablesStart(this.threads) + (start + entries) * CountEntry.BYTES))
        return undefined;
      // Other threads may take theirs at the same time: the entries are this one's if nobody did.
      const found = Atomics.compareExchange(this.#header, ENTRIES, start, start + entries);
      if (found === start) break;
      start = found;
    }
    Atomics.store(this.#rows, row + STARTS + number, start);
    // Release: orders the start of the table, and the memory it lies in, before it is looked for.
    Atomics.store(this.#rows, row + TABLES, number + 1);
    return this.#table(thread, number);
  }

  #countIn(thread: number, first: number, second: number, length: number): number {
    const words = this.#words;
    const start = thread * this.topics * ENTRY_WORDS;
    const entry = findEntry(words, start, this.topics, first, second, length);
    if (entry !== NOT_FOUND) return countAt(words, entry, first, second, length);
    const further = this.#further(thread);
    return further === 0 ? 0 : this.#countInFurther(thread, further, first, second, length);
  }

  #countInFurther(thread: number, further: number, first: number, second: number, length: number): number {
    for (let i = 0; i < further; i++) {
      const { words, start, topics } = this.#table(thread, i);
      const entry = findEntry(words, start, topics, first, second, length);
      if (entry !== NOT_FOUND) return countAt(words, entry, first, second, length);
    }
    return 0;
  }

  /** How many further tables a thread has. */
  #further(thread: number): number {
    // Acquire: orders the reads of their starts after the store that told of them.
    return Atomics.load(this.#rows, thread * ROW_WORDS + TABLES);
  }

  #table(thread: number, number: number): CountTable {
    const first = Atomics.load(this.#rows, thread * ROW_WORDS + STARTS + number);
    const topics = this.topics << (number + 1);
    if ((first + topics) * ENTRY_WORDS > this.#allWords.length) this.#lookForMore();
    return { words: this.#allWords, start: first * ENTRY_WORDS, topics };
  }

  #lookForMore(): void {
    const from = tablesStart(this.threads);
    this.#allWords = new Int32Array(this.#buffer, from, (this.#buffer.byteLength - from) >> 2);
  }
}

/** The counts of one thread, kept by itself. */
export class LocalCounts {
  /** Topics that have subscribers here and found no entry. While it is not 0, sums are lower bounds. */
  uncounted = 0;

  readonly #counts: SubscriberCounts;
  readonly #thread: number;
  readonly #seed: number;
  readonly #tables: CountTable[];

  /** Begins empty: what a predecessor of the same number left is cleared. */
  constructor(counts: SubscriberCounts, thread: number) {
    counts.clearThread(thread);
    this.#counts = counts;
    this.#thread = thread;
    this.#seed = counts.seed;
    this.#tables = counts.tables(thread);
  }

  /**
   * Says how many subscribers a topic has in this thread from now on. Other threads see it when this returns.
   *
   * @param before what it was before, which tells a new topic from one that found no entry
   */
  set(topic: string, count: number, before: number): void {
    const first = hashTopic(topic, this.#seed);
    const second = secondHashTopic(topic, this.#seed);
    for (const { words, start, topics } of this.#tables) {
      const entry = findEntry(words, start, topics, first, second, topic.length);
      if (entry === NOT_FOUND) continue;
      // Release: orders the key before its count. And the count before what the caller does next.
      Atomics.store(words, entry + COUNT, count);
      return;
    }
    if (before === 0 && count > 0) this.#insert(first, second, topic.length, count);
    else if (before > 0 && count === 0) this.#noteUncounted(-1);
  }

  #insert(first: number, second: number, length: number, count: number): void {
    let at = 0;
    let entry = NOT_FOUND;
    for (; entry === NOT_FOUND; at++) {
      const table = this.#tables[at] ?? this.#addTable();
      if (table === undefined) {
        this.#noteUncounted(1);
        return;
      }
      entry = freeEntry(table, first, second);
    }
    const { words } = this.#tables[at - 1]!;
    // Atomic, so that a reader cannot see the count below without the whole key.
    Atomics.store(words, entry, first);
    Atomics.store(words, entry + SECOND_HASH, second);
    Atomics.store(words, entry + TOPIC_LENGTH, length);
    Atomics.store(words, entry + COUNT, count);
  }

  #addTable(): CountTable | undefined {
    const table = this.#counts.addTable(this.#thread);
    if (table !== undefined) this.#tables.push(table);
    return table;
  }

  #noteUncounted(by: number): void {
    this.uncounted += by;
    this.#counts.setUncounted(this.#thread, this.uncounted);
  }
}

/** A free entry in the emptier one of the topic's two buckets, which keeps both from filling up. */
function freeEntry({ words, start, topics }: CountTable, first: number, second: number): number {
  const one = bucketOf(start, topics, first);
  const other = bucketOf(start, topics, second);
  const roomInOne = freeIn(words, one);
  const roomInOther = freeIn(words, other);
  if (roomInOne === 0 && roomInOther === 0) return NOT_FOUND;
  let entry = roomInOne >= roomInOther ? one : other;
  while (words[entry + COUNT] !== 0) entry += ENTRY_WORDS;
  return entry;
}

function freeIn(words: Int32Array, bucket: number): number {
  let free = 0;
  for (let entry = bucket; entry < bucket + BUCKET_WORDS; entry += ENTRY_WORDS) {
    if (words[entry + COUNT] === 0) free++;
  }
  return free;
}

/** Where the first table of the first thread begins, in bytes. */
function tablesStart(threads: number): number {
  return CountsHeader.ROWS + threads * CountsRow.BYTES;
}

/** Memory that can grow in place; of a fixed size where so much address space cannot be had. */
function growable(size: number, most: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(size, { maxByteLength: most });
  } catch {
    return new SharedArrayBuffer(size);
  }
}

/** Makes the memory at least `size` bytes long; false: it cannot be. */
function grow(buffer: SharedArrayBuffer, size: number): boolean {
  if (buffer.byteLength >= size) return true;
  if (!buffer.growable || size > buffer.maxByteLength) return false;
  try {
    buffer.grow(size);
  } catch {
    // Another thread may have made it longer meanwhile, and it is never made shorter.
  }
  return buffer.byteLength >= size;
}

function countAt(words: Int32Array, entry: number, first: number, second: number, length: number): number {
  const count = Atomics.load(words, entry + COUNT);
  // After the count: if the entry went to another topic meanwhile, the count may be that topic's.
  return hasKey(words, entry, first, second, length) ? count : 0;
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
