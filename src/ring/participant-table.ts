/**
 * The participants of the rings, in shared memory: for each thread number whether a thread is up under it, in which role,
 * and its instance number, which is one higher for each thread that has had the number. A writer or reader of a ring
 * sees by it whether the thread at the other end is the one it has known.
 *
 * A row is changed by the thread itself when it begins and when it leaves, and by the thread that looks after it when it
 * has died; never by two at once, as a number is given again only when its thread is gone. `changes` moves behind each change,
 * so that one word tells whether any row has to be looked at.
 */
import { invalidArgument } from '../errors.ts';
import { LINE_PAIR, MAX_THREADS, ParticipantHeader, ParticipantRow } from './layout.ts';

const CHANGES = ParticipantHeader.CHANGES >> 2;
const FIRST_WORD = (ParticipantHeader.ROWS + ParticipantRow.WORD) >> 2;
const STRIDE = ParticipantRow.BYTES >> 2;
const UP = 1;
const ROLE_SHIFT = 1;
const ROLE_MASK = 7;
const INSTANCE_SHIFT = 4;

/** What one word says of a thread number: nobody has had it yet. */
export const NO_INSTANCE = 0;

export function isUp(word: number): boolean {
  return (word & UP) !== 0;
}

/** 0 to 7, whatever the threads mean by it. */
export function roleOf(word: number): number {
  return (word >>> ROLE_SHIFT) & ROLE_MASK;
}

/** 1 for the first thread of a number. */
export function instanceOf(word: number): number {
  return word >>> INSTANCE_SHIFT;
}

/** The word of a thread that is up. */
export function wordOf(instance: number, role: number): number {
  return (instance << INSTANCE_SHIFT) | (role << ROLE_SHIFT) | UP;
}

export class ParticipantTable {
  readonly threads: number;
  readonly #words: Int32Array<SharedArrayBuffer>;

  static create(threads: number): SharedArrayBuffer {
    if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
      throw invalidArgument(`1 to ${MAX_THREADS} threads, not ${threads}`);
    }
    return new SharedArrayBuffer(ParticipantHeader.ROWS + threads * ParticipantRow.BYTES);
  }

  constructor(memory: SharedArrayBuffer) {
    this.threads = (memory.byteLength - LINE_PAIR) / ParticipantRow.BYTES;
    this.#words = new Int32Array(memory);
  }

  /** Goes up with every change; wraps in 32 bits. */
  get changes(): number {
    // Acquire: orders the reads of rows after the changes that it counts. Sequentially consistent with the reader's
    // store of its doorbell word before it, as the head of a ring is (see doorbell.ts).
    return Atomics.load(this.#words, CHANGES);
  }

  /** The word of a thread number, for `isUp`, `roleOf` and `instanceOf`. */
  word(thread: number): number {
    // Acquire: a reader that sees a thread up sees its rings as it took them over.
    return Atomics.load(this.#words, FIRST_WORD + thread * STRIDE);
  }

  /** A thread is up under this number, after its rings were taken over. Returns its instance number. */
  begin(thread: number, role: number): number {
    const instance = instanceOf(this.word(thread)) + 1;
    this.#change(thread, wordOf(instance, role));
    return instance;
  }

  /** The thread that had this number is gone. Returns whether that was not known yet. */
  end(thread: number): boolean {
    const word = this.word(thread);
    if (!isUp(word)) return false;
    this.#change(thread, word & ~UP);
    return true;
  }

  #change(thread: number, word: number): void {
    // Release: orders what the thread did before it.
    Atomics.store(this.#words, FIRST_WORD + thread * STRIDE, word);
    // Behind the row, so that a reader that sees the number sees the row; before the ring of the doorbells.
    Atomics.add(this.#words, CHANGES, 1);
  }
}
