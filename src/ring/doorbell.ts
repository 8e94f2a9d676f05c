/**
 * The wake-up of a sleeping thread. Each reader thread has one word in shared memory, however many rings it
 * reads, and writers touch it only when it says that the reader sleeps.
 *
 *     reader                                  writer
 *     1. word ← ASLEEP                        1. ring's head ← new head
 *     2. a ring's head moved? then stay up    2. word = ASLEEP? if not, done
 *     3. wait while word = ASLEEP             3. word: ASLEEP → AWAKE, then notify
 *
 * All of it is sequentially consistent, so both sides' steps fall into one order. If the reader's 2 does not
 * see the new head, it came before the writer's 1, hence its own 1 before the writer's 2, which sees ASLEEP.
 * And a word changed between the reader's 2 and 3 makes the wait return at once. No wake-up is lost.
 */
import { invalidArgument } from '../errors.ts';
import { DOORBELL_STRIDE, MAX_THREADS } from './layout.ts';

const AWAKE = 0;
const ASLEEP = 1;

/** Shared memory with a doorbell word for each of `threads` threads, everybody awake. */
export function createDoorbells(threads: number): SharedArrayBuffer {
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw invalidArgument(`1 to ${MAX_THREADS} threads, not ${threads}`);
  }
  return new SharedArrayBuffer(threads * DOORBELL_STRIDE);
}

function doorbellWord(words: Int32Array, thread: number): number {
  const index = (thread * DOORBELL_STRIDE) >> 2;
  if (Number.isInteger(thread) && thread >= 0 && index < words.length) return index;
  throw invalidArgument(`There is no doorbell for thread ${thread}`);
}

/** A writer's side of one reader thread's doorbell. */
export class Doorbell {
  /** How often this writer woke the reader. */
  wakes = 0;

  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #word: number;

  constructor(buffer: SharedArrayBuffer, thread: number) {
    this.#words = new Int32Array(buffer);
    this.#word = doorbellWord(this.#words, thread);
  }

  /** Wakes the reader if it sleeps. Call after `commit`; costs one load when it is awake. */
  ring(): void {
    // Sequentially consistent with the store of the ring's head before it: see the top of this file.
    if (Atomics.load(this.#words, this.#word) === ASLEEP) this.#wake();
  }

  #wake(): void {
    // Of several writers one gets to notify. The exchange comes before the notify, so a reader that is not
    // waiting yet finds the word changed, and one that waits gets notified.
    if (Atomics.compareExchange(this.#words, this.#word, ASLEEP, AWAKE) !== ASLEEP) return;
    Atomics.notify(this.#words, this.#word);
    this.wakes++;
  }
}

/** What a reader thread does around its sleep. One object for each thread. */
export interface Sleeper {
  /** Does any of its rings hold records? Asked after the thread has been marked asleep. */
  hasWork(): boolean;
  /** Somebody rang. Runs as a microtask of its own. */
  onWake(): void;
}

/**
 * The reader's side. A waiting thread goes on with its event loop, and the wait does not keep the loop
 * alive: something else, such as a MessagePort, has to.
 */
export class DoorbellWaiter {
  /** How often a wait was ended by a ring. */
  wakes = 0;

  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #word: number;
  readonly #sleeper: Sleeper;
  /** The wait in force; a wait that was cancelled finds another number here. */
  #generation = 0;
  #waiting = false;

  /** Takes the word over from a reader of the same thread number that has ended. */
  constructor(buffer: SharedArrayBuffer, thread: number, sleeper: Sleeper) {
    this.#words = new Int32Array(buffer);
    this.#word = doorbellWord(this.#words, thread);
    this.#sleeper = sleeper;
    Atomics.store(this.#words, this.#word, AWAKE);
  }

  /** Is a wait in force? */
  get waiting(): boolean {
    return this.#waiting;
  }

  /**
   * Goes to sleep until somebody rings, which calls `onWake` once. False when there is work already: then the
   * thread stays awake and nothing is called. Rings may be read during a wait, by a timer say; it stays
   * in force.
   */
  wait(): boolean {
    if (this.#waiting) return true;
    // Before the check of the rings, in the one order of all sequentially consistent operations: a writer
    // that has not seen this store had moved its head before, and `hasWork` sees that.
    Atomics.store(this.#words, this.#word, ASLEEP);
    if (this.#sleeper.hasWork()) {
      this.#wakeUp();
      return false;
    }
    const result = Atomics.waitAsync(this.#words, this.#word, ASLEEP);
    // Not asynchronous: the word is AWAKE again, so somebody rang between the store and the wait.
    if (!result.async) return false;
    const generation = ++this.#generation;
    this.#waiting = true;
    void result.value.then(() => this.#onNotified(generation));
    return true;
  }

  /** Ends the wait without a call of `onWake`. */
  cancel(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#generation++;
    this.#wakeUp();
    // Resolves the promise of the wait, which would otherwise stay with the word for ever.
    Atomics.notify(this.#words, this.#word);
  }

  #onNotified(generation: number): void {
    if (generation !== this.#generation) return;
    this.#waiting = false;
    this.wakes++;
    this.#sleeper.onWake();
  }

  #wakeUp(): void {
    // Orders nothing: a writer that still sees ASLEEP notifies nobody, which does no harm.
    Atomics.store(this.#words, this.#word, AWAKE);
  }
}
