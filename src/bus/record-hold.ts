import type { ReceivedRecord } from '../ring/record.ts';
import { Copies } from './copies.ts';

/** Bytes of records that are held; with more, the rings are not read. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** What a record takes beside its bytes. */
const HELD_OVERHEAD = 128;

/** A record in memory that is no ring's. It is posted from a thread to its successor. */
export interface HeldRecord {
  readonly meta: number;
  readonly sequence: number;
  readonly tag: number;
  /** Name and body. */
  readonly bytes: Uint8Array;
  readonly nameLength: number;
}

/**
 * RecordHold: records that arrived and are not to be handled yet, because the thread is only about to begin, or is ending
 * and its successor will.
 */
export class RecordHold {
  #records: HeldRecord[] = [];
  #copies = new Copies();
  #bytes = 0;

  /** No more should be read. */
  get isFull(): boolean {
    return this.#bytes >= MAX_HELD_BYTES;
  }

  add(record: ReceivedRecord): void {
    const { meta, sequence, tag, nameOffset, nameLength, bodyOffset, bodyLength } = record;
    const bytes = this.#copies.take(nameLength + bodyLength);
    bytes.set(record.bytes.subarray(nameOffset, nameOffset + nameLength));
    bytes.set(record.bytes.subarray(bodyOffset, bodyOffset + bodyLength), nameLength);
    this.#records.push({ meta, sequence, tag, bytes, nameLength });
    this.#bytes += HELD_OVERHEAD + bytes.length;
  }

  /** All that is held, in the order in which it arrived; nothing is from here on. */
  take(): HeldRecord[] {
    const records = this.#records;
    this.#records = [];
    this.#copies = new Copies();
    this.#bytes = 0;
    return records;
  }
}

/** Makes `record` a held one again; its bytes belong to the receiver. */
export function restore(record: ReceivedRecord, held: HeldRecord): void {
  record.bytes = held.bytes;
  record.owned = true;
  record.meta = held.meta;
  record.sequence = held.sequence;
  record.tag = held.tag;
  record.nameOffset = 0;
  record.nameLength = held.nameLength;
  record.bodyOffset = held.nameLength;
  record.bodyLength = held.bytes.length - held.nameLength;
}
