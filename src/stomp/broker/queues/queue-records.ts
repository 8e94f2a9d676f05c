/**
 * What threads tell each other about queues, in records of kind QUEUE. A thread that has clients asks the owner, a batch of
 * operations at a time, and the owner answers what became of them:
 *
 *     request   [RUN 4, EPOCH 4, BATCH 4] operations
 *         SEND         queue, payload
 *         SEND_MORE    payload                           to the queue of the SEND before
 *         SUBSCRIBE    consumer 4, window 4, queue
 *         UNSUBSCRIBE  consumer 4, count 4, number 8 of each that its client was sent
 *         SETTLE       consumer 4, outcome 1, count 4, number 8 of each
 *         HELD         consumer 4, number 8, deliveries 4, since 8, payload
 *     answer    [VERDICT 1, EPOCH 4] a Status for each SEND and SUBSCRIBE; none when all were DONE
 *
 * The owner sends, whenever it has something:
 *
 *     ANNOUNCE  epoch 4
 *     DELIVER   run 4, and for each message: consumer 4, number 8, deliveries 4, since 8, payload
 *
 * RUN is of a thread that has clients, EPOCH of the state of an owner: numbers by chance that are others when what they
 * stand for was lost. BATCH is another for each batch of a thread: one that comes again, because its answer did not, is not
 * done again.
 */
export const Operation = {
  SEND: 1,
  SEND_MORE: 2,
  SUBSCRIBE: 3,
  UNSUBSCRIBE: 4,
  SETTLE: 5,
  HELD: 6,
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

export const OwnerRecord = { ANNOUNCE: 1, DELIVER: 2 } as const;
export type OwnerRecord = (typeof OwnerRecord)[keyof typeof OwnerRecord];

export const REQUEST_HEADER = 12;
export const ANSWER_HEADER = 5;

export const Verdict = {
  DONE: 0,
  /** The owner does not have what it had in this epoch: nothing was done. */
  OTHER_EPOCH: 1,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** What became of an operation. */
export const Status = {
  DONE: 0,
  /** The queue has its most messages or bytes. */
  QUEUE_FULL: 1,
  /** All queues of the owner have their most bytes. */
  MEMORY_FULL: 2,
  TOO_MANY_QUEUES: 3,
} as const;
export type Status = (typeof Status)[keyof typeof Status];
