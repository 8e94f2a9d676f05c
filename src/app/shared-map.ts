import { randomFillSync } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import { type ProcessThreads, processThreads } from './process-threads.ts';

/** The first 64 words of the memory. */
const Word = {
  /** 0: free; else twice the thread that holds it (see ProcessThreads), and 1 when others wait. */
  LOCK: 0,
  /** Counts up with each time the lock is taken. */
  TURN: 1,
  SEED: 2,
  /** Where memory that was never used begins, in bytes. */
  TOP: 3,
  SIZE: 4,
  /** The thread that holds the users' lock, see ProcessThreads; 0: it is free. */
  USER_LOCK: 5,
  USER_TURN: 6,
  /** Its number in Node.js. */
  USER_THREAD: 7,
  /** The first free block of each size, 2^5 to 2^26 bytes. */
  FREE: 16,
} as const;

const HEADER_WORDS = 64;
const BUCKETS = 16_384;
const HEAP = (HEADER_WORDS + BUCKETS) * 4;
const MIN_CLASS = 5;
const MAX_CLASS = 26;

/** Words of an entry before its bytes. */
const Entry = { NEXT: 0, HASH: 1, KIND_AND_CLASS: 2, COLLECTION: 3, KEY: 4, VALUE: 5 } as const;
const ENTRY_BYTES = 24;

/** Bytes of memory at first, and at most. */
const FIRST_SIZE = HEAP + 64 * 1024;
const MAX_STORE_SIZE = 64 * 1024 * 1024;

/**
 * Milliseconds after which a lock that is always the same thread's is thought to be a dead thread's where nobody knows
 * whether it is dead. They pass in slices: time in which the whole process stands still is one of them.
 */
const LOCK_TIMEOUT = 5000;
const SLICES = 50;

/** What an entry holds. Keys of one kind are apart from those of the other. */
export const Kind = { STRING: 1, INTEGER: 2 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export function newSharedMemory(maxSize = MAX_STORE_SIZE): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(Math.min(FIRST_SIZE, maxSize), { maxByteLength: maxSize });
  const words = new Int32Array(memory);
  words[Word.TOP] = HEAP;
  randomFillSync(words, Word.SEED, 1);
  return memory;
}

/**
 * A hash table in shared memory: values by kind, collection and key, for all threads that have the memory. One lock
 * guards it. A thread may be terminated at any instruction: every change becomes visible by one store, so that a
 * dead thread leaves at worst a block that nobody uses again, and a lock that the next one takes over. Whether its thread
 * is dead the system says (Linux); elsewhere it is thought so after five seconds.
 *
 * Blocks are powers of two with a list of free ones for each size. Chains of 16,384 buckets hold 100,000 keys well.
 */
export class SharedMap {
  readonly #memory: SharedArrayBuffer;
  readonly #slice: number;
  readonly #threads: ProcessThreads;
  /** Made anew when the memory has grown: views that follow it by themselves are several times slower. */
  #words: Int32Array;
  #bytes: Uint8Array;

  constructor(
    memory: SharedArrayBuffer,
    timeout: number = LOCK_TIMEOUT,
    threads: ProcessThreads = processThreads(),
  ) {
    this.#memory = memory;
    this.#slice = timeout / SLICES;
    this.#threads = threads;
    this.#words = new Int32Array(memory, 0, memory.byteLength >> 2);
    this.#bytes = new Uint8Array(memory, 0, memory.byteLength);
  }

  /** Entries, for tests. */
  get size(): number {
    return Atomics.load(this.#words, Word.SIZE);
  }

  /** A copy of the bytes of a string, or undefined. */
  getString(collection: Uint8Array, key: Uint8Array): Uint8Array | undefined {
    return this.#locked(() => {
      const at = this.#find(Kind.STRING, collection, key);
      if (at === 0) return undefined;
      const start = at + ENTRY_BYTES + collection.length + key.length;
      return new Uint8Array(this.#bytes.subarray(start, start + this.#words[(at >> 2) + Entry.VALUE]!));
    });
  }

