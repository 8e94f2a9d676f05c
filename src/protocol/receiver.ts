import type { BufferPool } from './buffer-pool.ts';
import { FIN, RSV1 } from './frame-header.ts';
import { type FrameHandler, FrameState } from './frame-parser.ts';
import { NON_ASCII } from './mask.ts';
import type { MessageDeflate } from './message-deflate.ts';
import { Opcode } from './opcode.ts';
import { UTF8_ACCEPT, UTF8_REJECT, type Utf8Port, validateUtf8Fast } from './utf8.ts';

/**
 * Receiver: frames and pieces → messages (RFC 6455 §5.4, §8.1).
 *
 * A message that came as one whole frame goes on where it lies. Any other is joined in one buffer from the
 * pool, which grows with what arrived, never with what was declared. Text is validated as it arrives, so a
 * bad byte fails the connection before the rest of the message is sent. A compressed message (RSV1, which the
 * parser lets pass only where permessage-deflate is agreed) is decompressed when it is whole.
 */

/** A message that does not come as one whole frame. */
export class PartialMessage {
  opcode = 0;
  /** RSV1 of its first frame. */
  rsv1 = false;
  /** Bytes of it so far. */
  length = 0;
  /** Frames of it that are complete. */
  fragments = 0;
  utf8 = UTF8_ACCEPT as number;
  joined: Uint8Array | null = null;
}

/** Stands for no message; nothing is written to it. */
const NO_MESSAGE = new PartialMessage();

/** What the receiver keeps of a connection between two frames. */
export class ReceiverState extends FrameState {
  /** The message that is being joined, lent by the receiver; its opcode is 0: there is none. */
  message: PartialMessage = NO_MESSAGE;
  /** What permessage-deflate was agreed on; null: it was not. */
  deflate: MessageDeflate | null = null;
}

/** Receives messages and control frames. A method that returns false ends the parse of this chunk. */
export interface MessageHandler<S extends ReceiverState> {
  /** A whole message. The memory is valid during the call only. `opcode` is TEXT or BINARY. */
  onMessage(state: S, bytes: Uint8Array, offset: number, length: number, opcode: number): boolean;
  /** A whole control frame, valid as RFC 6455 §5.5 demands. `opcode` is CLOSE, PING or PONG. */
  onControl(state: S, bytes: Uint8Array, offset: number, length: number, opcode: number): boolean;
  /**
   * The peer broke a rule; `closeCode` says which kind (1002, 1007, 1008, 1009). Called once.
   *
   * @param isInflation it became apparent when a message was decompressed
   */
  onReceiveError(state: S, closeCode: number, isInflation?: boolean): void;
  /** Whether the connection ended between two frames. */
  hasEnded?(state: S): boolean;
}

export interface ReceiverLimits {
  /** Bytes a message may have; more fails with 1009. */
  readonly maxPayloadLength: number;
  /** Frames a message may have; more fails with 1008. */
  readonly maxFragments: number;
}

/** A declared length is believed up to this many times what arrived of it. */
const GROWTH = 4;

/** The first size of a buffer that joins a message. */
const FIRST_JOIN_SIZE = 1024;

/** Partial messages kept for reuse. */
const MAX_SPARE_MESSAGES = 1024;

/** Bytes that a fragment adds to a compressed message: what is left of two blocks, and the flush. */
const MAX_FLUSH = 16;

/** What all fragments of a message may add so, if that is more than the message may have bytes. */
const LEAST_FLUSHES = 4096;

const { CONTINUATION, TEXT, BINARY } = Opcode;
const HIGH_BITS = NON_ASCII;

/** First bytes of messages that are one frame and not compressed. */
const WHOLE_TEXT = FIN | TEXT;
const WHOLE_BINARY = FIN | BINARY;

export class Receiver<S extends ReceiverState> implements FrameHandler<S> {
  readonly #limits: ReceiverLimits;
  readonly #maxLength: number;
  readonly #handler: MessageHandler<S>;
  readonly #pool: BufferPool;
  readonly #utf8: Utf8Port;
  readonly #maxCompressed: number;
  readonly #maxFlushes: number;
  readonly #spareMessages: PartialMessage[] = [];

