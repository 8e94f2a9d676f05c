import type { Pace } from '../protocol/frame-parser.ts';
import { runTicks } from './node-internals.ts';

/** Ms that sockets with more to read than their share may take of a turn together, divided among them. */
const TURN = 5;
/** Ms that one of them may take at most, and at least. */
const MOST = 2;
const LEAST = 0.5;

/** Messages from one look at the clock to the next, which costs 50 ns: at first, and when they are handled fast. */
const FIRST_STRIDE = 32;
const MOST_STRIDE = 64;
/** Ms that are to pass from one look to the next at most; if more have, the next one comes sooner. */
const LOOK_INTERVAL = LEAST / 2;

/** A read of fewer bytes is too short to be worth a look at its start. */
const SHORT_READ = 1024;
/** Reads of one TLS socket right after one another, each of one record, from which on they are one long read. */
const MANY_READS = 8;

/** The clock was not looked at. */
const UNKNOWN = -1;

/**
 * ReadPace: how long the messages of one socket may be handled before the others get their turn. Bytes do not tell: a
 * receive buffer can hold 37,000 messages, and a handler may take a millisecond for each.
 *
 * A loop that handles messages one after the other counts down from `stride`, then looks here. Up to some dozens of
 * messages, what a peer mostly has in flight, cost nothing but the counting. Looks come more often where messages take longer.
 *
 * What a socket has left when its time is over is held (see HeldInput) and goes on in the next turn.
 */
export class ReadPace implements Pace {
  stride = FIRST_STRIDE;
  /** False: what a socket has left cannot be held, so it goes on. */
  mayStop = true;
  readonly #clock: () => number;
  /** Ms that a socket may take in this turn. */
  #share = MOST;
  #startedAt = UNKNOWN;
  #lookedAt = UNKNOWN;
  /** The socket that was read last, how often in a row, and since when. */
  #reader: object | null = null;
  #reads = 0;
  #readingSince = UNKNOWN;

  /** @param clock ms, monotonic */
  constructor(clock: () => number = now) {
    this.#clock = clock;
  }

  /** Bytes of a socket are going to be handled. */
  begin(size: number): void {
    if (size < SHORT_READ && this.stride >= FIRST_STRIDE) this.#startedAt = UNKNOWN;
    else this.#beginTimed();
  }

  #beginTimed(): void {
    this.#startedAt = this.#clock();
    this.#lookedAt = this.#startedAt;
  }

  /**
   * `stride` messages were handled. What their handlers left to be done in promises and nextTick is done now, so that it
   * counts, as it does in uWebSockets.js after every message.
   */
  look(): number {
    runTicks();
    return this.lookAtRequests();
  }

  /** The same after `stride` requests of HTTP, of which one that has work left is not followed by another. */
  lookAtRequests(): number {
    const time = this.#clock();
    const spent = time - this.#lookedAt;
    const isFirst = this.#startedAt === UNKNOWN;
    this.#lookedAt = time;
    if (isFirst) {
      this.#startedAt = time;
      return this.stride;
    }
    this.#adapt(spent);
    return time - this.#startedAt < this.#share || !this.mayStop ? this.stride : 0;
  }

  /**
   * TLS hands on record by record, many of them in one turn, however small: one is about to be handled. Returns whether
   * the socket has had its share of the turn; the end of the turn must be told of if `isWatching` says so.
   */
  noteRecord(reader: object, size: number): boolean {
    if (reader !== this.#reader) {
      this.#reader = reader;
      this.#reads = 0;
      this.#readingSince = UNKNOWN;
    }
    if (this.#readingSince !== UNKNOWN) {
      return this.#clock() - this.#readingSince >= this.#share && this.mayStop;
    }
    if (++this.#reads >= MANY_READS || size >= SHORT_READ) this.#readingSince = this.#clock();
    return false;
  }

  /** One socket is read again and again in this turn. */
  get isWatching(): boolean {
    return this.#readingSince !== UNKNOWN;
  }

  /** @param waiting sockets that have more to read than their share was */
  endTurn(waiting: number): void {
    this.#reader = null;
    this.#readingSince = UNKNOWN;
    this.#share = Math.max(LEAST, Math.min(MOST, TURN / Math.max(waiting, 1)));
  }

  /** Fewer at once when they take long, one more each time that they do not. */
  #adapt(spent: number): void {
    const { stride } = this;
    if (spent > LOOK_INTERVAL) this.stride = Math.max(1, Math.floor((stride * LOOK_INTERVAL) / spent));
    else if (stride < MOST_STRIDE) this.stride = stride + 1;
  }
}

function now(): number {
  return performance.now();
}
