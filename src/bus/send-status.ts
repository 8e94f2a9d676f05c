/** What became of a message for one thread. */
export const SendStatus = {
  /** It is in the ring. */
  WRITTEN: 0,
  /** It waits, all or some of it, for room in the ring. */
  QUEUED: 1,
  /** Too much waits already (`maxOverflow`). */
  DROPPED: 2,
  /** It is longer than anything that may cross threads. */
  TOO_BIG: 3,
  /** There is no such thread, or it is another one now. */
  GONE: 4,
} as const;
export type SendStatus = (typeof SendStatus)[keyof typeof SendStatus];
