import { invalidArgument } from '../errors.ts';
import {
  EPOCH_MASK,
  HEAD,
  HEADER_BYTES,
  isSane,
  openRing,
  type RingRegion,
  recordSize,
  stampOf,
  TAIL,
} from './byte-ring.ts';
import { alignUp, PADDING, RECORD_ALIGNMENT, RingHeader } from './layout.ts';

/**
 * The writing side. One thread holds it; a new one over the same memory takes over from a producer whose
 * thread has ended, with a new epoch, at the last committed record.
 */
export class RingProducer {
  /** The data area: write a claimed record's bytes here. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** The same memory as 32-bit words. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Bytes of the data area. */
  readonly capacity: number;
  /** The longest record that fits whatever the cursor is: half the capacity, less its header. */
  readonly maxRecordLength: number;
  /** How many producers this ring has had, this one included. */
  readonly epoch: number;
  /** How often the head was found damaged. */
  repairs = 0;

  readonly #header: Int32Array<SharedArrayBuffer>;
  readonly #epochByte: number;
  /** Committed. Only this thread writes it, so the private copy is the truth. */
  #head: number;
  /** Claimed. */
  #next: number;
  /** The consumer's cursor as last seen: it only moves on, so an old one is merely pessimistic. */
  #tail: number;

  constructor(region: RingRegion) {
    const { header, bytes, words, capacity } = openRing(region);
    this.#header = header;
    this.bytes = bytes;
    this.words = words;
    this.capacity = capacity;
    this.maxRecordLength = capacity / 2 - HEADER_BYTES;
    // No other producer lives, so this orders nothing: it is atomic because the metrics may read it.
    this.epoch = Atomics.add(header, RingHeader.PRODUCER_EPOCH >> 2, 1) + 1;
    this.#epochByte = this.epoch & EPOCH_MASK;
    this.#head = alignUp(Atomics.load(header, HEAD), RECORD_ALIGNMENT) | 0;
    this.#next = this.#head;
    this.#tail = this.#head;
    this.#refreshTail();
  }

  /** Bytes committed and not yet read, as far as the consumer has said. For metrics. */
  get depth(): number {
    const used = (this.#head - Atomics.load(this.#header, TAIL)) | 0;
    return Math.min(Math.max(used, 0), this.capacity);
  }

  /** How many consumers the ring has had. */
  get consumerEpoch(): number {
    return Atomics.load(this.#header, RingHeader.CONSUMER_EPOCH >> 2);
  }

  /** Bytes claimed and not yet committed. */
  get pending(): number {
    return (this.#next - this.#head) | 0;
  }

  /**
   * Reserves a record of `length` bytes and returns where in `bytes` to write them (a multiple of 8), or -1
   * when there is no room. The record goes out with the next `commit`. After a -1, ring the reader's
   * doorbell: should its cursor have been damaged, that is what gets it repaired.
   *
   * @throws MILLRACE_INVALID_ARGUMENT when `length` is no integer from 0 to `maxRecordLength`
   */
  claim(length: number): number {
    if (length < 0 || length > this.maxRecordLength || (length | 0) !== length) {
      throw invalidArgument(`A record is 0 to ${this.maxRecordLength} bytes long, not ${length}`);
    }
    const size = recordSize(length);
    let position = this.#next & (this.capacity - 1);
    const toEnd = this.capacity - position;
    const needed = size > toEnd ? size + toEnd : size;
    if (!this.#hasRoom(needed)) {
      this.#refreshTail();
      if (!this.#hasRoom(needed)) {
        this.#repairHead();
        return -1;
      }
    }
    if (size > toEnd) {
      this.#writeHeader(position, PADDING);
      this.#next = (this.#next + toEnd) | 0;
      position = 0;
    }
    this.#writeHeader(position, length);
    this.#next = (this.#next + size) | 0;
    return position + HEADER_BYTES;
  }

  /** Claims a record and fills it with `source`. False when there is no room. */
  tryWrite(source: Uint8Array): boolean {
    const offset = this.claim(source.length);
    if (offset < 0) return false;
    this.bytes.set(source, offset);
    return true;
  }

  /** Publishes every record claimed since the last commit, all at once. False when there was none. */
  commit(): boolean {
    if (this.#next === this.#head) return false;
    this.#head = this.#next;
    // Release: orders all writes of the records' bytes before the new head. And, being sequentially
    // consistent, before the load of the reader's doorbell word that follows it (see doorbell.ts).
    Atomics.store(this.#header, HEAD, this.#head);
    return true;
  }

  /** Forgets every record claimed since the last commit. */
  rollback(): void {
    this.#next = this.#head;
  }

  #writeHeader(position: number, length: number): void {
    const word = position >> 2;
    this.words[word] = length;
    this.words[word + 1] = stampOf(this.#next, length, this.#epochByte);
  }

  #hasRoom(needed: number): boolean {
    return ((this.#next + needed - this.#tail) | 0) <= this.capacity;
  }

  /** Looks at how far the consumer is. The room stays as it was when its cursor is impossible. */
  #refreshTail(): void {
    // Acquire: orders the consumer's reads of the bytes before our writing over them. It stores the cursor
    // after the last read, and we load it before the first write.
    const tail = Atomics.load(this.#header, TAIL);
    if (isSane((this.#head - tail) | 0, tail, this.capacity)) this.#tail = tail;
  }

  /**
   * A full ring whose consumer sees it empty would stay full for ever, and so would one in which either
   * cursor is impossible. With the true head in place the consumer finds the truth by itself.
   */
  #repairHead(): void {
    if (Atomics.load(this.#header, HEAD) === this.#head) return;
    this.repairs++;
    Atomics.store(this.#header, HEAD, this.#head);
  }
}
