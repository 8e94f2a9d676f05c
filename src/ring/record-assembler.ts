import { invalidArgument } from '../errors.ts';
import { PieceFlag, PieceHeader, PublishHeader } from './layout.ts';
import {
  alignLike,
  firstPieceData,
  furtherPieceData,
  joinSequence,
  metaAlignment,
  metaPublisher,
  PublishRecord,
} from './record.ts';
import type { RingConsumer, RingHandler } from './ring-consumer.ts';
import type { TopicReader } from './topic-bytes.ts';

/** What a thread does with the messages of one ring. One object for the life of the ring. */
export interface PublishHandler {
  /** A whole message. The object is used again for the next one; see PublishRecord for how long it holds. */
  onPublish(record: PublishRecord): void;
  /** The messages from here on are of a new producer; what its predecessor had not committed is lost. */
  onProducerRestart(epoch: number): void;
  /** The ring was found damaged and `lostBytes` of records were skipped (0 when the number cannot be known). */
  onReset(lostBytes: number): void;
}

/**
 * Joins publish records into messages: hand it to `RingConsumer.read`. A message in one record is passed on
 * where it lies in the ring; one in pieces is gathered in memory of its own, of at most the two limits
 * together. Whatever does not fit together is dropped and counted, never passed on.
 */
export class RecordAssembler implements RingHandler {
  /** Messages of which a piece is missing: their producer was replaced or gave them up, or the ring was reset. */
  broken = 0;
  /** Records that are no publish records. */
  malformed = 0;
  /** Messages longer than the limits. */
  tooBig = 0;

  readonly #consumer: RingConsumer;
  readonly #handler: PublishHandler;
  readonly #maxFrameLength: number;
  readonly #record: PublishRecord;
  /** The message being gathered; its bytes up to `#filled` are here. */
  readonly #partial: PublishRecord;
  #gathering = false;
  /** The message under way is refused and counted already: its further pieces are passed over. */
  #skipping = false;
  #filled = 0;

  /** @param maxFrameLength the longest frame passed on, in bytes */
  constructor(consumer: RingConsumer, handler: PublishHandler, topics: TopicReader, maxFrameLength: number) {
    if (!Number.isInteger(maxFrameLength) || maxFrameLength < 0 || maxFrameLength >= 2 ** 31) {
      throw invalidArgument(`A frame's limit cannot be ${maxFrameLength}`);
    }
    this.#consumer = consumer;
    this.#handler = handler;
    this.#maxFrameLength = maxFrameLength;
    this.#record = new PublishRecord(consumer.bytes, topics);
    this.#partial = new PublishRecord(consumer.bytes, topics);
    this.#partial.owned = true;
  }

  onRecord(_bytes: Uint8Array, offset: number, length: number): void {
    if (length < PieceHeader.BYTES) {
      this.malformed++;
      return;
    }
    const meta = this.#consumer.words[offset >> 2]!;
    if ((meta & PieceFlag.FIRST) !== 0) this.#onFirst(meta, offset, length);
    else this.#onFurther(meta, offset, length);
  }

  onProducerRestart(epoch: number): void {
    this.#drop();
    this.#handler.onProducerRestart(epoch);
  }

  onReset(lostBytes: number): void {
    this.#drop();
    this.#handler.onReset(lostBytes);
  }

  #onFirst(meta: number, offset: number, length: number): void {
    this.#drop();
    const words = this.#consumer.words;
    const header = offset >> 2;
    const record = this.#record;
    record.topicLength = length < PublishHeader.BYTES ? -1 : words[header + PublishHeader.TOPIC_LENGTH]!;
    record.frameLength = words[header + PublishHeader.FRAME_LENGTH]!;
    const dataStart = firstPieceData(record.topicLength, metaAlignment(meta));
    const last = (meta & PieceFlag.LAST) !== 0;
    if (record.topicLength < 0 || dataStart > length || record.frameLength < 0) {
      this.malformed++;
    } else if (last ? record.frameLength !== length - dataStart : record.frameLength <= length - dataStart) {
      this.malformed++;
    } else if (record.frameLength > this.#maxFrameLength) {
      this.tooBig++;
      this.#skipping = !last;
    } else {
      record.meta = meta;
      record.sequence = joinSequence(
        words[header + PublishHeader.SEQUENCE_LOW]!,
        words[header + PublishHeader.SEQUENCE_HIGH]!,
      );
      record.topicHash = words[header + PublishHeader.TOPIC_HASH]!;
      record.topicOffset = offset + PublishHeader.BYTES;
      record.frameOffset = offset + dataStart;
      if (last) this.#handler.onPublish(record);
      else this.#gather(length - dataStart);
    }
  }

  /** Begins a message in memory of its own with the first `inPiece` bytes of its frame. */
  #gather(inPiece: number): void {
    const { topicOffset, topicLength, frameOffset, frameLength, meta, sequence, topicHash } = this.#record;
    const frameStart = alignLike(topicLength, frameOffset & 7);
    const bytes = new Uint8Array(frameStart + frameLength);
    bytes.set(this.#record.bytes.subarray(topicOffset, topicOffset + topicLength));
    bytes.set(this.#record.bytes.subarray(frameOffset, frameOffset + inPiece), frameStart);
    const partial = this.#partial;
    partial.bytes = bytes;
    partial.meta = meta;
    partial.sequence = sequence;
    partial.topicHash = topicHash;
    partial.topicOffset = 0;
    partial.topicLength = topicLength;
    partial.frameOffset = frameStart;
    partial.frameLength = frameLength;
    this.#gathering = true;
    this.#filled = inPiece;
  }

  #onFurther(meta: number, offset: number, length: number): void {
    const last = (meta & PieceFlag.LAST) !== 0;
    if (!this.#gathering) {
      if (!this.#skipping) this.broken++;
      this.#skipping = !last;
      return;
    }
    const partial = this.#partial;
    const dataStart = furtherPieceData(this.#filled, metaAlignment(partial.meta));
    const inPiece = length - dataStart;
    const remaining = partial.frameLength - this.#filled;
    const fits = last ? inPiece === remaining : inPiece > 0 && inPiece < remaining;
    if (!fits || !this.#continues(meta, offset)) {
      this.#drop();
      this.#skipping = !last;
      return;
    }
    const data = this.#consumer.bytes.subarray(offset + dataStart, offset + length);
    partial.bytes.set(data, partial.frameOffset + this.#filled);
    this.#filled += inPiece;
    if (last) this.#finish();
  }

  /** Is this the next piece of the very message being gathered? */
  #continues(meta: number, offset: number): boolean {
    const words = this.#consumer.words;
    const header = offset >> 2;
    const low = words[header + PieceHeader.SEQUENCE_LOW]!;
    const high = words[header + PieceHeader.SEQUENCE_HIGH]!;
    return (
      words[header + PieceHeader.FRAME_OFFSET] === this.#filled &&
      metaPublisher(meta) === metaPublisher(this.#partial.meta) &&
      joinSequence(low, high) === this.#partial.sequence
    );
  }

  #finish(): void {
    this.#gathering = false;
    try {
      this.#handler.onPublish(this.#partial);
    } finally {
      // The bytes are the receiver's now.
      this.#partial.bytes = this.#consumer.bytes;
    }
  }

  /** Forgets the message being gathered, if there is one. */
  #drop(): void {
    this.#skipping = false;
    if (!this.#gathering) return;
    this.broken++;
    this.#gathering = false;
    this.#partial.bytes = this.#consumer.bytes;
  }
}