  constructor(limits: ReceiverLimits, handler: MessageHandler<S>, pool: BufferPool, utf8: Utf8Port) {
    this.#limits = limits;
    this.#maxLength = limits.maxPayloadLength;
    this.#handler = handler;
    this.#pool = pool;
    this.#utf8 = utf8;
    // Data that cannot be compressed grow a little, with a bad compressor by an eighth.
    this.#maxCompressed = limits.maxPayloadLength + Math.floor(limits.maxPayloadLength / 8) + 64;
    this.#maxFlushes = Math.max(limits.maxPayloadLength, LEAST_FLUSHES);
  }

  onFrameHeader(state: S, firstByte: number, length: number): number {
    if (state.message === NO_MESSAGE && length <= this.#maxLength && (firstByte & 0x0f) !== CONTINUATION) {
      return 0;
    }
    return this.#judge(state.message, firstByte, length);
  }

  #judge(message: PartialMessage, firstByte: number, length: number): number {
    const isStart = (firstByte & 0x0f) !== CONTINUATION;
    // RFC 6455 §5.4: a continuation needs a started message, and no other may start inside it.
    if (isStart !== (message.opcode === 0)) return 1002;
    if (!isStart && (firstByte & RSV1) !== 0) return 1002;
    // Subtraction, not addition: the sum of a declared length cannot wrap or lose precision.
    if (length > this.#limits.maxPayloadLength - message.length) {
      const isCompressed = isStart ? (firstByte & RSV1) !== 0 : message.rsv1;
      if (!isCompressed || length > this.#mostCompressed(message) - message.length) return 1009;
    }
    return message.fragments >= this.#limits.maxFragments ? 1008 : 0;
  }

