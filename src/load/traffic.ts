import { FIN, headerLength, RSV1, writeHeader, writeMaskedHeader } from '../protocol/frame-header.ts';
import { applyMask, wordsOf } from '../protocol/mask.ts';
import { Opcode } from '../protocol/opcode.ts';
import { compressedPayload } from './zlib-port.ts';

/** A write holds about so many bytes at most, unless one frame is longer. */
const LARGEST_WRITE = 64 * 1024;
/** Bytes of replies that are compared at once at most, unless one reply is longer. */
const LARGEST_COMPARISON = 256 * 1024;

/**
 * EchoTraffic: what a connection sends and must get back, framed before the clock starts.
 *
 *     requests   masked frames of message 0, 1, … period-1, 0, 1, …   as many as one write may take from any place on
 *     replies    the same messages as a server frames them, for comparison with whole chunks of what arrives
 *
 * The masking keys are the same each time: they protect proxies from scripts (RFC 6455 §10.3), and nobody's script is
 * here.
 */
export class EchoTraffic {
  readonly payloads: readonly Uint8Array[];
  /** Messages until they repeat. */
  readonly period: number;
  readonly opcode: number;
  /** Bytes of a reply, header included. */
  readonly replyLength: number;
  /** One period of replies and, behind it, as much as a chunk from any place on may hold. */
  readonly replies: Buffer;
  /** Messages that one write takes at most. */
  readonly batch: number;
  readonly #requests: Buffer;
  /** Where each request begins, and where the last one ends. */
  readonly #starts: readonly number[];
  readonly #views: (Buffer | undefined)[];

  /**
   * @param payloads of one length
   * @param inFlight messages a connection has on their way at most
   * @param deflate send them compressed, where that makes them shorter
   */
  constructor(payloads: readonly Uint8Array[], binary: boolean, inFlight: number, deflate = false) {
    const { length } = payloads[0]!;
    this.payloads = payloads;
    this.period = payloads.length;
    this.opcode = binary ? Opcode.BINARY : Opcode.TEXT;
    this.replyLength = headerLength(length, false) + length;
    const sent = payloads.map((payload) => (deflate ? compressedPayload(payload) : null));
    const lengths = payloads.map((payload, i) => frameLength((sent[i] ?? payload).length));
    this.batch = Math.max(1, Math.min(inFlight, Math.floor(LARGEST_WRITE / Math.max(...lengths))));
    const starts = [0];
    for (let i = 0; i < this.period + this.batch - 1; i++)
      starts.push(starts[i]! + lengths[i % this.period]!);
    this.#starts = starts;
    this.#requests = Buffer.alloc(starts.at(-1)!);
    for (let i = 0; i < this.period + this.batch - 1; i++) this.#writeRequest(i, sent[i % this.period]!);
    this.#views = new Array<Buffer | undefined>(this.period * this.batch);
    const compared = Math.max(1, Math.min(inFlight, Math.floor(LARGEST_COMPARISON / this.replyLength)));
    this.replies = Buffer.alloc((this.period + compared) * this.replyLength);
    for (let i = 0; i < this.period + compared; i++) this.#writeReply(i);
  }

  /**
   * The bytes of `count` messages, at most `batch`, from the one at place `first` of the period on. The same object
   * for the same arguments.
   */
  requests(first: number, count: number): Buffer {
    const key = first * this.batch + count - 1;
    const known = this.#views[key];
    if (known !== undefined) return known;
    const view = this.#requests.subarray(this.#starts[first], this.#starts[first + count]);
    this.#views[key] = view;
    return view;
  }

  /** All requests there are, for who sends and does not care for replies: one period of messages at least. */
  get burst(): Buffer {
    return this.#requests;
  }

  /** Whether the bytes are the next ones of the replies, from byte `offset` of the reply at place `first` on. */
  continuesReplies(first: number, offset: number, bytes: Uint8Array, start: number, end: number): boolean {
    const at = first * this.replyLength + offset;
    const atEnd = at + end - start;
    return atEnd <= this.replies.length && this.replies.compare(bytes, start, end, at, atEnd) === 0;
  }

  /** Whether the bytes are the payload at place `index` of the period. */
  isPayload(index: number, bytes: Uint8Array, offset: number, length: number): boolean {
    const payload = this.payloads[index]!;
    if (length !== payload.length) return false;
    // Bytes 0 to headerLength of a reply are its header.
    const at = (index + 1) * this.replyLength - length;
    return this.replies.compare(bytes, offset, offset + length, at, at + length) === 0;
  }

  /** @param compressed null: it is sent as it is */
  #writeRequest(index: number, compressed: Uint8Array | null): void {
    const out = this.#requests;
    const payload = compressed ?? this.payloads[index % this.period]!;
    const firstByte = FIN | this.opcode | (compressed === null ? 0 : RSV1);
    const key = Math.imul((index % this.period) + 1, 0x9e37_79b9);
    const start = writeMaskedHeader(out, this.#starts[index]!, firstByte, payload.length, key);
    out.set(payload, start);
    applyMask(out, wordsOf(out), start, payload.length, key);
  }

  #writeReply(index: number): void {
    const payload = this.payloads[index % this.period]!;
    const start = writeHeader(this.replies, index * this.replyLength, FIN | this.opcode, payload.length);
    this.replies.set(payload, start);
  }
}

/** Of a masked frame. */
function frameLength(payloadLength: number): number {
  return headerLength(payloadLength, true) + payloadLength;
}
