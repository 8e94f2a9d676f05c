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
import { PADDING, RingHeader } from './layout.ts';

/** No record has been read, so any producer's will do. */
const NO_EPOCH = -1;

/** What a consumer hands its records to. One object for each ring. */
export interface RingHandler {
  /**
   * One record: `length` bytes of `bytes` from `offset`, a multiple of 8. They stay as they are until `read`
   * returns and may be overwritten after it. What is thrown ends the batch and leaves `read`; the record
   * counts as read.
   */
  onRecord(bytes: Uint8Array<SharedArrayBuffer>, offset: number, length: number): void;
  /** The records from here on come from another producer: what its predecessor had not committed is lost. */
  onProducerRestart(epoch: number): void;
  /** The ring was found damaged and `lostBytes` of records were skipped (0 when the number cannot be known). */
  onReset(lostBytes: number): void;
}

/**
 * The reading side. One thread holds it. A new one over the same memory takes over from a consumer whose
 * thread has ended: it starts at the live edge, and `lostBytes` tells what the old one had left unread. The
 * first consumer of a ring misses nothing, and neither does one that continues where the last one has stopped.
 */
export class RingConsumer {
  /** The data area, which the offsets of records refer to. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** The same memory as 32-bit words. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Bytes of the data area. */
  readonly capacity: number;
  /** How many consumers this ring has had, this one included. */
  readonly epoch: number;
  /** Records handed over. */
  records = 0;
  /** How often another producer was found to have taken over. */
  restarts = 0;
  /** How often the ring was found damaged. */
  resets = 0;
  /** Bytes skipped: by resets, and unread by the consumer before this one. */
  lostBytes = 0;

  readonly #header: Int32Array<SharedArrayBuffer>;
  /** Read. Only this thread writes it, so the private copy is the truth. */
  #tail: number;
  /** The producer's cursor as last seen. */
  #head: number;
  /** The epoch of the last record's producer. */
  #producerEpoch = NO_EPOCH;
  #reading = false;

  /** @param continues it goes on as the consumer that was there before, which has stopped: to the producer it is the same */
  constructor(region: RingRegion, continues = false) {
    const { header, bytes, words, capacity } = openRing(region);
    this.#header = header;
    this.bytes = bytes;
    this.words = words;
    this.capacity = capacity;
    // No other consumer lives, so this orders nothing: it is atomic because the metrics may read it.
    const former = Atomics.load(header, RingHeader.CONSUMER_EPOCH >> 2);
    this.epoch =
      continues && former > 0 ? former : Atomics.add(header, RingHeader.CONSUMER_EPOCH >> 2, 1) + 1;
    this.#head = Atomics.load(header, HEAD);
    this.#tail = Atomics.load(header, TAIL);
    if (!continues && this.epoch > 1) this.#skipToLiveEdge();
  }

