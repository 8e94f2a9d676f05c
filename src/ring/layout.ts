/**
 * Where everything lies in shared memory: the one place with numbers. Offsets are in bytes.
 *
 * Words that different threads write are LINE_PAIR apart: a cache line is 64 bytes, and the prefetcher of
 * common processors pulls lines in aligned pairs, so neighbours one line apart still disturb each other.
 */

/** Bytes of a cache line on the processors Node runs on (some have 128, which LINE_PAIR covers). */
export const CACHE_LINE = 64;

/** Distance between words of different writers: two cache lines. */
export const LINE_PAIR = 2 * CACHE_LINE;

/** Changes with every change of a layout below, so that two builds never share memory by mistake. */
export const LAYOUT_VERSION = 3;

/** Records, and therefore both cursors, are multiples of this many bytes. */
export const RECORD_ALIGNMENT = 8;

/** The header of a ring; the records begin at DATA. */
export const RingHeader = {
  /** RING_MAGIC once the ring is formatted. */
  MAGIC: 0,
  VERSION: 4,
  /** Bytes of the data area, a power of two. */
  CAPACITY: 8,
  /** How many producers have attached so far. */
  PRODUCER_EPOCH: 12,
  /** How many consumers have attached so far. */
  CONSUMER_EPOCH: 16,
  /** Cursor after the last committed record. Written by the producer only. */
  HEAD: LINE_PAIR,
  /** Cursor after the last record read. Written by the consumer only. */
  TAIL: 2 * LINE_PAIR,
  DATA: 3 * LINE_PAIR,
} as const;

export const RING_MAGIC = 0x4d_52_52_47;

export const MIN_RING_CAPACITY = 64;
/** 512 MiB: what is used plus what is needed, each at most the capacity, stays positive in 32 bits. */
export const MAX_RING_CAPACITY = 2 ** 29;
/** 256 KiB for each ordered pair of threads. */
export const DEFAULT_RING_CAPACITY = 256 * 1024;

/** The header of a ring record: two 32-bit words in front of its bytes. */
export const RecordHeader = {
  /** Bytes that follow the header, or PADDING. */
  LENGTH: 0,
  /** A check over cursor, length and epoch, with the producer's epoch in the low byte. */
  STAMP: 4,
  BYTES: 8,
} as const;

/** The LENGTH of the record that fills the rest of the data area before a wrap. */
export const PADDING = -1;

/** One doorbell word for each reader thread. */
export const DOORBELL_STRIDE = LINE_PAIR;

/** Threads that can take part: a target set is two 32-bit words. */
export const MAX_THREADS = 64;

/** The interest table: a header, then for each slot the threads 0–31 and 32–63. */
export const InterestHeader = {
  MAGIC: 0,
  VERSION: 4,
  SLOTS: 8,
  SEED: 12,
  TABLE: LINE_PAIR,
} as const;

export const INTEREST_MAGIC = 0x4d_52_49_54;
export const INTEREST_SLOT_BYTES = 8;
/** 512 KiB, and 256 KiB of private counters for each thread. With 20,000 topics elsewhere a quarter of the slots is taken. */
export const DEFAULT_INTEREST_SLOTS = 65_536;

/**
 * The subscriber counts: a header, a row for each thread, then the threads' first tables one after the other, and behind
 * them further tables of whichever threads needed more, as the memory grows.
 */
export const CountsHeader = {
  MAGIC: 0,
  VERSION: 4,
  THREADS: 8,
  /** Topics that fit one thread's first table, a power of two. */
  TOPICS: 12,
  SEED: 16,
  /** Entries of all tables there are. */
  ENTRIES: 20,
  ROWS: LINE_PAIR,
} as const;

/** One thread's row. */
export const CountsRow = {
  /** Topics with subscribers that are in none of its tables. */
  UNCOUNTED: 0,
  /** Further tables. */
  TABLES: 4,
  /** The first entry of each of them, counted from the first table of all. */
  STARTS: 8,
  BYTES: LINE_PAIR,
} as const;

/** Further tables of a thread; each is twice as large as the one before. */
export const MAX_COUNT_TABLES = 8;
/** Further tables of all threads, in bytes: address space, of which only what is used costs memory. */
export const MAX_FURTHER_COUNTS = 2 ** 30;
/** The same for each thread that counts. */
export const MAX_FURTHER_COUNTS_EACH = 2 ** 28;

export const COUNTS_MAGIC = 0x4d_52_53_43;

/** One entry of a count table. COUNT is 0 in a free entry. */
export const CountEntry = {
  HASH: 0,
  SECOND_HASH: 4,
  TOPIC_LENGTH: 8,
  COUNT: 12,
  BYTES: 16,
} as const;

/** Entries of a bucket; a topic lives in one of two buckets. */
export const COUNT_BUCKET = 8;
/** 2 MiB for each thread at first; pages of it that nobody touches cost nothing. */
export const DEFAULT_COUNTED_TOPICS = 131_072;

/** A message inside a ring record: the header of its first piece, in 32-bit words. */
export const MessageHeader = {
  /** Bits 0–2 PieceFlag, 3–7 flags of the kind, 8–15 kind, 16–21 sender, 22–24 alignment of the body, 25–31 instance. */
  META: 0,
  /** Bytes of the whole body, over all pieces. */
  BODY_LENGTH: 1,
  SEQUENCE_LOW: 2,
  SEQUENCE_HIGH: 3,
  NAME_LENGTH: 4,
  TAG: 5,
  BYTES: 24,
} as const;

/** The header of every further piece, in 32-bit words. META and the sequence are as in the first. */
export const PieceHeader = {
  META: 0,
  /** Where in the body the bytes of this piece belong. */
  BODY_OFFSET: 1,
  SEQUENCE_LOW: 2,
  SEQUENCE_HIGH: 3,
  BYTES: 16,
} as const;

export const PieceFlag = {
  FIRST: 1,
  LAST: 2,
  ADDRESSED: 4,
} as const;

/** The participants: a header, then a row for each thread. */
export const ParticipantHeader = {
  /** Changes of any row so far. */
  CHANGES: 0,
  ROWS: LINE_PAIR,
} as const;

/** One participant's row. */
export const ParticipantRow = {
  /** Bit 0 is it up, 1–3 role, 4–31 instance number. */
  WORD: 0,
  BYTES: LINE_PAIR,
} as const;

/** The next multiple of `alignment`, a power of two. */
export function alignUp(value: number, alignment: number): number {
  return (value + alignment - 1) & -alignment;
}

/** Is this a power of two from 1 to 2^30? */
export function isPowerOfTwo(value: number): boolean {
  return value > 0 && value <= 2 ** 30 && (value & (value - 1)) === 0 && Number.isInteger(value);
}
