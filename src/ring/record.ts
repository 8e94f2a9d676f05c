/**
 * Publish records: what one thread writes into another's ring for a message on a topic. A message that is
 * longer than a piece travels in several records, which follow each other directly and are joined on the
 * other side (record-assembler.ts); no other message comes between them.
 *
 *     first piece   [META, FRAME_LENGTH, SEQUENCE ×2, TOPIC_LENGTH, TOPIC_HASH] topic, gap, frame bytes
 *     further       [META, FRAME_OFFSET, SEQUENCE ×2]                            gap, frame bytes
 *
 * A frame's first byte lies at the same address modulo 8 as in the publisher's memory, and so do the pieces
 * of it, because copies between memories of like alignment run in words. The gap of 0 to 7 bytes makes it so.
 */
import { PieceFlag, PieceHeader, PublishHeader } from './layout.ts';
import type { TopicReader } from './topic-bytes.ts';

/** A message as the publisher hands it in. The object can be used again for the next one. */
export interface PublishMessage {
  topic: string;
  /** The hash of the topic in the interest table; the receiver gets it back. */
  topicHash: number;
  /** 0 to 255: the opcode of the WebSocket message, or what the two ends agree on. */
  opcode: number;
  /** Is the frame's payload compressed? */
  compressed: boolean;
  /** 0 to 255: the thread that published. */
  publisher: number;
  /** The publisher's number for this message, 0 to 2^53 − 1. */
  sequence: number;
  /** The frame as it goes on the wire. */
  frame: Uint8Array;
}

/** The META word of a piece. */
export function packMeta(flags: number, opcode: number, publisher: number, alignment: number): number {
  return flags | ((opcode & 0xff) << 8) | ((publisher & 0xff) << 16) | (alignment << 24);
}

export function metaOpcode(meta: number): number {
  return (meta >>> 8) & 0xff;
}

export function metaPublisher(meta: number): number {
  return (meta >>> 16) & 0xff;
}

/** Where the frame's first byte lies, modulo 8. */
export function metaAlignment(meta: number): number {
  return (meta >>> 24) & 7;
}

/** The first offset from `offset` on that is `alignment` modulo 8. */
export function alignLike(offset: number, alignment: number): number {
  return offset + ((alignment - offset) & 7);
}

/** Where the frame bytes of a first piece begin, counted from the record's first byte. */
export function firstPieceData(topicLength: number, alignment: number): number {
  return alignLike(PublishHeader.BYTES + topicLength, alignment);
}

/** The same for a further piece, whose bytes belong at `frameOffset`. */
export function furtherPieceData(frameOffset: number, alignment: number): number {
  return alignLike(PieceHeader.BYTES, (alignment + frameOffset) & 7);
}

/** A sequence number in two words: the low one is what a 32-bit store keeps of it. */
export function sequenceHigh(sequence: number): number {
  return Math.floor(sequence / 2 ** 32);
}

export function joinSequence(low: number, high: number): number {
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}

/**
 * A message as it arrives. One object is used for all: what it says is true until `onPublish` returns.
 * The topic and the frame lie in `bytes`.
 */
export class PublishRecord {
  bytes: Uint8Array;
  /**
   * False: `bytes` is ring memory, to be copied or used up before the batch ends. True: the message came in
   * pieces, and `bytes` was made for it and belongs to the receiver.
   */
  owned = false;
  meta = 0;
  sequence = 0;
  topicHash = 0;
  topicOffset = 0;
  topicLength = 0;
  frameOffset = 0;
  frameLength = 0;
  readonly #topics: TopicReader;

  constructor(bytes: Uint8Array, topics: TopicReader) {
    this.bytes = bytes;
    this.#topics = topics;
  }

  get opcode(): number {
    return metaOpcode(this.meta);
  }

  get publisher(): number {
    return metaPublisher(this.meta);
  }

  get compressed(): boolean {
    return (this.meta & PieceFlag.COMPRESSED) !== 0;
  }

  /** The topic's name; decoded on demand, so a record nobody wants costs no string. */
  topic(): string {
    return this.#topics.read(this.bytes, this.topicOffset, this.topicLength, this.topicHash);
  }

  /** A view of the frame. Allocates; `bytes`, `frameOffset` and `frameLength` do not. */
  frame(): Uint8Array {
    return this.bytes.subarray(this.frameOffset, this.frameOffset + this.frameLength);
  }
}
