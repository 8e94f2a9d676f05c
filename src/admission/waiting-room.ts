import { Counter } from '../metrics/counter.ts';
import type { Transport } from '../net/transport.ts';

/**
 * WaitingRoom: connections that have sent nothing whole yet, oldest first. Where places are short the oldest gives way to
 * newcomers: an honest client says at once what it wants, so that nobody can keep others out by saying nothing.
 */
export class WaitingRoom {
  /** The turn of the event loop in which each came. */
  readonly #since = new Map<Transport, number>();
  readonly #onChange: (change: 1 | -1) => void;

  /** @param onChange one more waits, or one less */
  constructor(onChange: (change: 1 | -1) => void = ignore) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#since.size;
  }

  add(transport: Transport): void {
    const { turns } = transport.io;
    this.#since.set(transport, turns.now);
    turns.tick();
    this.#onChange(1);
  }

  /** It waits no more, if it did. */
  delete(transport: Transport): void {
    if (this.#since.delete(transport)) this.#onChange(-1);
  }

  oldest(): Transport | undefined {
    for (const transport of this.#since.keys()) return transport;
    return undefined;
  }

  /**
   * Closes the oldest one. Returns false when there is none, or when it came in this turn of the event loop or the one
   * before: what it sent may lie in the kernel still.
   */
  evict(): boolean {
    const oldest = this.oldest();
    if (oldest === undefined || oldest.io.turns.now - this.#since.get(oldest)! < 2) return false;
    oldest.io.counters[Counter.EVICTED]!++;
    oldest.destroy();
    return true;
  }
}

function ignore(): void {}
