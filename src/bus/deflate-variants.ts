import { allocate } from '../net/write-memory.ts';
import { ROUTE_LIMITS } from '../options/route-options.ts';
import { FIN, headerLength, RSV1, writeHeader } from '../protocol/frame-header.ts';
import { type DeflatePort, deflateForMany } from '../protocol/message-deflate.ts';
import { MAX_WINDOW_BITS } from '../protocol/permessage-deflate.ts';

/** Frames up to this, plain and compressed together, are put into memory that is used again. */
const SCRATCH_SIZE = 64 * 1024;

/**
 * DeflateVariants: published messages for sockets that agreed on permessage-deflate. A message is compressed once, so
 * that it refers to nothing but itself, and all of them get the same bytes. Only one that is longer than the window
 * of some sockets is compressed again for them.
 */
export class DeflateVariants {
  /** Bytes a message must have to be compressed. */
  threshold: number = ROUTE_LIMITS.compressionThreshold.default;
  /** Some route of this thread compresses, so that other shards, which have the same routes, do too. */
  isEnabled = false;
  /** Window bits of the open sockets that compress, each once, in ascending order. */
  used: readonly number[] = [];
  readonly #port: DeflatePort;
  readonly #counts = new Uint32Array(MAX_WINDOW_BITS + 1);
  #scratch: Uint8Array | null = null;

  constructor(port: DeflatePort) {
    this.#port = port;
  }

  /** A socket opened that agreed on a window of 2^bits bytes for what it is sent. */
  add(bits: number): void {
    if (this.#counts[bits]!++ === 0) this.#refresh();
  }

  /** That socket closed. */
  remove(bits: number): void {
    if (--this.#counts[bits]! === 0) this.#refresh();
  }

  /**
   * Returns `frame` with a compressed one behind it, that all sockets can be sent whose window it `fits`; null:
   * the message becomes no shorter.
   *
   * @param isStable the result is not changed by the next call
   */
  pair(frame: Uint8Array, payload: Uint8Array, opcode: number, isStable: boolean): Uint8Array | null {
    const deflated = deflateForMany(this.#port, MAX_WINDOW_BITS, payload);
    if (deflated === null) return null;
    const size = frame.length + headerLength(deflated.length, false) + deflated.length;
    const pair = isStable || size > SCRATCH_SIZE ? allocate(size) : this.#scratchOf(size);
    pair.set(frame);
    writeFrame(pair, frame.length, opcode, deflated);
    return pair;
  }

  /** A compressed frame for sockets with a window of 2^bits bytes, or null: the message becomes no shorter. */
  frameFor(bits: number, payload: Uint8Array, opcode: number): Uint8Array | null {
    const deflated = deflateForMany(this.#port, bits, payload);
    if (deflated === null) return null;
    const frame = allocate(headerLength(deflated.length, false) + deflated.length);
    writeFrame(frame, 0, opcode, deflated);
    return frame;
  }

  #scratchOf(size: number): Uint8Array {
    this.#scratch ??= allocate(SCRATCH_SIZE);
    return this.#scratch.subarray(0, size);
  }

  #refresh(): void {
    this.used = Array.from(this.#counts.keys()).filter((bits) => this.#counts[bits]! > 0);
  }
}

/** Whether a message that refers to nothing but itself suits a window of 2^bits bytes, however it was compressed. */
export function fits(length: number, bits: number): boolean {
  return bits === MAX_WINDOW_BITS || length <= 1 << bits;
}

/** Bytes of the header of the unmasked frame that starts at `position`. */
export function frameHeaderLength(bytes: Uint8Array, position: number): number {
  const short = bytes[position + 1]!;
  if (short < 126) return 2;
  return short === 126 ? 4 : 10;
}

/** Bytes of the unmasked frame that starts at `position`. */
export function frameLengthAt(bytes: Uint8Array, position: number): number {
  const header = frameHeaderLength(bytes, position);
  if (header === 2) return 2 + bytes[position + 1]!;
  let length = 0;
  for (let i = position + 2; i < position + header; i++) length = length * 256 + bytes[i]!;
  return header + length;
}

function writeFrame(out: Uint8Array, position: number, opcode: number, payload: Uint8Array): void {
  out.set(payload, writeHeader(out, position, FIN | RSV1 | opcode, payload.length));
}
