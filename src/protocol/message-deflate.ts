/**
 * Messages through DEFLATE (RFC 7692 §7.2): what permessage-deflate does with them once it is agreed.
 *
 *     out   payload ─▶ Deflater ─▶ …00 00 ff ff, of which a message's last four bytes are left out ─▶ frames, RSV1
 *     in    RSV1, payload + 00 00 ff ff ─▶ Inflater ─▶ memory of a pool, at most maxPayloadLength + 1 bytes
 *
 * An end that keeps no history needs no context of its own: all such connections of a thread share one.
 */
import type { BufferPool } from './buffer-pool.ts';
import type { DeflateParams } from './permessage-deflate.ts';
import type { Role } from './sender.ts';

/** A raw DEFLATE compressor (RFC 1951). */
export interface Deflater {
  /**
   * Compresses `input`, which is not empty, up to a byte boundary. The result ends with 00 00 ff ff, and is valid
   * until the next call of any deflater of the thread.
   *
   * @param keepsHistory false: what comes next will not refer to this, nor to anything before
   */
  deflate(input: Uint8Array, keepsHistory: boolean): Uint8Array;
  /** Forgets its history. */
  reset(): void;
}

/** A raw DEFLATE decompressor. */
export interface Inflater {
  /** Bytes of the input that the last call did not take. */
  readonly rest: number;
  /**
   * Decompresses `bytes[start, end)` into `out[position, limit)`. Returns how many bytes it wrote, or -1: the
   * data are damaged. It stops when the room is used up, when the input is, or behind a final block.
   *
   * @param mustEnd a stream that goes on behind the input is damaged, unless the room is used up
   */
  inflate(
    bytes: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
    position: number,
    limit: number,
    mustEnd: boolean,
  ): number;
  /** Starts a new stream, without history. */
  reset(): void;
}

/** The contexts of one thread. */
export interface DeflatePort {
  /** The compressor shared by all that keep no history, with a window of at most 2^windowBits bytes. */
  sharedDeflater(windowBits: number): Deflater;
  sharedInflater(): Inflater;
  /** A context for one connection, without history. */
  takeDeflater(windowBits: number, memLevel: number): Deflater;
  takeInflater(windowBits: number): Inflater;
  /** The connection is over. */
  giveDeflater(deflater: Deflater): void;
  giveInflater(inflater: Inflater): void;
}

/** RFC 7692 §7.2.1: the end of every message, which is not sent. */
const TAIL_LENGTH = 4;
/** The tail and an empty final block: behind a whole message they end the stream, behind a cut one they do not. */
const TAIL_AND_END = Uint8Array.of(0, 0, 0xff, 0xff, 3, 0);
/** The tail and another empty block: behind a whole message they make no output, behind most cut ones they do. */
const TAIL_AND_BLOCK = Uint8Array.of(0, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0xff);
/** What is left of an empty block without the tail. */
const EMPTY_BLOCK = Uint8Array.of(0);
const NO_BYTES = new Uint8Array(0);

/** Final blocks (BFINAL) within a message: each costs a new stream. Nobody sends more than one. */
const MAX_FINAL_BLOCKS = 64;
/** The least room that a message is inflated into first. */
const MIN_ROOM = 4096;

/** What a failed `inflate` returns. */
export const InflateError = { DAMAGED: -1007, TOO_BIG: -1009 } as const;

/**
 * MessageDeflate: compression of one connection, or of all connections that agreed on the same and keep no
 * history in either direction.
 */
export class MessageDeflate {
  /** Its compressed messages refer back by at most 2^n bytes. */
  readonly windowBits: number;
  readonly #port: DeflatePort;
  readonly #memLevel: number;
  readonly #keepsHistory: boolean;
  readonly #keepsPeerHistory: boolean;
  readonly #peerWindowBits: number;
  /** Made for the first message. */
  #deflater: Deflater | null = null;
  #inflater: Inflater | null = null;
  /** The peer's history has messages that this compressor did not make. */
  #isStale = false;

  // Of the call of `inflate` under way.
  #inflated: Uint8Array = NO_BYTES;
  #length = 0;
  #room = 0;
  #finalBlocks = 0;

