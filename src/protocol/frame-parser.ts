import { MASK_BIT, MAX_CONTROL_PAYLOAD, MAX_HEADER_LENGTH } from './frame-header.ts';
import { applyMask, orBytes, rotateMask, wordsOf } from './mask.ts';

/**
 * FrameParser: bytes → frames and pieces of frames, in place.
 *
 *     [room][cut start of a frame, put back in front][        chunk         ]
 *                                                     header payload header pay…
 *                                                            └ unmasked where it lies
 *
 * - A frame that lies whole in the chunk is unmasked there and handed on as (bytes, offset, length).
 * - A header cut by the end of the chunk is kept (at most 13 bytes, for a control frame with its payload at
 *   most 130) and copied in front of the next chunk, so one loop sees it whole.
 * - The payload of a data frame cut by the end of the chunk is handed on in pieces as it arrives; the parser
 *   joins nothing and allocates nothing by declared length.
 *
 * The parser has no state of its own: all that outlives a chunk is in FrameState, so one parser serves all
 * connections with the same rules. Errors become a close code, given once to `onFrameError`.
 */

/** What the parser keeps of a connection between two chunks. */
export class FrameState {
  /** The cut start of a frame, or null. */
  spill: Uint8Array | null = null;
  spillLength = 0;
  /** First header byte (FIN, RSV, opcode) of the data frame whose payload is still arriving. */
  firstByte = 0;
  /** Bytes of that payload still to come; 0: the next byte starts a frame. */
  remaining = 0;
  /** Masking key, rotated for the next byte of that payload. */
  maskKey = 0;
}

/** Receives what the parser finds. A method that returns false ends the parse of this chunk. */
export interface FrameHandler<S extends FrameState> {
  /**
   * The length of a data frame is known; its payload follows. Returns 0 or the close code to fail with
   * (limits and fragmentation are the receiver's to judge, before any payload is taken). Asked again when
   * the chunk ended before the masking key did, so it must not count.
   */
  onFrameHeader(state: S, firstByte: number, length: number): number;
  /** A whole frame; `seen` is the OR of its bytes as applyMask returns it. */
  onFrame(
    state: S,
    bytes: Uint8Array,
    offset: number,
    length: number,
    firstByte: number,
    seen: number,
  ): boolean;
  /** A piece of the payload of a data frame; `last` when it completes the frame. */
  onFramePiece(
    state: S,
    bytes: Uint8Array,
    offset: number,
    length: number,
    firstByte: number,
    last: boolean,
    seen: number,
  ): boolean;
  /** Whether the connection ended between two frames, while others had their turn. */
  hasEnded?(state: S): boolean;
  /** The bytes are not WebSocket. `closeCode` is 1002 or what `onFrameHeader` returned. */
  onFrameError(state: S, closeCode: number): void;
}

export interface FrameRules {
  /** True in the server role: every frame must be masked (RFC 6455 §5.1). False as a client: none may be. */
  readonly expectMasked: boolean;
  /** RSV bits an extension gives a meaning to (RSV1 = 0x40 for permessage-deflate), else 0. */
  readonly allowedRsv: number;
}

/** How many frames may be handled before somebody else gets a turn. */
export interface Pace {
  /** Frames until the first look. */
  readonly stride: number;
  /** Returns how many more frames may be handled before the next look; 0: none for now. */
  look(): number;
}

/** Whatever a chunk holds is handled. */
const NO_PACE: Pace = { stride: 0x3fff_ffff, look: () => 0x3fff_ffff };

/** Room that a chunk should leave in front, so that a cut frame start can be put back without a copy. */
export const FRAME_HEADROOM = MAX_HEADER_LENGTH + MAX_CONTROL_PAYLOAD + 5;

/** Buffers for cut frame starts that are kept for reuse. */
const MAX_SPARE_SPILLS = 1024;

/** `2^32 · 2^21`: an extended length whose upper word reaches this exceeds 2^53-1. */
const UNSAFE_HIGH_WORD = 0x20_0000;