  setString(collection: Uint8Array, key: Uint8Array, value: Uint8Array): void {
    this.#locked(() => {
      this.#put(Kind.STRING, collection, key, value.length, value);
    });
  }

  /** An integer of 32 bits, or 0 when there is none. */
  getInteger(collection: Uint8Array, key: Uint8Array): number {
    return this.#locked(() => {
      const at = this.#find(Kind.INTEGER, collection, key);
      return at === 0 ? 0 : this.#words[(at >> 2) + Entry.VALUE]!;
    });
  }

  setInteger(collection: Uint8Array, key: Uint8Array, value: number): void {
    this.#locked(() => {
      this.#putInteger(collection, key, value);
    });
  }

  /** Adds, wrapping around at 32 bits, and returns the sum. */
  addInteger(collection: Uint8Array, key: Uint8Array, change: number): number {
    return this.#locked(() => {
      const at = this.#find(Kind.INTEGER, collection, key);
      const sum = ((at === 0 ? 0 : this.#words[(at >> 2) + Entry.VALUE]!) + change) | 0;
      this.#putInteger(collection, key, sum, at);
      return sum;
    });
  }

  delete(kind: Kind, collection: Uint8Array, key: Uint8Array): void {
    this.#locked(() => {
      const hash = this.#hash(kind, collection, key);
      const link = this.#linkOf(hash, kind, collection, key);
      if (this.#words[link] !== 0) this.#unlink(link);
    });
  }

  /** Copies of the keys of a collection. Looks at every entry. */
  keys(kind: Kind, collection: Uint8Array): Uint8Array[] {
    return this.#locked(() => {
      const keys: Uint8Array[] = [];
      this.#forEachOf(kind, collection, (at) => {
        const start = at + ENTRY_BYTES + collection.length;
        keys.push(new Uint8Array(this.#bytes.subarray(start, start + this.#words[(at >> 2) + Entry.KEY]!)));
        return false;
      });
      return keys;
    });
  }

  /** Looks at every entry. */
  deleteCollection(kind: Kind, collection: Uint8Array): void {
    this.#locked(() => {
      this.#forEachOf(kind, collection, () => true);
    });
  }

  /**
   * Takes the users' lock, also from a thread that has ended.
   *
   * @param thread this thread's number in Node.js
   * @returns -1, or the number of the thread that holds it without an end
   */
  lock(thread: number): number {
    const words = this.#words;
    const { self } = this.#threads;
    let turn = Atomics.load(words, Word.USER_TURN);
    let slices = 0;
    for (;;) {
      const holder = Atomics.compareExchange(words, Word.USER_LOCK, 0, self);
      if (holder === 0) break;
      const owner = Atomics.load(words, Word.USER_THREAD);
      if (holder === self && owner === thread) return thread;
      // The system gives the number of a dead thread again, in the end.
      const isDead = holder === self || (slices > 0 && this.#threads.hasEnded(holder) === true);
      if (isDead && Atomics.compareExchange(words, Word.USER_LOCK, holder, self) === holder) break;
      if (Atomics.wait(words, Word.USER_LOCK, holder, this.#slice) !== 'timed-out') continue;
      const now = Atomics.load(words, Word.USER_TURN);
      slices = now === turn ? slices + 1 : 1;
      turn = now;
      if (slices > 2 * SLICES) return owner;
    }
    Atomics.store(words, Word.USER_THREAD, thread);
    Atomics.add(words, Word.USER_TURN, 1);
    return -1;
  }

  /** Returns false when this thread does not hold the users' lock. */
  unlock(): boolean {
    const { self } = this.#threads;
    // Release: what was done under the lock is seen by the thread that takes it next.
    const isHeld = Atomics.compareExchange(this.#words, Word.USER_LOCK, self, 0) === self;
    if (isHeld) Atomics.notify(this.#words, Word.USER_LOCK, 1);
    return isHeld;
  }

  #locked<T>(action: () => T): T {
    this.#acquire();
    if (this.#memory.byteLength !== this.#bytes.length) this.#view();
    try {
      return action();
    } finally {
      // Release: the changes are seen by the thread that takes the lock next.
      if ((Atomics.exchange(this.#words, Word.LOCK, 0) & 1) !== 0) Atomics.notify(this.#words, Word.LOCK, 1);
    }
  }

  #view(): void {
    const { byteLength } = this.#memory;
    this.#words = new Int32Array(this.#memory, 0, byteLength >> 2);
    this.#bytes = new Uint8Array(this.#memory, 0, byteLength);
  }

  #acquire(): void {
    const words = this.#words;
    // Acquire: what was changed under the lock before is seen here.
    if (Atomics.compareExchange(words, Word.LOCK, 0, this.#threads.self * 2) !== 0) this.#acquireLater();
    Atomics.add(words, Word.TURN, 1);
  }

  /** Somebody has the lock. */
  #acquireLater(): void {
    const words = this.#words;
    // Others may wait as well.
    const mine = this.#threads.self * 2 + 1;
    let turn = Atomics.load(words, Word.TURN);
    let slices = 0;
    for (;;) {
      const held = Atomics.load(words, Word.LOCK);
      if (held === 0) {
        if (Atomics.compareExchange(words, Word.LOCK, 0, mine) === 0) return;
        continue;
      }
      const waited = held | 1;
      if (waited !== held && Atomics.compareExchange(words, Word.LOCK, held, waited) !== held) continue;
      if (Atomics.wait(words, Word.LOCK, waited, this.#slice) !== 'timed-out') continue;
      const now = Atomics.load(words, Word.TURN);
      slices = now === turn ? slices + 1 : 1;
      turn = now;
      // Of several that waited, one takes over.
      const isDead = this.#isDead(held >> 1, slices);
      if (isDead && Atomics.compareExchange(words, Word.LOCK, waited, mine) === waited) return;
    }
  }

  /** `slices`: for how long the lock has been in its hands. */
  #isDead(holder: number, slices: number): boolean {
    // This one holds nothing now: the system gives the number of a dead thread again, in the end.
    if (holder === this.#threads.self) return true;
    return this.#threads.hasEnded(holder) ?? slices >= SLICES;
  }

  #putInteger(collection: Uint8Array, key: Uint8Array, value: number, known?: number): void {
    const at = known ?? this.#find(Kind.INTEGER, collection, key);
    if (at === 0) this.#put(Kind.INTEGER, collection, key, value, NO_BYTES);
    else this.#words[(at >> 2) + Entry.VALUE] = value;
  }

  /** Writes an entry aside, puts it into the chain in the place of an older one with one store, and frees that one. */
  #put(kind: Kind, collection: Uint8Array, key: Uint8Array, value: number, data: Uint8Array): void {
    const hash = this.#hash(kind, collection, key);
    const { at, sizeClass } = this.#allocate(ENTRY_BYTES + collection.length + key.length + data.length);
    // Not before: the memory may have grown.
    const words = this.#words;
    const link = this.#linkOf(hash, kind, collection, key);
    const old = words[link]!;
    const entry = at >> 2;
    words[entry + Entry.NEXT] = old === 0 ? 0 : words[(old >> 2) + Entry.NEXT]!;
    words[entry + Entry.HASH] = hash;
    words[entry + Entry.KIND_AND_CLASS] = kind | (sizeClass << 8);
    words[entry + Entry.COLLECTION] = collection.length;
    words[entry + Entry.KEY] = key.length;
    words[entry + Entry.VALUE] = value;
    this.#bytes.set(collection, at + ENTRY_BYTES);
    this.#bytes.set(key, at + ENTRY_BYTES + collection.length);
    this.#bytes.set(data, at + ENTRY_BYTES + collection.length + key.length);
    // Release: an heir of this lock sees the whole entry, or none.
    Atomics.store(words, link, at);
    if (old === 0) Atomics.add(words, Word.SIZE, 1);
    else this.#free(old);
  }

  #unlink(link: number): void {
    const old = this.#words[link]!;
    Atomics.store(this.#words, link, this.#words[(old >> 2) + Entry.NEXT]!);
    Atomics.sub(this.#words, Word.SIZE, 1);
    this.#free(old);
  }

  #find(kind: Kind, collection: Uint8Array, key: Uint8Array): number {
    return this.#words[this.#linkOf(this.#hash(kind, collection, key), kind, collection, key)]!;
  }

  /** The word that holds the offset of the entry: its bucket, or `next` of the entry before it; it holds 0 at the end. */
  #linkOf(hash: number, kind: Kind, collection: Uint8Array, key: Uint8Array): number {
    const words = this.#words;
    let link = HEADER_WORDS + (hash & (BUCKETS - 1));
    for (let at = words[link]!; at !== 0; at = words[link]!) {
      const entry = at >> 2;
      const fits = words[entry + Entry.HASH] === hash && this.#isOf(at, kind, collection);
      if (
        fits &&
        words[entry + Entry.KEY] === key.length &&
        this.#equals(at + ENTRY_BYTES + collection.length, key)
      )
        return link;
      link = entry + Entry.NEXT;
    }
    return link;
  }

  /** Visits the entries of a collection; those for which `visit` returns true are deleted. */
  #forEachOf(kind: Kind, collection: Uint8Array, visit: (at: number) => boolean): void {
    const words = this.#words;
    for (let bucket = HEADER_WORDS; bucket < HEADER_WORDS + BUCKETS; bucket++) {
      let link = bucket;
      for (let at = words[link]!; at !== 0; at = words[link]!) {
        if (this.#isOf(at, kind, collection) && visit(at)) this.#unlink(link);
        else link = (at >> 2) + Entry.NEXT;
      }
    }
  }

  #isOf(at: number, kind: Kind, collection: Uint8Array): boolean {
    const entry = at >> 2;
    const isKind = (this.#words[entry + Entry.KIND_AND_CLASS]! & 0xff) === kind;
    if (!isKind || this.#words[entry + Entry.COLLECTION] !== collection.length) return false;
    return this.#equals(at + ENTRY_BYTES, collection);
  }

  #equals(at: number, expected: Uint8Array): boolean {
    for (let i = 0; i < expected.length; i++) if (this.#bytes[at + i] !== expected[i]) return false;
    return true;
  }

  /** FNV-1a from a random start, so that peers cannot choose keys of one bucket. */
  #hash(kind: Kind, collection: Uint8Array, key: Uint8Array): number {
    let hash = this.#words[Word.SEED]! ^ kind;
    for (const byte of collection) hash = Math.imul(hash ^ byte, 0x01000193);
    hash = Math.imul(hash ^ 0x100, 0x01000193);
    for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
    return hash ^ (hash >>> 15);
  }

  #allocate(size: number): { at: number; sizeClass: number } {
    const words = this.#words;
    const sizeClass = Math.max(MIN_CLASS, 32 - Math.clz32(size - 1));
    if (sizeClass > MAX_CLASS) throw full(size);
    const free = words[Word.FREE + sizeClass - MIN_CLASS]!;
    if (free !== 0) {
      words[Word.FREE + sizeClass - MIN_CLASS] = words[free >> 2]!;
      return { at: free, sizeClass };
    }
    const at = words[Word.TOP]!;
    const top = at + 2 ** sizeClass;
    if (top > this.#memory.maxByteLength) throw full(size);
    if (top > this.#memory.byteLength) {
      this.#memory.grow(Math.min(this.#memory.maxByteLength, Math.max(top, 2 * this.#memory.byteLength)));
      this.#view();
    }
    words[Word.TOP] = top;
    return { at, sizeClass };
  }

  #free(at: number): void {
    const words = this.#words;
    const head = Word.FREE + (words[(at >> 2) + Entry.KIND_AND_CLASS]! >> 8) - MIN_CLASS;
    words[at >> 2] = words[head]!;
    words[head] = at;
  }
}

const NO_BYTES = new Uint8Array(0);

function full(size: number): MillraceError {
  return new MillraceError(
    'MILLRACE_STORE_FULL',
    `The key-value store has no room for ${size} bytes: it holds at most ${MAX_STORE_SIZE / 1024 / 1024} MiB. Delete what is no longer used.`,
  );
}
