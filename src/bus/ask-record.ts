/**
 * What requests and replies look like in the records that carry them, in bytes and little-endian:
 *
 *     request   [ID 4, INSTANCE 4] bytes
 *     reply     [ID 4, INSTANCE 4, STATUS 1] bytes, or a text that says what failed
 *
 * INSTANCE is that of the thread which asks: a reply for the thread that had its number before finds nobody.
 */
export const REQUEST_HEADER = 8;
export const REPLY_HEADER = 9;

/** What became of a request. */
export const AnswerStatus = {
  DONE: 0,
  /** What the handler threw, or its promise rejected with. */
  FAILED: 1,
  /** The thread has no handler for that kind. */
  UNKNOWN: 2,
  /** Too many requests are under way there. It was not begun. */
  BUSY: 3,
  /** The thread was replaced before the handler was done. */
  UNFINISHED: 4,
} as const;
export type AnswerStatus = (typeof AnswerStatus)[keyof typeof AnswerStatus];

export function writeRequest(id: number, instance: number, bytes: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(REQUEST_HEADER + bytes.length);
  record.writeUInt32LE(id, 0);
  record.writeUInt32LE(instance, 4);
  record.set(bytes, REQUEST_HEADER);
  return record;
}

export function writeReply(id: number, instance: number, status: AnswerStatus, bytes: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(REPLY_HEADER + bytes.length);
  record.writeUInt32LE(id, 0);
  record.writeUInt32LE(instance, 4);
  record[8] = status;
  record.set(bytes, REPLY_HEADER);
  return record;
}

/** A word of a record; they lie at any offset of any memory. */
export function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
