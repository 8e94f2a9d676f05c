import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib';
import { Counter } from '../metrics/counter.ts';
import type { DeflatePort, Deflater, Inflater } from '../protocol/message-deflate.ts';
import { type ZlibHandle, zlibHandle } from './node-internals.ts';
import { allocate } from './write-memory.ts';

/**
 * DEFLATE by the zlib of Node.js, on the thread that asks: a message of a few KiB takes some microseconds, and a
 * trip to the thread pool would take longer, reorder messages and let them pile up.
 *
 * Contexts are made once and used again: of those that keep no history there is one a thread and window, those of
 * connections go back to a pool.
 */

const { Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH } = constants;

/** Level 6, zlib's default, takes a quarter longer than this for 5 % fewer bytes (1 KiB of JSON). */
const LEVEL = 3;
/** What compressors that connections share may take; there are few of them. */
const SHARED_MEM_LEVEL = 8;
/** zlib makes no raw stream with 8 bits. Its compressor with 9 refers back by at most 250 bytes, which 8 allows. */
const MIN_ZLIB_BITS = 9;
const MAX_ZLIB_BITS = 15;
/** The streams' own buffers are not used; they are as small as can be. */
const UNUSED_CHUNK = 64;

/** The first size of what is compressed into, and the largest that is kept. */
const OUTPUT_SIZE = 64 * 1024;
const MAX_KEPT_OUTPUT = 1024 * 1024;

/** Contexts of one kind that are kept for reuse. */
const MAX_SPARE = 64;

/** What the deflaters of a thread write into: one message at a time. */
interface SharedOutput {
  bytes: Uint8Array;
}

class ZlibDeflater implements Deflater {
  readonly kind: number;
  readonly #handle: ZlibHandle;
  readonly #output: SharedOutput;
  readonly #counters: Float64Array;

  constructor(windowBits: number, memLevel: number, kind: number, port: ZlibDeflatePort) {
    const options = { windowBits, memLevel, level: LEVEL, chunkSize: UNUSED_CHUNK };
    this.kind = kind;
    this.#handle = zlibHandle(createDeflateRaw(options));
    this.#output = port.output;
    this.#counters = port.counters;
  }

  deflate(input: Uint8Array, keepsHistory: boolean): Uint8Array {
    const started = performance.now();
    const handle = this.#handle;
    const { millraceState: state } = handle;
    const flush = keepsHistory ? Z_SYNC_FLUSH : Z_FULL_FLUSH;
    let length = 0;
    let position = 0;
    let out = this.#room(longestOutput(input.length));
    for (;;) {
      const room = out.length - length;
      handle.writeSync(flush, input, position, input.length - position, out, length, room);
      // Compressing fails for want of memory alone, and then changes nothing of the state, which would look full.
      if (handle.millraceFailed) throw new RangeError('zlib has no memory for a compressor');
      length += room - state[0]!;
      position = input.length - state[1]!;
      // A flush is complete when it leaves room.
      if (state[0] !== 0) break;
      out = this.#grow(out);
    }
    const counters = this.#counters;
    counters[Counter.DEFLATED]!++;
    counters[Counter.DEFLATE_BYTES_IN]! += input.length;
    counters[Counter.DEFLATE_BYTES_OUT]! += length;
    counters[Counter.DEFLATE_TIME]! += performance.now() - started;
    return out.subarray(0, length);
  }

  reset(): void {
    this.#handle.reset();
  }

  close(): void {
    this.#handle.close();
  }

  #room(size: number): Uint8Array {
    const output = this.#output;
    if (size > MAX_KEPT_OUTPUT) return allocate(size);
    if (output.bytes.length < size) output.bytes = allocate(2 ** Math.ceil(Math.log2(size)));
    return output.bytes;
  }

  #grow(out: Uint8Array): Uint8Array {
    const grown = allocate(2 * out.length);
    grown.set(out);
    return grown;
  }
}

/** Above what any level and memory make of data that cannot be compressed. */
function longestOutput(length: number): number {
  return length + (length >> 3) + 128;
}