  /** Bytes that a compressed message of so many fragments may have, which are held until it is whole. */
  #mostCompressed({ fragments }: PartialMessage): number {
    return this.#maxCompressed + Math.min(fragments * MAX_FLUSH, this.#maxFlushes);
  }

  onFrame(
    state: S,
    bytes: Uint8Array,
    offset: number,
    length: number,
    firstByte: number,
    seen: number,
  ): boolean {
    // Neither a fragment nor compressed is most of what comes, and what is text is mostly ASCII.
    const isPlain = firstByte === WHOLE_BINARY || (firstByte === WHOLE_TEXT && (seen & HIGH_BITS) === 0);
    if (isPlain) return this.#handler.onMessage(state, bytes, offset, length, firstByte & 0x0f);
    return this.#onOtherFrame(state, bytes, offset, length, firstByte, seen);
  }

  #onOtherFrame(
    state: S,
    bytes: Uint8Array,
    offset: number,
    length: number,
    firstByte: number,
    seen: number,
  ): boolean {
    const opcode = firstByte & 0x0f;
    if (opcode >= 8) return this.#handler.onControl(state, bytes, offset, length, opcode);
    if (firstByte === WHOLE_TEXT) {
      if (validateUtf8Fast(this.#utf8, UTF8_ACCEPT, bytes, offset, offset + length) !== UTF8_ACCEPT) {
        this.#handler.onReceiveError(state, 1007);
        return false;
      }
      return this.#handler.onMessage(state, bytes, offset, length, opcode);
    }
    if (state.message === NO_MESSAGE && (firstByte & FIN) !== 0) {
      return this.#inflate(state, bytes, offset, length, opcode);
    }
    return this.onFramePiece(state, bytes, offset, length, firstByte, true, seen);
  }

  onFramePiece(
    state: S,
    bytes: Uint8Array,
    offset: number,
    length: number,
    firstByte: number,
    last: boolean,
    seen: number,
  ): boolean {
    if (state.message.opcode === 0) state.message = this.#startMessage(firstByte);
    const { message } = state;
    const isText = message.opcode === TEXT && !message.rsv1;
    if (isText && !this.#isValidText(message, bytes, offset, length, seen)) {
      this.#handler.onReceiveError(state, 1007);
      return false;
    }
    if (length > 0) this.#join(state, bytes, offset, length);
    if (!last) return true;
    message.fragments++;
    return (firstByte & FIN) === 0 ? true : this.#finishMessage(state);
  }

  hasEnded(state: S): boolean {
    return this.#handler.hasEnded?.(state) === true;
  }

  onFrameError(state: S, closeCode: number): void {
    this.#handler.onReceiveError(state, closeCode);
  }

  /** Drops what is kept of a connection that is over. */
  release(state: S): void {
    if (state.message.joined !== null) this.#pool.give(state.message.joined);
    this.#endMessage(state);
  }

  #startMessage(firstByte: number): PartialMessage {
    const message = this.#spareMessages.pop() ?? new PartialMessage();
    message.opcode = firstByte & 0x0f;
    message.rsv1 = (firstByte & RSV1) !== 0;
    return message;
  }

  #endMessage(state: S): void {
    const { message } = state;
    if (message === NO_MESSAGE) return;
    state.message = NO_MESSAGE;
    message.opcode = 0;
    message.rsv1 = false;
    message.length = 0;
    message.fragments = 0;
    message.utf8 = UTF8_ACCEPT;
    message.joined = null;
    if (this.#spareMessages.length < MAX_SPARE_MESSAGES) this.#spareMessages.push(message);
  }

  #isValidText(
    message: PartialMessage,
    bytes: Uint8Array,
    offset: number,
    length: number,
    seen: number,
  ): boolean {
    if (message.utf8 === UTF8_ACCEPT && (seen & HIGH_BITS) === 0) return true;
    message.utf8 = validateUtf8Fast(this.#utf8, message.utf8, bytes, offset, offset + length);
    return message.utf8 !== UTF8_REJECT;
  }

  #join(state: S, bytes: Uint8Array, offset: number, length: number): void {
    const { message } = state;
    const size = message.length + length;
    let joined = message.joined;
    if (joined === null || joined.length < size) {
      const grown = this.#pool.take(this.#joinSize(state, joined, size));
      if (joined !== null) {
        grown.set(joined.subarray(0, message.length), 0);
        this.#pool.give(joined);
      }
      message.joined = joined = grown;
    }
    if (length <= 32) {
      for (let i = 0; i < length; i++) joined[message.length + i] = bytes[offset + i]!;
    } else {
      joined.set(bytes.subarray(offset, offset + length), message.length);
    }
    message.length = size;
  }

  /**
   * Four times what arrived, if the frame declares as much. At least doubled: joining many fragments would be
   * quadratic otherwise.
   */
  #joinSize(state: S, joined: Uint8Array | null, arrived: number): number {
    const declared = Math.min(arrived + state.remaining, GROWTH * arrived);
    if (joined === null) return Math.max(declared, FIRST_JOIN_SIZE);
    const { message } = state;
    const most = message.rsv1 ? this.#maxCompressed + this.#maxFlushes : this.#limits.maxPayloadLength;
    return Math.max(declared, Math.min(2 * joined.length, most));
  }

  #finishMessage(state: S): boolean {
    const { joined, length, opcode, rsv1, utf8 } = state.message;
    if (utf8 !== UTF8_ACCEPT) {
      this.#handler.onReceiveError(state, 1007);
      return false;
    }
    this.#endMessage(state);
    const bytes = joined ?? NO_BYTES;
    const goOn = rsv1
      ? this.#inflate(state, bytes, 0, length, opcode)
      : this.#handler.onMessage(state, bytes, 0, length, opcode);
    if (joined !== null) this.#pool.give(joined);
    return goOn;
  }

  /** Passes a compressed message on, decompressed. */
  #inflate(state: S, bytes: Uint8Array, offset: number, length: number, opcode: number): boolean {
    const deflate = state.deflate!;
    const { maxPayloadLength } = this.#limits;
    const size = deflate.inflate(bytes, offset, length, maxPayloadLength, this.#pool);
    if (size < 0) {
      this.#handler.onReceiveError(state, -size, true);
      return false;
    }
    // Taken now: the handler may bring another message about.
    const inflated = deflate.takeInflated();
    const isValid =
      opcode !== TEXT || validateUtf8Fast(this.#utf8, UTF8_ACCEPT, inflated, 0, size) === UTF8_ACCEPT;
    if (!isValid) this.#handler.onReceiveError(state, 1007);
    const goOn = isValid && this.#handler.onMessage(state, inflated, 0, size, opcode);
    this.#pool.give(inflated);
    return goOn;
  }
}

const NO_BYTES = new Uint8Array(0);
