/**
 * What records between threads are. A kind is a name and a number here, and a handler: `participant.on(kind, …)`. A
 * record of a kind that its reader does not take is counted (`unhandled`) and dropped.
 */
export const RecordKind = {
  /** A message on a topic, for all that are interested (publish-codec.ts). The only kind that is not addressed. */
  PUBLISH: 1,
  /** A request, which has a kind of its own, and the answer to one (ask-record.ts). */
  REQUEST: 2,
  REPLY: 3,
  /** What is told and asked about the broker's queues (stomp/broker/queues/queue-records.ts). */
  QUEUE: 4,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Kinds have numbers from 0 to 255. */
export const MAX_KIND = 255;