class ZlibInflater implements Inflater {
  rest = 0;
  readonly kind: number;
  readonly #handle: ZlibHandle;
  readonly #counters: Float64Array;

  constructor(windowBits: number, kind: number, port: ZlibDeflatePort) {
    this.kind = kind;
    this.#handle = zlibHandle(createInflateRaw({ windowBits, chunkSize: UNUSED_CHUNK }));
    this.#counters = port.counters;
  }

  inflate(
    bytes: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
    position: number,
    limit: number,
    mustEnd: boolean,
  ): number {
    const started = performance.now();
    const handle = this.#handle;
    handle.millraceFailed = false;
    const flush = mustEnd ? Z_FINISH : Z_SYNC_FLUSH;
    handle.writeSync(flush, bytes, start, end - start, out, position, limit - position);
    const counters = this.#counters;
    counters[Counter.INFLATE_TIME]! += performance.now() - started;
    if (handle.millraceFailed) return -1;
    const state = handle.millraceState;
    this.rest = state[1]!;
    const written = limit - position - state[0]!;
    counters[Counter.INFLATE_BYTES_IN]! += end - start - this.rest;
    counters[Counter.INFLATE_BYTES_OUT]! += written;
    return written;
  }

  reset(): void {
    this.#handle.reset();
  }

  close(): void {
    this.#handle.close();
  }
}

/** The DEFLATE contexts of one thread. */
export class ZlibDeflatePort implements DeflatePort {
  readonly counters: Float64Array;
  /** @internal */
  readonly output: SharedOutput = { bytes: NO_BYTES };
  readonly #shared: (ZlibDeflater | null)[] = new Array<ZlibDeflater | null>(MAX_ZLIB_BITS + 1).fill(null);
  #sharedInflater: ZlibInflater | null = null;
  /** Spare contexts by kind. */
  readonly #deflaters = new Map<number, ZlibDeflater[]>();
  readonly #inflaters = new Map<number, ZlibInflater[]>();

  /** @param counters indexed by Counter */
  constructor(counters: Float64Array) {
    this.counters = counters;
  }

  sharedDeflater(windowBits: number): Deflater {
    const bits = Math.max(windowBits, MIN_ZLIB_BITS);
    this.#prepareOutput();
    return (this.#shared[bits] ??= new ZlibDeflater(bits, SHARED_MEM_LEVEL, 0, this));
  }

  sharedInflater(): Inflater {
    return (this.#sharedInflater ??= new ZlibInflater(MAX_ZLIB_BITS, 0, this));
  }

  takeDeflater(windowBits: number, memLevel: number): Deflater {
    const bits = Math.max(windowBits, MIN_ZLIB_BITS);
    const kind = bits * 16 + memLevel;
    this.#prepareOutput();
    return this.#deflaters.get(kind)?.pop() ?? new ZlibDeflater(bits, memLevel, kind, this);
  }

  takeInflater(windowBits: number): Inflater {
    const bits = Math.max(windowBits, MIN_ZLIB_BITS);
    return this.#inflaters.get(bits)?.pop() ?? new ZlibInflater(bits, bits, this);
  }

  giveDeflater(deflater: Deflater): void {
    giveBack(this.#deflaters, deflater as ZlibDeflater);
  }

  giveInflater(inflater: Inflater): void {
    giveBack(this.#inflaters, inflater as ZlibInflater);
  }

  #prepareOutput(): void {
    if (this.output.bytes.length === 0) this.output.bytes = allocate(OUTPUT_SIZE);
  }
}

function giveBack<T extends { readonly kind: number; reset(): void; close(): void }>(
  pool: Map<number, T[]>,
  context: T,
): void {
  const spare = pool.get(context.kind) ?? [];
  if (spare.length >= MAX_SPARE) {
    // zlib's memory is free at once, not when the garbage collector comes by.
    context.close();
    return;
  }
  context.reset();
  spare.push(context);
  pool.set(context.kind, spare);
}

const NO_BYTES = new Uint8Array(0);
