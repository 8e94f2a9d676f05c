import { invalidArgument } from '../errors.ts';
import { copyIn, SHORT_COPY } from './copy.ts';
import { MessageHeader, PieceFlag, PieceHeader, RECORD_ALIGNMENT } from './layout.ts';
import {
  firstPieceData,
  furtherPieceData,
  metaAlignment,
  type OutgoingRecord,
  packMeta,
  sequenceHigh,
} from './record.ts';
import type { RingProducer } from './ring-producer.ts';
import { topicByteLength, writeTopic } from './topic-bytes.ts';

/** What became of a message. */
export const WriteStatus = {
  /** All of it is claimed and goes out with the producer's next commit. */
  DONE: 0,
  /** Some pieces are claimed. Commit, and `resume` when there is room again; the body must stay, or `detach`. */
  PARTIAL: 1,
  /** Nothing was claimed: no room, or another message is still PARTIAL. */
  FULL: 2,
  /** It will never fit: the body is longer than `maxBodyLength`, or the name than `maxNameLength`. */
  TOO_BIG: 3,
} as const;

export type WriteStatus = (typeof WriteStatus)[keyof typeof WriteStatus];

const NO_BODY = new Uint8Array(0);

/** Rings smaller than this cannot hold pieces worth the name. */
const MIN_CAPACITY = 1024;

/**
 * Writes messages into a ring as records, in pieces of at most a quarter of the ring, so that the
 * reader can take one while the next is written. Nothing goes out before the producer commits: a batch of
 * messages is published at once. After FULL or PARTIAL: commit, ring the doorbell, try again later.
 */
export class RecordWriter {
  /** The longest body taken, in bytes; below 2 GiB. */
  readonly maxBodyLength: number;
  /** The longest name taken, in bytes of UTF-8: it has to fit the first piece. */
  readonly maxNameLength: number;

  readonly #producer: RingProducer;
  readonly #pieceLength: number;
  /** The message under way in pieces; `#position` is how much of its body is claimed. */
  #body: Uint8Array = NO_BODY;
  #position = 0;
  #meta = 0;
  #sequence = 0;
  #busy = false;

  /** @throws MILLRACE_INVALID_ARGUMENT when the ring is below 1 KiB or the limit is no length */
  constructor(producer: RingProducer, maxBodyLength: number) {
    if (producer.capacity < MIN_CAPACITY) {
      throw invalidArgument(`Records of messages need a ring of ${MIN_CAPACITY} bytes`);
    }
    if (!Number.isInteger(maxBodyLength) || maxBodyLength < 0 || maxBodyLength >= 2 ** 31) {
      throw invalidArgument(`A body's limit cannot be ${maxBodyLength}`);
    }
    this.#producer = producer;
    this.#pieceLength = pieceLengthOf(producer.capacity);
    this.maxBodyLength = maxBodyLength;
    this.maxNameLength = maxNameLengthOf(producer.capacity);
  }

  /** Is a message PARTIAL? Then `resume` comes before the next `write`. */
  get busy(): boolean {
    return this.#busy;
  }

  /** @throws MILLRACE_INVALID_ARGUMENT when the sequence number is not from 0 to 2^53 − 1 */
  write(message: OutgoingRecord): WriteStatus {
    if (this.#busy) return WriteStatus.FULL;
    const { body, sequence } = message;
    if (sequence < 0 || !Number.isSafeInteger(sequence)) {
      throw invalidArgument(`A sequence number cannot be ${sequence}`);
    }
    const nameLength = topicByteLength(message.name);
    if (body.length > this.maxBodyLength || nameLength > this.maxNameLength) return WriteStatus.TOO_BIG;
    // Short bodies are copied through words of the ring, which wants the ring's side aligned.
    const alignment = body.length > SHORT_COPY ? body.byteOffset & (RECORD_ALIGNMENT - 1) : 0;
    const dataStart = firstPieceData(nameLength, alignment);
    const inPiece = Math.min(body.length, this.#pieceLength - dataStart);
    const offset = this.#producer.claim(dataStart + inPiece);
    if (offset < 0) return WriteStatus.FULL;
    const meta = packMeta(message, alignment);
    const last = inPiece === body.length;
    this.#writeFirst(offset, message, nameLength, meta | PieceFlag.FIRST | (last ? PieceFlag.LAST : 0));
    copyIn(body, 0, this.#producer, offset + dataStart, inPiece);
    if (last) return WriteStatus.DONE;
    this.#busy = true;
    this.#body = body;
    this.#position = inPiece;
    this.#meta = meta;
    this.#sequence = sequence;
    return this.resume();
  }

  /** Goes on with a PARTIAL message. DONE when there is none. */
  resume(): WriteStatus {
    while (this.#busy) {
      if (!this.#writeFurther()) return WriteStatus.PARTIAL;
    }
    return WriteStatus.DONE;
  }

  /** Copies what a PARTIAL message's body is still needed for, so that its memory can be used again. */
  detach(): void {
    this.#body = new Uint8Array(this.#body);
  }

  /** Gives a PARTIAL message up: the reader drops and counts what it has of it. */
  abandon(): void {
    this.#busy = false;
    this.#body = NO_BODY;
  }

  #writeFirst(offset: number, message: OutgoingRecord, nameLength: number, meta: number): void {
    const { words, bytes } = this.#producer;
    const header = offset >> 2;
    words[header + MessageHeader.META] = meta;
    words[header + MessageHeader.BODY_LENGTH] = message.body.length;
    words[header + MessageHeader.SEQUENCE_LOW] = message.sequence;
    words[header + MessageHeader.SEQUENCE_HIGH] = sequenceHigh(message.sequence);
    words[header + MessageHeader.NAME_LENGTH] = nameLength;
    words[header + MessageHeader.TAG] = message.tag;
    writeTopic(message.name, bytes, offset + MessageHeader.BYTES);
  }

  #writeFurther(): boolean {
    const producer = this.#producer;
    const remaining = this.#body.length - this.#position;
    const dataStart = furtherPieceData(this.#position, metaAlignment(this.#meta));
    const inPiece = Math.min(remaining, this.#pieceLength - dataStart);
    const offset = producer.claim(dataStart + inPiece);
    if (offset < 0) return false;
    const header = offset >> 2;
    producer.words[header + PieceHeader.META] = this.#meta | (inPiece === remaining ? PieceFlag.LAST : 0);
    producer.words[header + PieceHeader.BODY_OFFSET] = this.#position;
    producer.words[header + PieceHeader.SEQUENCE_LOW] = this.#sequence;
    producer.words[header + PieceHeader.SEQUENCE_HIGH] = sequenceHigh(this.#sequence);
    copyIn(this.#body, this.#position, producer, offset + dataStart, inPiece);
    this.#position += inPiece;
    if (inPiece === remaining) this.abandon();
    return true;
  }
}

function pieceLengthOf(capacity: number): number {
  return (capacity >> 2) - RECORD_ALIGNMENT;
}

/** Bytes of the longest name that a ring of this many bytes takes. */
export function maxNameLengthOf(capacity: number): number {
  return pieceLengthOf(capacity) - MessageHeader.BYTES - RECORD_ALIGNMENT;
}