export class FrameParser<S extends FrameState> {
  readonly #handler: FrameHandler<S>;
  readonly #maskLength: number;
  readonly #expectedMaskBit: number;
  readonly #forbiddenRsv: number;
  readonly #spills: Uint8Array[] = [];
  readonly #pace: Pace;

  constructor(rules: FrameRules, handler: FrameHandler<S>, pace: Pace = NO_PACE) {
    this.#handler = handler;
    this.#pace = pace;
    this.#maskLength = rules.expectMasked ? 4 : 0;
    this.#expectedMaskBit = rules.expectMasked ? MASK_BIT : 0;
    this.#forbiddenRsv = 0x70 & ~rules.allowedRsv;
  }

  /**
   * Parses `bytes[start, end)`. The payloads in it are unmasked in place. When `start` is at least
   * {@link FRAME_HEADROOM}, nothing is copied but cut frame starts.
   *
   * Returns `end`, or where it stopped because the pace said so: what is from there on is to come again, as it is.
   */
  parse(state: S, bytes: Uint8Array, start: number, end: number): number {
    let position = start;
    if (state.remaining > 0) {
      position = this.#continuePayload(state, bytes, start, end);
      if (position < 0) return end;
    } else if (state.spillLength > 0) {
      if (state.spillLength > start) return this.#parseJoined(state, bytes, start, end);
      position = this.#restoreSpill(state, bytes, start);
    }
    return this.#parseFrames(state, bytes, position, end);
  }

  /** Drops what is kept of a connection that is over. */
  release(state: S): void {
    this.#returnSpill(state);
    state.remaining = 0;
  }

