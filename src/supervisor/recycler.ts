import type { HeapUse } from '../shard/heap-watch.ts';
import { RecycleDelay } from './recycle-delay.ts';

/** What is told of a shard whose heap is full. */
export interface FullHeap extends HeapUse {
  /** Ms until the shard may be replaced; 0: it is being replaced. */
  readonly delay: number;
  /** Why the shard could not be replaced: it stays, and is tried again after `delay` ms. Else undefined. */
  readonly error?: unknown;
}

/**
 * Recycler: replaces a shard whose heap is full with a successor before V8 ends its thread, or the whole process. A
 * report comes after each full collection, so what is to happen later happens at a later report.
 */
export class Recycler {
  readonly #replace: () => Promise<boolean>;
  readonly #tell: (heap: FullHeap) => void;
  #delay = new RecycleDelay();
  #isUnderWay = false;
  /** It was told that this instance of the shard waits. */
  #isTold = false;

  /** @param replace resolves with whether the shard was replaced: that may be needless by then */
  constructor(replace: () => Promise<boolean>, tell: (heap: FullHeap) => void) {
    this.#replace = replace;
    this.#tell = tell;
  }

  /** The instance of the shard has ended, in whatever way. */
  ended(): void {
    this.#isTold = false;
  }

  /** The shard may have other code now. */
  reloaded(): void {
    this.#delay = new RecycleDelay();
  }

  full({ used, limit }: HeapUse): void {
    if (this.#isUnderWay) return;
    const delay = Math.ceil(this.#delay.until(performance.now()));
    if (delay > 0) {
      if (!this.#isTold) this.#tell({ used, limit, delay });
      this.#isTold = true;
      return;
    }
    this.#isUnderWay = true;
    this.#tell({ used, limit, delay: 0 });
    void this.#run({ used, limit });
  }

  async #run(heap: HeapUse): Promise<void> {
    try {
      if (await this.#replace()) this.#delay.recycled(performance.now());
    } catch (error) {
      const now = performance.now();
      this.#delay.recycled(now);
      this.#tell({ ...heap, delay: Math.ceil(this.#delay.until(now)), error });
    }
    this.#isUnderWay = false;
  }
}