  /** @param memLevel memory of its own compressor, as zlib counts it */
  constructor(params: DeflateParams, role: Role, memLevel: number, port: DeflatePort) {
    const isServer = role === 'server';
    this.#port = port;
    this.#memLevel = memLevel;
    this.windowBits = isServer ? params.serverMaxWindowBits : params.clientMaxWindowBits;
    this.#keepsHistory = !(isServer ? params.serverNoContextTakeover : params.clientNoContextTakeover);
    this.#keepsPeerHistory = !(isServer ? params.clientNoContextTakeover : params.serverNoContextTakeover);
    this.#peerWindowBits = isServer ? params.clientMaxWindowBits : params.serverMaxWindowBits;
  }

  /** It holds nothing of a connection, so that many can use it. */
  get isShared(): boolean {
    return !this.#keepsHistory && !this.#keepsPeerHistory;
  }

  /**
   * The payload to send for a whole message, valid until the next call of any MessageDeflate of the thread, or
   * null: it is not shorter for it, and is to be sent as it is.
   */
  deflate(payload: Uint8Array): Uint8Array | null {
    if (payload.length === 0) return null;
    const bytes = this.#deflate(payload);
    const length = bytes.length - TAIL_LENGTH;
    // With history it must be sent: it is part of that history now.
    if (length >= payload.length && !this.#keepsHistory) return null;
    return bytes.subarray(0, length);
  }

  /** The same for a fragment of a message that is sent compressed. */
  deflateFragment(payload: Uint8Array, isLast: boolean): Uint8Array {
    if (payload.length === 0) return isLast ? EMPTY_BLOCK : NO_BYTES;
    const bytes = this.#deflate(payload);
    return isLast ? bytes.subarray(0, bytes.length - TAIL_LENGTH) : bytes;
  }

  /** The peer was sent a compressed message that was made elsewhere: what comes next must not refer back. */
  noteForeign(): void {
    this.#isStale = this.#keepsHistory;
  }

  /**
   * Decompresses a message and returns its length, or an InflateError. Unless it is one, `takeInflated` must come
   * next. The bytes behind the message are written to and restored.
   */
  inflate(bytes: Uint8Array, offset: number, length: number, maxLength: number, pool: BufferPool): number {
    this.#finalBlocks = 0;
    this.#length = 0;
    // Not a compressed message to the letter, but an empty one to everybody.
    if (length === 0) {
      this.#inflated = pool.take(0);
      return 0;
    }
    this.#inflated = pool.take(Math.min(Math.max(length * 4, MIN_ROOM), maxLength + 1));
    this.#room = Math.min(this.#inflated.length, maxLength + 1);
    const error = this.#keepsPeerHistory
      ? this.#inflateWithHistory(bytes, offset, offset + length, maxLength, pool)
      : this.#inflateAlone(bytes, offset, offset + length, maxLength, pool);
    if (error === 0) return this.#length;
    pool.give(this.#inflated);
    this.#inflated = NO_BYTES;
    return error;
  }

  /** The memory with the message that was inflated last, which the caller must give back to the pool. */
  takeInflated(): Uint8Array {
    const inflated = this.#inflated;
    // An idle connection must not hold its last message.
    this.#inflated = NO_BYTES;
    return inflated;
  }

  /** The connection is over: gives its contexts back. */
  release(): void {
    if (this.#deflater !== null) this.#port.giveDeflater(this.#deflater);
    if (this.#inflater !== null) this.#port.giveInflater(this.#inflater);
    this.#deflater = null;
    this.#inflater = null;
  }

  #deflate(payload: Uint8Array): Uint8Array {
    if (!this.#keepsHistory) return deflateAlone(this.#port, this.windowBits, payload);
    this.#deflater ??= this.#port.takeDeflater(this.windowBits, this.#memLevel);
    if (this.#isStale) {
      this.#isStale = false;
      this.#deflater.reset();
    }
    return this.#deflater.deflate(payload, true);
  }

  #inflateAlone(bytes: Uint8Array, start: number, end: number, max: number, pool: BufferPool): number {
    const inflater = this.#port.sharedInflater();
    const behind = end + TAIL_AND_END.length;
    let error: number;
    if (behind <= bytes.length) {
      saveAndReplace(bytes, end);
      error = this.#feed(inflater, bytes, start, behind, TAIL_AND_END.length, true, max, pool);
      restore(bytes, end);
    } else {
      error = this.#feed(inflater, bytes, start, end, 0, false, max, pool);
      if (error === 0) error = this.#feed(inflater, TAIL_AND_END, 0, TAIL_AND_END.length, 6, true, max, pool);
    }
    // Always: the next message is of another connection.
    inflater.reset();
    return error;
  }

  #inflateWithHistory(bytes: Uint8Array, start: number, end: number, max: number, pool: BufferPool): number {
    const inflater = (this.#inflater ??= this.#port.takeInflater(this.#peerWindowBits));
    const error = this.#feed(inflater, bytes, start, end, 0, false, max, pool);
    if (error !== 0) return error;
    const length = this.#length;
    const tail = TAIL_AND_BLOCK.length;
    const tailError = this.#feed(inflater, TAIL_AND_BLOCK, 0, tail, tail, false, max, pool);
    if (tailError !== 0) return tailError;
    return this.#length === length ? 0 : InflateError.DAMAGED;
  }

  /**
   * Decompresses `bytes[start, end)`, of which the last `tail` bytes are ours: a stream that ends before them was
   * ended by the peer, as RFC 7692 §7.2.3.4 allows, and they are not needed.
   */
  #feed(
    inflater: Inflater,
    bytes: Uint8Array,
    start: number,
    end: number,
    tail: number,
    mustEnd: boolean,
    maxLength: number,
    pool: BufferPool,
  ): number {
    let position = start;
    for (;;) {
      if (this.#length === this.#room) this.#grow(maxLength, pool);
      const count = inflater.inflate(bytes, position, end, this.#inflated, this.#length, this.#room, mustEnd);
      if (count < 0) return InflateError.DAMAGED;
      this.#length += count;
      position = end - inflater.rest;
      if (this.#length > maxLength) return InflateError.TOO_BIG;
      if (this.#length === this.#room) continue;
      if (position === end) return 0;
      // A final block. Our tail is not needed then, but it must not have been taken for a part of the message.
      if (end - position < tail || ++this.#finalBlocks > MAX_FINAL_BLOCKS) return InflateError.DAMAGED;
      inflater.reset();
      if (end - position === tail) return 0;
    }
  }

  #grow(maxLength: number, pool: BufferPool): void {
    const grown = pool.take(Math.min(2 * this.#inflated.length, maxLength + 1));
    grown.set(this.#inflated.subarray(0, this.#length), 0);
    pool.give(this.#inflated);
    this.#inflated = grown;
    this.#room = Math.min(grown.length, maxLength + 1);
  }
}

/** Compresses so that nothing is referred to but `payload` itself, by at most 2^windowBits bytes. */
function deflateAlone(port: DeflatePort, windowBits: number, payload: Uint8Array): Uint8Array {
  // A message no longer than the window cannot refer back any further.
  const needed = payload.length <= 1 << windowBits ? 15 : windowBits;
  return port.sharedDeflater(needed).deflate(payload, false);
}

/**
 * A whole message compressed for every connection whose window is at least 2^windowBits bytes, or null: it is not
 * shorter for it. Valid until the next call of any deflater of the thread.
 */
export function deflateForMany(
  port: DeflatePort,
  windowBits: number,
  payload: Uint8Array,
): Uint8Array | null {
  if (payload.length === 0) return null;
  const bytes = deflateAlone(port, windowBits, payload);
  const length = bytes.length - TAIL_LENGTH;
  return length < payload.length ? bytes.subarray(0, length) : null;
}

const saved = new Uint8Array(TAIL_AND_END.length);

function saveAndReplace(bytes: Uint8Array, position: number): void {
  for (let i = 0; i < saved.length; i++) {
    saved[i] = bytes[position + i]!;
    bytes[position + i] = TAIL_AND_END[i]!;
  }
}

function restore(bytes: Uint8Array, position: number): void {
  for (let i = 0; i < saved.length; i++) bytes[position + i] = saved[i]!;
}
