/**
 * What requests and replies look like in the records that carry them, in bytes and little-endian:
 *
 *     request   [ID 4, KIND 1] bytes
 *     reply     [ID 4, STATUS 1] bytes, or a text that says what failed
 *
 * Both are addressed to one instance of a thread, so an ID need not say whose it is.
 */
export const REQUEST_HEADER = 5;
export const REPLY_HEADER = 5;

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

export function writeRequest(id: number, kind: number, bytes: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(REQUEST_HEADER + bytes.length);
  record.writeUInt32LE(id, 0);
  record[4] = kind;
  record.set(bytes, REQUEST_HEADER);
  return record;
}

export function writeReply(id: number, status: AnswerStatus, bytes: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(REPLY_HEADER + bytes.length);
  record.writeUInt32LE(id, 0);
  record[4] = status;
  record.set(bytes, REPLY_HEADER);
  return record;
}

/** The ID of either. Records lie at any offset of any memory. */
export function readId(record: Uint8Array): number {
  return (record[0]! | (record[1]! << 8) | (record[2]! << 16) | (record[3]! << 24)) >>> 0;
}
