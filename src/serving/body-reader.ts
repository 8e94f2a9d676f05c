import { callUser, type OnFailure, type UserCode } from '../user-code.ts';

/** Takes the body of one request, piece by piece. */
export interface BodyReader {
  /**
   * `bytes[start, end)` is the next piece; the memory is valid during the call.
   *
   * @param remaining bytes that are yet to come; -1 when that is not known
   * @param failed told when the user's callback fails
   */
  take(
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
    remaining: number,
    failed: OnFailure,
  ): void;
}

export type DataHandler = (chunk: ArrayBuffer, isLast: boolean) => void;
export type DataHandlerV2 = (chunk: ArrayBuffer, maxRemainingBodyLength: bigint) => void;
export type BodyHandler = (body: ArrayBuffer | null) => void;

/** What `onDataV2` is told while nobody knows how much is to come: the largest number of 64 bits. */
const UNKNOWN_LENGTH = 2n ** 64n - 1n;

/** For `res.onData`. */
export class ChunkReader implements BodyReader {
  readonly #handler: UserCode<DataHandler>;

  constructor(handler: UserCode<DataHandler>) {
    this.#handler = handler;
  }

  take(
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
    _remaining: number,
    failed: OnFailure,
  ): void {
    callUser(this.#handler, failed, copyOf(bytes, start, end), isLast);
  }
}

/** For `res.onDataV2`. */
export class SizedChunkReader implements BodyReader {
  readonly #handler: UserCode<DataHandlerV2>;

  constructor(handler: UserCode<DataHandlerV2>) {
    this.#handler = handler;
  }

  take(
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
    remaining: number,
    failed: OnFailure,
  ): void {
    const known = isLast ? 0n : remaining < 0 ? UNKNOWN_LENGTH : BigInt(remaining);
    callUser(this.#handler, failed, copyOf(bytes, start, end), known);
  }
}

/** Bytes that are allocated before any of them arrived. */
const FIRST_CAPACITY = 16 * 1024;

/** For `res.collectBody`: joins the pieces in memory that grows with what arrived. */
export class BodyCollector implements BodyReader {
  readonly #maxSize: number;
  #handler: UserCode<BodyHandler> | null;
  #memory: Uint8Array<ArrayBuffer> | null = null;
  #length = 0;

  constructor(maxSize: number, handler: UserCode<BodyHandler>) {
    this.#maxSize = maxSize;
    this.#handler = handler;
  }

  take(
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
    remaining: number,
    failed: OnFailure,
  ): void {
    if (this.#handler === null) return;
    const length = this.#length + end - start;
    // What is announced counts: a client that sends too much is told before it does.
    if (length + Math.max(remaining, 0) > this.#maxSize) {
      this.#finish(null, failed);
    } else if (isLast && this.#length === 0) {
      this.#finish(copyOf(bytes, start, end), failed);
    } else {
      const memory = this.#append(bytes, start, end, length + Math.max(remaining, 0));
      if (isLast)
        this.#finish(length === memory.length ? memory.buffer : memory.buffer.slice(0, length), failed);
    }
  }

  /** Returns the memory that holds all there is. */
  #append(bytes: Uint8Array, start: number, end: number, announced: number): Uint8Array<ArrayBuffer> {
    const length = this.#length + end - start;
    let memory = this.#memory;
    if (memory === null || memory.length < length) {
      const doubled = Math.max(FIRST_CAPACITY, length, (memory?.length ?? 0) * 2);
      // With a known length the last growth is the exact one.
      const larger = new Uint8Array(announced > length ? Math.min(doubled, announced) : doubled);
      if (memory !== null) larger.set(memory.subarray(0, this.#length));
      memory = larger;
      this.#memory = memory;
    }
    memory.set(bytes.subarray(start, end), this.#length);
    this.#length = length;
    return memory;
  }

  #finish(body: ArrayBuffer | null, failed: OnFailure): void {
    const handler = this.#handler;
    this.#handler = null;
    this.#memory = null;
    if (handler !== null) callUser(handler, failed, body);
  }
}

function copyOf(bytes: Uint8Array, start: number, end: number): ArrayBuffer {
  const from = bytes.byteOffset + start;
  return bytes.buffer.slice(from, from + end - start) as ArrayBuffer;
}
