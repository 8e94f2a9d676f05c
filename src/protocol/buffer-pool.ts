/**
 * Memory in size classes (powers of two), lent and given back, so that joining and queueing messages leaves
 * nothing for the garbage collector. What the pool keeps is bounded; what is out on loan is bounded by the
 * limits of its borrowers.
 */
export class BufferPool {
  readonly #free: Uint8Array[][] = [];
  readonly #maxKept: number;
  #kept = 0;

  readonly #allocate: (size: number) => Uint8Array;

  /**
   * @param maxKept bytes the pool keeps for reuse at most; the rest goes to the garbage collector
   * @param allocate makes new memory, whose content may be undefined
   */
  constructor(maxKept = 16 * 1024 * 1024, allocate = (size: number): Uint8Array => new Uint8Array(size)) {
    this.#maxKept = maxKept;
    this.#allocate = allocate;
    for (let i = 0; i <= MAX_CLASS; i++) this.#free.push([]);
  }

  /** Bytes kept for reuse now. */
  get kept(): number {
    return this.#kept;
  }

  /** Memory of at least `size` bytes, content undefined. Above 64 MiB it is made to measure and not kept. */
  take(size: number): Uint8Array {
    const index = classOf(size);
    if (index > MAX_CLASS) return this.#allocate(size);
    const found = this.#free[index]!.pop();
    if (found === undefined) return this.#allocate(1 << (index + MIN_SHIFT));
    this.#kept -= found.length;
    return found;
  }

  /** Gives memory back. The borrower must hold no view of it any more. */
  give(bytes: Uint8Array): void {
    const index = classOf(bytes.length);
    if (index > MAX_CLASS || 1 << (index + MIN_SHIFT) !== bytes.length) return;
    if (this.#kept + bytes.length > this.#maxKept) return;
    this.#kept += bytes.length;
    this.#free[index]!.push(bytes);
  }
}

/** The smallest class: 2^8 = 256 bytes. */
const MIN_SHIFT = 8;
/** The largest class: 2^26 = 64 MiB. */
const MAX_CLASS = 26 - MIN_SHIFT;

function classOf(size: number): number {
  if (size <= 1 << MIN_SHIFT) return 0;
  if (size > 1 << (MAX_CLASS + MIN_SHIFT)) return MAX_CLASS + 1;
  return 32 - Math.clz32(size - 1) - MIN_SHIFT;
}
