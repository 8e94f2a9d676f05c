import type { HeapUse } from '../shard/heap-watch.ts';
import { RecycleDelay } from './recycle-delay.ts';

/** What is told of a shard whose heap is full. */
export interface FullHeap extends HeapUse {
  /** Ms until the shard may be replaced; 0: it is being replaced. */
  readonly delay: number;
  /** Why it could not be replaced: it stays, and is tried again after `delay` ms. Else undefined. */
  readonly error?: unknown;
}

/**
 * Recycler: replaces a shard whose heap is full with a successor before V8 ends its thread, or the whole process. A
 * report comes after each full collection, so what is to happen later happens at a later report.
 */
export class Recycler {
  readonly #replace: () => Promise<void>;
  readonly #tell: (heap: FullHeap) => void;
  #delay = new RecycleDelay();
  #isUnderWay = false;
  /** It was told that this life waits. */
  #isTold = false;

  constructor(replace: () => Promise<void>, tell: (heap: FullHeap) => void) {
    this.#replace = replace;
    this.#tell = tell;
  }

  /** Another life begins, with other code, if `isReloaded`. */
  begin(isReloaded: boolean): void {
    this.#isTold = false;
    if (isReloaded) this.#delay = new RecycleDelay();
  }

  full({ used, limit }: HeapUse): void {
    if (this.#isUnderWay) return;
    const now = performance.now();
    const delay = this.#delay.until(now);
    if (delay > 0) {
      if (!this.#isTold) this.#tell({ used, limit, delay: Math.ceil(delay) });
      this.#isTold = true;
      return;
    }
    this.#isUnderWay = true;
    this.#delay.recycled(now);
    this.#tell({ used, limit, delay: 0 });
    void this.#run({ used, limit });
  }

  async #run(heap: HeapUse): Promise<void> {
    try {
      await this.#replace();
    } catch (error) {
      this.#tell({ ...heap, delay: Math.ceil(this.#delay.until(performance.now())), error });
    }
    this.#isUnderWay = false;
  }
}
