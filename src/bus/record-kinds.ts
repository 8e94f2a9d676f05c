/**
 * What records between threads are. A kind is a name and a number here, and a handler: `participant.on(kind, …)`. A
 * record of a kind that its reader does not take is counted (`unhandled`) and dropped.
 */
export const RecordKind = {
  /** A message on a topic, for all that are interested (publish-codec.ts). */
  PUBLISH: 1,
  /** A request, which has a kind of its own, and the answer to one (ask-record.ts). */
  REQUEST: 2,
  REPLY: 3,
  /** What is told and asked about the broker's queues (stomp/broker/queues/queue-records.ts). */
  QUEUE: 4,
  /** A message for all subscribers of a destination, sent to those who are interested in it (stomp/broker/fanout.ts). */
  STOMP_MESSAGE: 5,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Kinds have numbers from 0 to 255. */
export const MAX_KIND = 255;
