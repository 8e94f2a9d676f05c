import { setImmediate as turn } from 'node:timers/promises';
import type { Transport } from '../net/transport.ts';
import { readWaiting } from '../net/turns.ts';

/** What is said to sockets that are to leave. */
export interface Drainable {
  /**
   * Says goodbye: a Close frame with `code` to a WebSocket. A request that is under way, or comes, is answered with
   * `Connection: close` from now on.
   */
  drain(transport: Transport, code: number): void;
  /** The time for another request is over: ends the connection, unless one is under way. */
  dismiss(transport: Transport): void;
}

/** How the connections of a thread are to end. */
export interface DrainTerms {
  /** Close code of WebSockets. */
  readonly code: number;
  /** Ms until what is left is cut off. */
  readonly deadline: number;
  /** Ms in which a connection without a request under way may still send one. */
  readonly grace: number;
}

/** Sockets asked to leave at a time, and ms between two such waves, so that they do not all return at once. */
const WAVE = 1000;
const WAVE_INTERVAL = 100;

/** Turns that a socket may take to read what the kernel has for it: more than the kernel holds, at a buffer a turn. */
const MAX_TURNS = 64;

/**
 * Drain: ends the sockets of a thread politely, step by step.
 *
 *     read what the kernel holds ─▶ drain() each, in waves ─▶ grace ─▶ dismiss() each that is left, in waves
 */
export class Drain {
  readonly #sockets: ReadonlySet<Transport>;
  readonly #terms: DrainTerms;
  readonly #talk: Drainable;
  /** End the waits for a time. */
  readonly #sleeping = new Set<() => void>();
  #isStopped = false;
  /** The grace is over. */
  isDismissing = false;

  constructor(sockets: ReadonlySet<Transport>, terms: DrainTerms, talk: Drainable) {
    this.#sockets = sockets;
    this.#terms = terms;
    this.#talk = talk;
  }

  get code(): number {
    return this.#terms.code;
  }

  async run(): Promise<void> {
    const { code, grace } = this.#terms;
    const graceEnd = performance.now() + grace;
    await readWaiting();
    await this.#waves((transport, turns) => {
      if (transport.hasMore && turns < MAX_TURNS) return false;
      this.#talk.drain(transport, code);
      return true;
    });
    await this.#sleep(graceEnd - performance.now());
    this.isDismissing = true;
    await this.#waves((transport) => {
      this.#talk.dismiss(transport);
      return true;
    });
  }

  /** Says goodbye to a socket that came since. */
  async arrived(transport: Transport): Promise<void> {
    this.#talk.drain(transport, this.#terms.code);
    await this.#sleep(this.#terms.grace);
    if (!transport.isClosed) this.#talk.dismiss(transport);
  }

  /** Says nothing any more. */
  stop(): void {
    this.#isStopped = true;
    for (const wake of this.#sleeping) wake();
  }

  /** @param visit returns false for a socket that is to be visited again in the next turn */
  async #waves(visit: (transport: Transport, turns: number) => boolean): Promise<void> {
    const left = Array.from(this.#sockets);
    while (left.length > 0 && !this.#isStopped) {
      let wave = left.splice(0, WAVE);
      for (let turns = 0; wave.length > 0 && !this.#isStopped; turns++) {
        // Right behind a poll, so that hardly anything can have come unread.
        await turn();
        wave = wave.filter((transport) => !transport.isClosed && !visit(transport, turns));
      }
      if (left.length > 0) await this.#sleep(WAVE_INTERVAL);
    }
  }

  #sleep(ms: number): Promise<void> {
    if (ms <= 0 || this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleeping.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#sleeping.add(wake);
    });
  }
}