  #parseFrames(state: S, bytes: Uint8Array, start: number, end: number): number {
    const handler = this.#handler;
    let left = this.#pace.stride;
    const words = wordsOf(bytes);
    const maskLength = this.#maskLength;
    let position = start;
    while (end - position >= 2) {
      const firstByte = bytes[position]!;
      const secondByte = bytes[position + 1]!;
      let length = secondByte & 0x7f;
      let payload = position + 2;
      // Judged on two bytes alone: a forbidden frame is refused before any of it is buffered.
      if (this.#isForbidden(firstByte, secondByte)) {
        handler.onFrameError(state, 1002);
        return end;
      }
      if (length >= 126) {
        payload += length === 126 ? 2 : 8;
        if (payload > end) break;
        length = length === 126 ? readLength16(bytes, position) : readLength64(words, position);
        if (length < 0) {
          handler.onFrameError(state, 1002);
          return end;
        }
      }
      const isData = (firstByte & 8) === 0;
      if (isData) {
        const closeCode = handler.onFrameHeader(state, firstByte, length);
        if (closeCode !== 0) {
          handler.onFrameError(state, closeCode);
          return end;
        }
      }
      payload += maskLength;
      if (payload > end) break;
      const next = payload + length;
      if (next > end) {
        if (isData) {
          this.#startPayload(state, bytes, words, payload, end, firstByte, length);
          return end;
        }
        break;
      }
      const seen =
        maskLength === 0
          ? orBytes(bytes, words, payload, length)
          : applyMask(bytes, words, payload, length, words.getInt32(payload - 4, true));
      position = next;
      if (!handler.onFrame(state, bytes, payload, length, firstByte, seen)) return end;
      if (--left === 0) {
        left = this.#look(state);
        if (left <= 0) return left === 0 ? position : end;
      }
    }
    if (position < end) this.#keepSpill(state, bytes, position, end);
    return end;
  }

  /** How many frames are handled before the next look; 0: none for now; -1: none ever. */
  #look(state: S): number {
    const left = this.#pace.look();
    return this.#handler.hasEnded?.(state) === true ? -1 : left;
  }

  /** RFC 6455 §5.2 and §5.5: reserved bits and opcodes, mask bit, control frames whole and short. */
  #isForbidden(firstByte: number, secondByte: number): boolean {
    if ((secondByte & MASK_BIT) !== this.#expectedMaskBit) return true;
    if ((firstByte & this.#forbiddenRsv) !== 0) return true;
    const opcode = firstByte & 0x0f;
    return opcode > 2 && isForbiddenControl(opcode, firstByte, secondByte);
  }

  #startPayload(
    state: S,
    bytes: Uint8Array,
    words: DataView,
    payload: number,
    end: number,
    firstByte: number,
    length: number,
  ): void {
    const available = end - payload;
    const key = this.#maskLength === 0 ? 0 : words.getInt32(payload - 4, true);
    state.firstByte = firstByte;
    state.remaining = length - available;
    state.maskKey = rotateMask(key, available);
    if (available === 0) return;
    const seen = applyMask(bytes, words, payload, available, key);
    this.#handler.onFramePiece(state, bytes, payload, available, firstByte, false, seen);
  }

  /** Returns the position after the piece, or -1 when the parse is over. */
  #continuePayload(state: S, bytes: Uint8Array, start: number, end: number): number {
    const length = Math.min(state.remaining, end - start);
    if (length === 0) return -1;
    const seen = applyMask(bytes, wordsOf(bytes), start, length, state.maskKey);
    state.remaining -= length;
    state.maskKey = rotateMask(state.maskKey, length);
    const last = state.remaining === 0;
    const goOn = this.#handler.onFramePiece(state, bytes, start, length, state.firstByte, last, seen);
    return goOn && last ? start + length : -1;
  }

  #keepSpill(state: S, bytes: Uint8Array, start: number, end: number): void {
    const spill = state.spill ?? this.#spills.pop() ?? new Uint8Array(FRAME_HEADROOM);
    for (let i = start; i < end; i++) spill[i - start] = bytes[i]!;
    state.spill = spill;
    state.spillLength = end - start;
  }

  #restoreSpill(state: S, bytes: Uint8Array, start: number): number {
    const spill = state.spill!;
    const position = start - state.spillLength;
    for (let i = position; i < start; i++) bytes[i] = spill[i - position]!;
    this.#returnSpill(state);
    return position;
  }

  #returnSpill(state: S): void {
    if (state.spill !== null && this.#spills.length < MAX_SPARE_SPILLS) this.#spills.push(state.spill);
    state.spill = null;
    state.spillLength = 0;
  }

  /** The chunk has no headroom: join the two in new memory (never so inside the engine). */
  #parseJoined(state: S, bytes: Uint8Array, start: number, end: number): number {
    const kept = state.spillLength;
    const joined = new Uint8Array(kept + end - start);
    joined.set(state.spill!.subarray(0, kept), 0);
    joined.set(bytes.subarray(start, end), kept);
    this.release(state);
    // It stops behind a frame, the first of which has the kept bytes.
    return start - kept + this.#parseFrames(state, joined, 0, joined.length);
  }
}

/** Of a frame without payload data. RSV bits have no meaning on control frames in any known extension (RFC 7692 §6). */
function isForbiddenControl(opcode: number, firstByte: number, secondByte: number): boolean {
  return (
    opcode < 8 || opcode > 10 || (firstByte & 0xf0) !== 0x80 || (secondByte & 0x7f) > MAX_CONTROL_PAYLOAD
  );
}

/** The 16-bit length of the frame at `position`, or -1 when the short form would do (RFC 6455 §5.2: minimal). */
function readLength16(bytes: Uint8Array, position: number): number {
  const length = (bytes[position + 2]! << 8) | bytes[position + 3]!;
  return length < 126 ? -1 : length;
}

/**
 * The 64-bit length of the frame at `position`, or -1 when its highest bit is set or a shorter form would do
 * (RFC 6455 §5.2). Above 2^53-1 the value is Infinity: larger than any limit, and no arithmetic can wrap.
 */
function readLength64(words: DataView, position: number): number {
  const high = words.getUint32(position + 2);
  if (high >= 0x8000_0000) return -1;
  if (high >= UNSAFE_HIGH_WORD) return Number.POSITIVE_INFINITY;
  const length = high * 0x1_0000_0000 + words.getUint32(position + 6);
  return length < 65536 ? -1 : length;
}
