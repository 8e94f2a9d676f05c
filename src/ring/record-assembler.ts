import { invalidArgument } from '../errors.ts';
import { MessageHeader, PieceFlag, PieceHeader } from './layout.ts';
import {
  alignLike,
  firstPieceData,
  furtherPieceData,
  metaAlignment,
  metaSender,
  ReceivedRecord,
  sequenceFrom,
} from './record.ts';
import type { RingConsumer, RingHandler } from './ring-consumer.ts';
import type { TopicReader } from './topic-bytes.ts';

/** What a thread does with the messages of one ring. One object for each ring. */
export interface MessageHandler {
  /** A whole message. The object is used again for the next one; see ReceivedRecord for how long it holds. */
  onMessage(record: ReceivedRecord): void;
  /** The messages from here on are of a new producer; what its predecessor had not committed is lost. */
  onProducerRestart(epoch: number): void;
  /** The ring was found damaged and `lostBytes` of records were skipped (0 when the number cannot be known). */
  onReset(lostBytes: number): void;
}

/**
 * Joins records into messages: hand it to `RingConsumer.read`. A message in one record is passed on
 * where it lies in the ring; one in pieces is gathered in memory of its own, of at most the two limits
 * together. Whatever does not fit together is dropped and counted, never passed on.
 */
export class RecordAssembler implements RingHandler {
  /** Messages of which a piece is missing: their producer was replaced or gave them up, or the ring was reset. */
  broken = 0;
  /** Records that hold no message. */
  malformed = 0;
  /** Messages longer than the limits. */
  tooBig = 0;

  readonly #consumer: RingConsumer;
  readonly #handler: MessageHandler;
  readonly #maxBodyLength: number;
  readonly #record: ReceivedRecord;
  /** The message being gathered; its bytes up to `#filled` are here. */
  readonly #partial: ReceivedRecord;
  #gathering = false;
  /** The message under way is refused and counted already: its further pieces are passed over. */
  #skipping = false;
  #filled = 0;

  /** @param maxBodyLength the longest body passed on, in bytes */
  constructor(consumer: RingConsumer, handler: MessageHandler, names: TopicReader, maxBodyLength: number) {
    if (!Number.isInteger(maxBodyLength) || maxBodyLength < 0 || maxBodyLength >= 2 ** 31) {
      throw invalidArgument(`A body's limit cannot be ${maxBodyLength}`);
    }
    this.#consumer = consumer;
    this.#handler = handler;
    this.#maxBodyLength = maxBodyLength;
    this.#record = new ReceivedRecord(consumer.bytes, names);
    this.#partial = new ReceivedRecord(consumer.bytes, names);
    this.#partial.owned = true;
  }

  /** A message has arrived in part. */
  get isGathering(): boolean {
    return this.#gathering;
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
    record.nameLength = length < MessageHeader.BYTES ? -1 : words[header + MessageHeader.NAME_LENGTH]!;
    record.bodyLength = words[header + MessageHeader.BODY_LENGTH]!;
    const dataStart = firstPieceData(record.nameLength, metaAlignment(meta));
    const last = (meta & PieceFlag.LAST) !== 0;
    if (record.nameLength < 0 || dataStart > length || record.bodyLength < 0) {
      this.malformed++;
    } else if (last ? record.bodyLength !== length - dataStart : record.bodyLength <= length - dataStart) {
      this.malformed++;
    } else if (record.bodyLength > this.#maxBodyLength) {
      this.tooBig++;
      this.#skipping = !last;
    } else {
      record.meta = meta;
      record.sequence = sequenceFrom(
        words[header + MessageHeader.SEQUENCE_LOW]!,
        words[header + MessageHeader.SEQUENCE_HIGH]!,
      );
      record.tag = words[header + MessageHeader.TAG]!;
      record.nameOffset = offset + MessageHeader.BYTES;
      record.bodyOffset = offset + dataStart;
      if (last) this.#handler.onMessage(record);
      else this.#gather(length - dataStart);
    }
  }

  /** Begins a message in memory of its own with the first `inPiece` bytes of its body. */
  #gather(inPiece: number): void {
    const { nameOffset, nameLength, bodyOffset, bodyLength, meta, sequence, tag } = this.#record;
    const bodyStart = alignLike(nameLength, bodyOffset & 7);
    const bytes = new Uint8Array(bodyStart + bodyLength);
    bytes.set(this.#record.bytes.subarray(nameOffset, nameOffset + nameLength));
    bytes.set(this.#record.bytes.subarray(bodyOffset, bodyOffset + inPiece), bodyStart);
    const partial = this.#partial;
    partial.bytes = bytes;
    partial.meta = meta;
    partial.sequence = sequence;
    partial.tag = tag;
    partial.nameOffset = 0;
    partial.nameLength = nameLength;
    partial.bodyOffset = bodyStart;
    partial.bodyLength = bodyLength;
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
    const remaining = partial.bodyLength - this.#filled;
    const fits = last ? inPiece === remaining : inPiece > 0 && inPiece < remaining;
    if (!fits || !this.#continues(meta, offset)) {
      this.#drop();
      this.#skipping = !last;
      return;
    }
    const data = this.#consumer.bytes.subarray(offset + dataStart, offset + length);
    partial.bytes.set(data, partial.bodyOffset + this.#filled);
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
      words[header + PieceHeader.BODY_OFFSET] === this.#filled &&
      metaSender(meta) === metaSender(this.#partial.meta) &&
      sequenceFrom(low, high) === this.#partial.sequence
    );
  }

  #finish(): void {
    this.#gathering = false;
    try {
      this.#handler.onMessage(this.#partial);
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
