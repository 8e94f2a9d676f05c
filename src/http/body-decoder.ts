import { BACKSLASH, CR, EQUALS, FIELD_VALUE, isHexDigit, LF, QUOTE, SEMICOLON, TOKEN } from './characters.ts';
import { TrailerReader } from './trailer-reader.ts';

/** What `feed()` returns, if it is not the HTTP status (400 or higher) to answer a bad body with. */
export const BodyStatus = {
  /** All bytes are taken in, and none of them is data. */
  INCOMPLETE: 0,
  /** `bytes[dataStart, dataEnd)` is data, never empty. Feed on from `consumed`. */
  DATA: 1,
  /** `bytes[dataStart, dataEnd)` is the last data, possibly empty. The next request starts at `consumed`. */
  COMPLETE: 2,
} as const;

/** Limits of a body. */
export interface BodyLimits {
  /** Bytes of the decoded body. Default: no limit, as bodies are not kept here. More is answered 413. */
  maxBodySize?: number;
  /** Bytes of a chunk-size line, its extensions included, its CRLF not. Default 64. More is answered 400. */
  maxChunkLineSize?: number;
  /** Bytes of the chunk extensions of a whole body. Default 1024. More is answered 400. */
  maxExtensionsSize?: number;
  /** Bytes of the trailer section. Default 4096. More is answered 431. */
  maxTrailersSize?: number;
}

const State = {
  SIZED: 0,
  SIZE_START: 1,
  SIZE: 2,
  EXTENSION_NAME_START: 3,
  EXTENSION_NAME: 4,
  EXTENSION_VALUE_START: 5,
  EXTENSION_TOKEN: 6,
  EXTENSION_QUOTED: 7,
  EXTENSION_ESCAPED: 8,
  EXTENSION_END: 9,
  SIZE_LF: 10,
  DATA: 11,
  DATA_CR: 12,
  DATA_LF: 13,
  TRAILERS: 14,
  COMPLETE: 15,
  FAILED: 16,
} as const;
type State = (typeof State)[keyof typeof State];

/**
 * Reads the body of a request (RFC 9112 §6.2, §7.1) where it lies: it copies nothing and gives slices of the bytes
 * it is fed. It is incremental and linear, and strict: whatever two servers could read in two ways is refused with
 * 400, above all line ends other than CRLF, chunk sizes that are not plain hexadecimal numbers, space around them,
 * and data that is longer than its chunk. Chunk extensions are checked and ignored, trailers checked and discarded.
 *
 * One decoder serves one body after another: `start()` begins each.
 */
export class BodyDecoder {
  /** Where the data of the last `feed()` starts in the bytes fed. */
  dataStart = 0;
  /** Where it ends. */
  dataEnd = 0;
  /** Where to go on in the bytes of the last `feed()`. */
  consumed = 0;
  /** Bytes of the decoded body so far. */
  received = 0;
  /** Why the body was refused, in English, for logs; '' if it was not. */
  reason = '';

  readonly #maxBodySize: number;
  readonly #maxChunkLineSize: number;
  readonly #maxExtensionsSize: number;
  readonly #trailers: TrailerReader;
  #state: State = State.COMPLETE;
  #status = 0;
  #chunked = false;
  /** Bytes that are missing of the body, or of the chunk. */
  #left = 0;
  #lineSize = 0;
  #extensionsSize = 0;

  constructor(limits: BodyLimits = {}) {
    this.#maxBodySize = limits.maxBodySize ?? Number.POSITIVE_INFINITY;
    this.#maxChunkLineSize = limits.maxChunkLineSize ?? 64;
    this.#maxExtensionsSize = limits.maxExtensionsSize ?? 1024;
    this.#trailers = new TrailerReader(limits.maxTrailersSize ?? 4096);
  }

  /** Whether the whole body was read. */
  get isComplete(): boolean {
    return this.#state === State.COMPLETE;
  }