  /** Is there something to read? The check to make between marking oneself asleep and sleeping. */
  hasRecords(): boolean {
    // Sequentially consistent with the reader's store of its doorbell word before it: either we see the
    // new head here, or the producer, which loads that word after storing the head, sees us asleep.
    return Atomics.load(this.#header, HEAD) !== this.#tail;
  }

  /**
   * Hands over committed records in one batch and frees their room at its end. Returns how many: fewer than
   * there are when a limit is reached, 0 when the ring is empty, was just reset, or is being read already.
   *
   * @param maxBytes stop after the record that reaches this many bytes, headers included (a quarter of the
   *   capacity, so that the producer gets room while the reader goes on)
   * @param maxRecords stop after this many records (no limit)
   */
  read(handler: RingHandler, maxBytes: number = this.capacity >> 2, maxRecords = 0x7fff_ffff): number {
    if (this.#reading) return 0;
    const available = this.#available();
    if (available === 0) return 0;
    if (available < 0) {
      this.#reset(handler);
      return 0;
    }
    this.#reading = true;
    const before = this.records;
    try {
      this.#readBatch(handler, available, maxBytes, maxRecords);
    } finally {
      this.#reading = false;
      this.#storeTail();
    }
    return this.records - before;
  }

  /** Committed bytes ahead, or -1 when the cursors contradict each other. */
  #available(): number {
    if (this.#head === this.#tail) {
      // Acquire: orders the reads of the records' bytes after the commit that made them visible.
      this.#head = Atomics.load(this.#header, HEAD);
      if (this.#head === this.#tail) {
        // Empty, so the line is ours alone and cheap to look at: a damaged cursor must not stop the producer.
        if (Atomics.load(this.#header, TAIL) !== this.#tail) this.#storeTail();
        return 0;
      }
    }
    const available = (this.#head - this.#tail) | 0;
    return isSane(available, this.#head | this.#tail, this.capacity) ? available : -1;
  }

  /** Every turn moves on by at least 8 bytes and stays inside `available`: it can neither loop nor stray. */
  #readBatch(handler: RingHandler, available: number, maxBytes: number, maxRecords: number): void {
    const { words, bytes, capacity } = this;
    let remaining = available;
    let stopAt = available - maxBytes;
    for (let count = 0; remaining > 0 && remaining > stopAt && count < maxRecords; ) {
      const position = this.#tail & (capacity - 1);
      // Each word is fetched once, checked, and used from here only: what changes underneath does no harm.
      const length = words[position >> 2]!;
      const stamp = words[(position >> 2) + 1]!;
      const room = Math.min(remaining, capacity - position);
      const size = this.#checkedSize(position, length, stamp, room);
      if (size < 0) return this.#reset(handler);
      if ((stamp & EPOCH_MASK) !== this.#producerEpoch && !this.#acceptEpoch(handler, stamp & EPOCH_MASK)) {
        return this.#reset(handler);
      }
      this.#tail = (this.#tail + size) | 0;
      remaining -= size;
      if (length === PADDING) {
        stopAt -= size; // Not work, so a limit is never used up by it.
        continue;
      }
      this.records++;
      count++;
      handler.onRecord(bytes, position + HEADER_BYTES, length);
    }
  }

  /** The bytes this record takes, or -1 when it is none, or would reach beyond `room`. */
  #checkedSize(position: number, length: number, stamp: number, room: number): number {
    if (stamp !== stampOf(this.#tail, length, stamp & EPOCH_MASK)) return -1;
    if (length === PADDING) return this.capacity - position === room ? room : -1;
    if (length < 0 || length > room) return -1;
    const size = recordSize(length);
    return size <= room ? size : -1;
  }

  /** A later epoch is a restart; an earlier one is a producer that has been replaced and must not be heard. */
  #acceptEpoch(handler: RingHandler, epoch: number): boolean {
    const known = this.#producerEpoch;
    if (known !== NO_EPOCH && ((epoch - known) << 24) >> 24 < 0) return false;
    this.#producerEpoch = epoch;
    if (known !== NO_EPOCH) {
      this.restarts++;
      handler.onProducerRestart(epoch);
    }
    return true;
  }

  #reset(handler: RingHandler): void {
    const before = this.lostBytes;
    this.resets++;
    this.#producerEpoch = NO_EPOCH;
    this.#skipToLiveEdge();
    handler.onReset(this.lostBytes - before);
  }

  #skipToLiveEdge(): void {
    const head = Atomics.load(this.#header, HEAD);
    const skipped = (head - this.#tail) | 0;
    if (isSane(skipped, skipped, this.capacity)) this.lostBytes += skipped;
    // Even a damaged head is taken over as it is: then the ring reads as empty, the reader may sleep, and
    // the producer, which finds the tail impossible, puts its head right and causes one more reset.
    this.#tail = head;
    this.#head = head;
    this.#storeTail();
  }

  #storeTail(): void {
    // Release: orders our reads of the bytes before the producer's writing over them.
    Atomics.store(this.#header, TAIL, this.#tail);
  }
}
