/**
 * Records of messages: what one thread writes into another's ring. A message that is longer than a piece travels in
 * several records, which follow each other directly and are joined on the other side (record-assembler.ts); no other
 * message comes between them.
 *
 *     first piece   [META, BODY_LENGTH, SEQUENCE ×2, NAME_LENGTH, TAG] name, gap, bytes of the body
 *     further       [META, BODY_OFFSET, SEQUENCE ×2]                   gap, bytes of the body
 *
 *     META          kind's flags and piece flags │ kind │ sender, its instance, alignment
 *
 * What name, tag, flags and body mean is a matter of the record's kind; the ring only carries them.
 *
 * A body's first byte lies at the same address modulo 8 as in the sender's memory, and so do the pieces
 * of it, because copies between memories of like alignment run in words. The gap of 0 to 7 bytes makes it so.
 */
import { MessageHeader, PieceFlag, PieceHeader } from './layout.ts';
import type { TopicReader } from './topic-bytes.ts';

/** Flags that a kind of records has for itself: 0 to 31. */
export const MAX_KIND_FLAGS = 31;
/** Of a sender's instance number this much is in each record. */
export const INSTANCE_MASK = 0x7f;

/** A message as the sender hands it in. The object can be used again for the next one. */
export interface OutgoingRecord {
  /** 0 to 255: what the record is, and who takes it. */
  readonly kind: number;
  /** 0 to 31: what the two ends of this kind agree on. */
  readonly flags: number;
  /** It is for one reader, of which `tag` is the instance number, and for no successor of it. */
  readonly isAddressed: boolean;
  /** The topic of a publish. */
  readonly name: string;
  /** Any 32 bits (signed): the hash of the topic, or the instance it is addressed to. */
  readonly tag: number;
  /** 0 to 63: the thread that sends it. */
  readonly sender: number;
  /** Instance number of that thread; its lowest bits travel. */
  readonly instance: number;
  /** The sender's number for this message, 0 to 2^53 − 1. */
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** The META word of a piece, but for FIRST and LAST. */
export function packMeta(message: OutgoingRecord, alignment: number): number {
  return (
    (message.isAddressed ? PieceFlag.ADDRESSED : 0) |
    ((message.flags & MAX_KIND_FLAGS) << 3) |
    ((message.kind & 0xff) << 8) |
    ((message.sender & 0x3f) << 16) |
    (alignment << 22) |
    ((message.instance & INSTANCE_MASK) << 25)
  );
}

export function metaFlags(meta: number): number {
  return (meta >>> 3) & MAX_KIND_FLAGS;
}

export function metaKind(meta: number): number {
  return (meta >>> 8) & 0xff;
}

export function metaSender(meta: number): number {
  return (meta >>> 16) & 0x3f;
}

/** Where the body's first byte lies, modulo 8. */
export function metaAlignment(meta: number): number {
  return (meta >>> 22) & 7;
}

/** The sender's instance number, modulo 128. */
export function metaInstance(meta: number): number {
  return meta >>> 25;
}

/** The first offset from `offset` on that is `alignment` modulo 8. */
export function alignLike(offset: number, alignment: number): number {
  return offset + ((alignment - offset) & 7);
}

/** Where the body's bytes of a first piece begin, counted from the record's first byte. */
export function firstPieceData(nameLength: number, alignment: number): number {
  return alignLike(MessageHeader.BYTES + nameLength, alignment);
}

/** The same for a further piece, whose bytes belong at `bodyOffset`. */
export function furtherPieceData(bodyOffset: number, alignment: number): number {
  return alignLike(PieceHeader.BYTES, (alignment + bodyOffset) & 7);
}

/** A sequence number in two words: the low one is what a 32-bit store keeps of it. */
export function sequenceHigh(sequence: number): number {
  return Math.floor(sequence / 2 ** 32);
}

export function sequenceFrom(low: number, high: number): number {
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}

/**
 * A message as it arrives. One object is used for all: what it says is true until `onMessage` returns.
 * The name and the body lie in `bytes`.
 */
export class ReceivedRecord {
  bytes: Uint8Array;
  /**
   * False: `bytes` is ring memory, to be copied or used up before the batch ends. True: the message came in
   * pieces, and `bytes` was made for it and belongs to the receiver.
   */
  owned = false;
  meta = 0;
  sequence = 0;
  tag = 0;
  nameOffset = 0;
  nameLength = 0;
  bodyOffset = 0;
  bodyLength = 0;
  readonly #names: TopicReader;

  constructor(bytes: Uint8Array, names: TopicReader) {
    this.bytes = bytes;
    this.#names = names;
  }

  get kind(): number {
    return metaKind(this.meta);
  }

  /** What the two ends of this kind agree on. */
  get flags(): number {
    return metaFlags(this.meta);
  }

  /** It is for one reader, whose instance number is `tag`. */
  get isAddressed(): boolean {
    return (this.meta & PieceFlag.ADDRESSED) !== 0;
  }

  /** The thread that sent it. */
  get sender(): number {
    return metaSender(this.meta);
  }

  /** The name; decoded on demand, so a record nobody wants costs no string. */
  name(): string {
    return this.#names.read(this.bytes, this.nameOffset, this.nameLength, this.tag);
  }

  /** A view of the body. Allocates; `bytes`, `bodyOffset` and `bodyLength` do not. */
  body(): Uint8Array {
    return this.bytes.subarray(this.bodyOffset, this.bodyOffset + this.bodyLength);
  }
}