  /** Bytes of the body that are yet to come; -1 when that is not known, as in a chunked body before its end. */
  get remaining(): number {
    if (this.#state === State.COMPLETE) return 0;
    return this.#chunked ? -1 : this.#left;
  }

  /**
   * Begins the body that a valid head announces. Returns 0, or 413 when its length is over the limit.
   *
   * @param contentLength bytes; 0 or less for none. Not looked at when `chunked`
   */
  start(contentLength: number, chunked: boolean): number {
    this.dataStart = 0;
    this.dataEnd = 0;
    this.consumed = 0;
    this.received = 0;
    this.reason = '';
    this.#status = 0;
    this.#chunked = chunked;
    this.#left = 0;
    this.#extensionsSize = 0;
    if (chunked) {
      this.#beginChunk();
      this.#trailers.reset();
    } else if (contentLength > this.#maxBodySize) {
      this.#fail(0, 413, 'the body is too long');
    } else {
      this.#left = Math.max(0, contentLength);
      this.#state = this.#left === 0 ? State.COMPLETE : State.SIZED;
    }
    return this.#status;
  }

  /**
   * Takes in bytes of `bytes[start, end)` up to the end of one slice of data. Returns `BodyStatus.INCOMPLETE`, `DATA` or
   * `COMPLETE`, or the status to answer before closing the connection. After a failure, or when the body is
   * complete, nothing more is taken in until `start()`.
   */
  feed(bytes: Uint8Array, start: number, end: number): number {
    this.dataStart = start;
    this.dataEnd = start;
    this.consumed = start;
    if (this.#state === State.SIZED) return this.#sized(start, end);
    let i = start;
    if (this.#state !== State.DATA) i = this.#lines(bytes, start, end);
    if (this.#state === State.TRAILERS) i = this.#readTrailers(bytes, i, end);
    if (this.#state === State.DATA && i < end) return this.#chunkData(i, end);
    this.consumed = i;
    if (this.#state === State.COMPLETE) {
      this.dataStart = i;
      this.dataEnd = i;
      return BodyStatus.COMPLETE;
    }
    return this.#state === State.FAILED ? this.#status : BodyStatus.INCOMPLETE;
  }

  #sized(start: number, end: number): number {
    if (start === end) return BodyStatus.INCOMPLETE;
    this.#take(start, end);
    if (this.#left > 0) return BodyStatus.DATA;
    this.#state = State.COMPLETE;
    return BodyStatus.COMPLETE;
  }

  #chunkData(start: number, end: number): number {
    this.#take(start, end);
    if (this.#left === 0) this.#state = State.DATA_CR;
    return BodyStatus.DATA;
  }

  #take(start: number, end: number): void {
    const size = Math.min(end - start, this.#left);
    this.#left -= size;
    this.received += size;
    this.dataStart = start;
    this.dataEnd = start + size;
    this.consumed = this.dataEnd;
  }

  #beginChunk(): void {
    this.#state = State.SIZE_START;
    this.#left = 0;
    this.#lineSize = 0;
  }

  /** What stands between the data of chunks, up to the first byte of data or the trailers. */
  #lines(bytes: Uint8Array, from: number, to: number): number {
    let i = from;
    for (; i < to && this.#state < State.TRAILERS && this.#state !== State.DATA; i++) {
      const byte = bytes[i]!;
      if (this.#state <= State.SIZE) this.#size(byte, i);
      else if (this.#state <= State.EXTENSION_END) this.#extension(byte, i);
      else if (this.#state === State.DATA_CR) this.#expect(byte, CR, State.DATA_LF, i);
      else if (byte !== LF) this.#fail(i, 400, 'a line of a chunk does not end in CRLF');
      else if (this.#state === State.DATA_LF) this.#beginChunk();
      else this.#beginData(i);
      if (this.#state === State.FAILED) return i;
    }
    return i;
  }

  #expect(byte: number, expected: number, next: State, i: number): void {
    if (byte === expected) this.#state = next;
    else this.#fail(i, 400, 'the data of a chunk is longer than its size');
  }

  #size(byte: number, i: number): void {
    if (isHexDigit(byte)) {
      this.#left = this.#left * 16 + (byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57);
      this.#state = State.SIZE;
      if (this.#left > Number.MAX_SAFE_INTEGER) this.#fail(i, 400, 'the size of a chunk is too large');
      else this.#countLine(i);
    } else if (this.#state === State.SIZE_START) {
      this.#fail(i, 400, 'the size of a chunk is not a hexadecimal number');
    } else {
      this.#afterPart(byte, i, 'the size of a chunk is not a hexadecimal number');
    }
  }

  /** Behind a size or a whole extension: another one, or the end of the line. */
  #afterPart(byte: number, i: number, reason: string): void {
    if (byte === CR) {
      this.#state = State.SIZE_LF;
    } else if (byte === SEMICOLON) {
      this.#state = State.EXTENSION_NAME_START;
      this.#countExtension(i);
    } else {
      this.#fail(i, 400, reason);
    }
  }

  /** `;name`, `;name=token` or `;name="quoted"` (RFC 9112 §7.1.1), without the "bad" white space. */
  #extension(byte: number, i: number): void {
    const state = this.#state;
    const next = nextOfExtension(state, byte);
    if (next !== State.FAILED) {
      this.#state = next;
      this.#countExtension(i);
    } else if (isWholeExtension(state)) {
      this.#afterPart(byte, i, 'a chunk extension is malformed');
    } else {
      this.#fail(i, 400, 'a chunk extension is malformed');
    }
  }

  #countExtension(i: number): void {
    if (++this.#extensionsSize > this.#maxExtensionsSize) {
      this.#fail(i, 400, 'the chunk extensions are too long');
    } else {
      this.#countLine(i);
    }
  }

  #countLine(i: number): void {
    if (++this.#lineSize > this.#maxChunkLineSize) this.#fail(i, 400, 'the line of a chunk size is too long');
  }

  #beginData(i: number): void {
    if (this.#left === 0) this.#state = State.TRAILERS;
    else if (this.#left > this.#maxBodySize - this.received) this.#fail(i, 413, 'the body is too long');
    else this.#state = State.DATA;
  }

  #readTrailers(bytes: Uint8Array, from: number, to: number): number {
    const trailers = this.#trailers;
    const i = trailers.read(bytes, from, to);
    if (trailers.status !== 0) return this.#fail(i, trailers.status, trailers.reason);
    if (trailers.isComplete) this.#state = State.COMPLETE;
    return i;
  }

  #fail(position: number, status: number, reason: string): number {
    this.#state = State.FAILED;
    this.#status = status;
    this.reason = reason;
    return position;
  }
}

function isWholeExtension(state: State): boolean {
  return state === State.EXTENSION_NAME || state === State.EXTENSION_TOKEN || state === State.EXTENSION_END;
}

/** The state behind a byte within an extension; FAILED when the byte cannot be part of it. */
function nextOfExtension(state: number, byte: number): State {
  switch (state) {
    case State.EXTENSION_NAME_START:
      return TOKEN[byte] === 1 ? State.EXTENSION_NAME : State.FAILED;
    case State.EXTENSION_NAME:
      if (byte === EQUALS) return State.EXTENSION_VALUE_START;
      return TOKEN[byte] === 1 ? State.EXTENSION_NAME : State.FAILED;
    case State.EXTENSION_VALUE_START:
      if (byte === QUOTE) return State.EXTENSION_QUOTED;
      return TOKEN[byte] === 1 ? State.EXTENSION_TOKEN : State.FAILED;
    case State.EXTENSION_TOKEN:
      return TOKEN[byte] === 1 ? State.EXTENSION_TOKEN : State.FAILED;
    case State.EXTENSION_QUOTED:
      if (byte === QUOTE) return State.EXTENSION_END;
      if (byte === BACKSLASH) return State.EXTENSION_ESCAPED;
      return FIELD_VALUE[byte] === 1 ? State.EXTENSION_QUOTED : State.FAILED;
    case State.EXTENSION_ESCAPED:
      return FIELD_VALUE[byte] === 1 ? State.EXTENSION_QUOTED : State.FAILED;
    default:
      return State.FAILED;
  }
}
