import { invalidArgument } from '../errors.ts';
import { copyIn, SHORT_COPY } from './copy.ts';
import { PieceFlag, PieceHeader, PublishHeader, RECORD_ALIGNMENT } from './layout.ts';
import {
  firstPieceData,
  furtherPieceData,
  metaAlignment,
  type PublishMessage,
  packMeta,
  sequenceHigh,
} from './record.ts';
import type { RingProducer } from './ring-producer.ts';
import { topicByteLength, writeTopic } from './topic-bytes.ts';

/** What became of a message. */
export const WriteStatus = {
  /** All of it is claimed and goes out with the producer's next commit. */
  DONE: 0,
  /** Some pieces are claimed. Commit, and `resume` when there is room again; the frame must stay, or `detach`. */
  PARTIAL: 1,
  /** Nothing was claimed: no room, or another message is still PARTIAL. */
  FULL: 2,
  /** It will never fit: the frame is longer than `maxFrameLength`, or the topic than `maxTopicLength`. */
  TOO_BIG: 3,
} as const;

export type WriteStatus = (typeof WriteStatus)[keyof typeof WriteStatus];

const NO_FRAME = new Uint8Array(0);

/** Rings smaller than this cannot hold pieces worth the name. */
const MIN_CAPACITY = 1024;

/**
 * Writes messages into a ring as publish records, in pieces of at most a quarter of the ring, so that the
 * reader can take one while the next is written. Nothing goes out before the producer commits: a batch of
 * messages is published at once. After FULL or PARTIAL: commit, ring the doorbell, try again later.
 */
export class RecordWriter {
  /** The longest frame taken, in bytes; below 2 GiB. */
  readonly maxFrameLength: number;
  /** The longest topic taken, in bytes of UTF-8: it has to fit the first piece. */
  readonly maxTopicLength: number;

  readonly #producer: RingProducer;
  readonly #pieceLength: number;
  /** The message under way in pieces; `#position` is how much of its frame is claimed. */
  #frame: Uint8Array = NO_FRAME;
  #position = 0;
  #meta = 0;
  #sequence = 0;
  #busy = false;

  /** @throws MILLRACE_INVALID_ARGUMENT when the ring is below 1 KiB or the limit is no length */
  constructor(producer: RingProducer, maxFrameLength: number) {
    if (producer.capacity < MIN_CAPACITY) {
      throw invalidArgument(`Publish records need a ring of ${MIN_CAPACITY} bytes`);
    }
    if (!Number.isInteger(maxFrameLength) || maxFrameLength < 0 || maxFrameLength >= 2 ** 31) {
      throw invalidArgument(`A frame's limit cannot be ${maxFrameLength}`);
    }
    this.#producer = producer;
    this.#pieceLength = pieceLengthOf(producer.capacity);
    this.maxFrameLength = maxFrameLength;
    this.maxTopicLength = maxTopicLengthOf(producer.capacity);
  }

  /** Is a message PARTIAL? Then `resume` comes before the next `write`. */
  get busy(): boolean {
    return this.#busy;
  }

  /** @throws MILLRACE_INVALID_ARGUMENT when the sequence number is not from 0 to 2^53 − 1 */
  write(message: PublishMessage): WriteStatus {
    if (this.#busy) return WriteStatus.FULL;
    const { frame, sequence } = message;
    if (sequence < 0 || !Number.isSafeInteger(sequence)) {
      throw invalidArgument(`A sequence number cannot be ${sequence}`);
    }
    const topicLength = topicByteLength(message.topic);
    if (frame.length > this.maxFrameLength || topicLength > this.maxTopicLength) return WriteStatus.TOO_BIG;
    // Short frames are copied through words of the ring, which wants the ring's side aligned.
    const alignment = frame.length > SHORT_COPY ? frame.byteOffset & (RECORD_ALIGNMENT - 1) : 0;
    const dataStart = firstPieceData(topicLength, alignment);
    const inPiece = Math.min(frame.length, this.#pieceLength - dataStart);
    const offset = this.#producer.claim(dataStart + inPiece);
    if (offset < 0) return WriteStatus.FULL;
    const shared = message.compressed ? PieceFlag.COMPRESSED : 0;
    const meta = packMeta(shared, message.opcode, message.publisher, alignment);
    const last = inPiece === frame.length;
    this.#writeFirst(offset, message, topicLength, meta | PieceFlag.FIRST | (last ? PieceFlag.LAST : 0));
    copyIn(frame, 0, this.#producer, offset + dataStart, inPiece);
    if (last) return WriteStatus.DONE;
    this.#busy = true;
    this.#frame = frame;
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

  /** Copies what a PARTIAL message's frame is still needed for, so that its memory can be used again. */
  detach(): void {
    this.#frame = new Uint8Array(this.#frame);
  }

  /** Gives a PARTIAL message up: the reader drops and counts what it has of it. */
  abandon(): void {
    this.#busy = false;
    this.#frame = NO_FRAME;
  }

  #writeFirst(offset: number, message: PublishMessage, topicLength: number, meta: number): void {
    const { words, bytes } = this.#producer;
    const header = offset >> 2;
    words[header + PublishHeader.META] = meta;
    words[header + PublishHeader.FRAME_LENGTH] = message.frame.length;
    words[header + PublishHeader.SEQUENCE_LOW] = message.sequence;
    words[header + PublishHeader.SEQUENCE_HIGH] = sequenceHigh(message.sequence);
    words[header + PublishHeader.TOPIC_LENGTH] = topicLength;
    words[header + PublishHeader.TOPIC_HASH] = message.topicHash;
    writeTopic(message.topic, bytes, offset + PublishHeader.BYTES);
  }

  #writeFurther(): boolean {
    const producer = this.#producer;
    const remaining = this.#frame.length - this.#position;
    const dataStart = furtherPieceData(this.#position, metaAlignment(this.#meta));
    const inPiece = Math.min(remaining, this.#pieceLength - dataStart);
    const offset = producer.claim(dataStart + inPiece);
    if (offset < 0) return false;
    const header = offset >> 2;
    producer.words[header + PieceHeader.META] = this.#meta | (inPiece === remaining ? PieceFlag.LAST : 0);
    producer.words[header + PieceHeader.FRAME_OFFSET] = this.#position;
    producer.words[header + PieceHeader.SEQUENCE_LOW] = this.#sequence;
    producer.words[header + PieceHeader.SEQUENCE_HIGH] = sequenceHigh(this.#sequence);
    copyIn(this.#frame, this.#position, producer, offset + dataStart, inPiece);
    this.#position += inPiece;
    if (inPiece === remaining) this.abandon();
    return true;
  }
}

function pieceLengthOf(capacity: number): number {
  return (capacity >> 2) - RECORD_ALIGNMENT;
}

/** Bytes of the longest topic that a ring of this many bytes takes. */
export function maxTopicLengthOf(capacity: number): number {
  return pieceLengthOf(capacity) - PublishHeader.BYTES - RECORD_ALIGNMENT;
}
