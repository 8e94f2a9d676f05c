import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { resourceLimits } from 'node:worker_threads';
import { Level } from '../metrics/counter.ts';

/** Ms between two looks, each of which costs a few microseconds. */
const PERIOD = 1000;

const MIB = 1024 * 1024;

export interface HeapUse {
  /** Bytes in use, garbage that is not collected yet included. */
  readonly used: number;
  /** Bytes with which V8 ends the thread. */
  readonly limit: number;
}

/**
 * The heap of this thread.
 *
 * @param flag what V8 was told of its size, see `oldSpaceFlag`
 */
export function heapUse(flag = 0): HeapUse {
  const { used_heap_size: used, heap_size_limit: all } = getHeapStatistics();
  // The limit counts room for short-lived objects too, which live ones cannot fill.
  const old = (flag > 0 ? flag : (resourceLimits.maxOldGenerationSizeMb ?? 0)) * MIB;
  return { used, limit: old > 0 && old < all ? old : all };
}

/** Whether as much of a thread's heap was in use when it was looked at last, garbage included. */
export function isHeapFull(counters: Float64Array, share: number): boolean {
  const used = counters[Level.HEAP_USED]!;
  // 0: the thread is gone.
  return share > 0 && used > 0 && used >= share * counters[Level.HEAP_LIMIT]!;
}

/**
 * HeapWatch: notices that what this thread's heap keeps comes near its limit. A heap may be full of garbage at any time;
 * so what counts is what a full collection has left, and collections are listened to only while much is in use.
 */
export class HeapWatch {
  readonly #share: number;
  readonly #flag: number;
  readonly #counters: Float64Array;
  readonly #onFull: (heap: HeapUse) => void;
  readonly #timer: NodeJS.Timeout;
  #observer: PerformanceObserver | null = null;

  /**
   * @param share part of the limit, 0 to 1; 0: it is only counted
   * @param flag what V8 was told of the heap's size, see `oldSpaceFlag`
   * @param onFull called after each full collection that leaves as much
   */
  constructor(share: number, flag: number, counters: Float64Array, onFull: (heap: HeapUse) => void) {
    this.#share = share;
    this.#flag = flag;
    this.#counters = counters;
    this.#onFull = onFull;
    this.#timer = setInterval(() => {
      this.#look();
    }, PERIOD);
    this.#timer.unref();
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#observer?.disconnect();
    this.#observer = null;
  }

  #look(): void {
    this.#measure();
    if (!isHeapFull(this.#counters, this.#share)) {
      this.#observer?.disconnect();
      this.#observer = null;
    } else if (this.#observer === null) {
      this.#observer = new PerformanceObserver((list) => {
        if (list.getEntries().some(isFullCollection)) this.#collected();
      });
      this.#observer.observe({ entryTypes: ['gc'] });
    }
  }

  #collected(): void {
    const heap = this.#measure();
    if (isHeapFull(this.#counters, this.#share)) this.#onFull(heap);
  }

  #measure(): HeapUse {
    const heap = heapUse(this.#flag);
    this.#counters[Level.HEAP_USED] = heap.used;
    this.#counters[Level.HEAP_LIMIT] = heap.limit;
    return heap;
  }
}

function isFullCollection(entry: PerformanceEntry): boolean {
  const { detail } = entry as { detail?: { kind?: number } };
  return detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}
