import type { Option } from './option.ts';

/** Limits of the broker's queues. Each queue is kept by one shard; what counts for a shard is said so. */
export const STOMP_QUEUE_LIMITS = {
  /**
   * Queues that a shard keeps. A queue is there while it has messages or consumers. More are refused with an ERROR.
   * Default 100,000 (1 to 1,000,000 queues).
   */
  maxQueues: {
    type: 'integer',
    default: 100_000,
    min: 1,
    max: 1_000_000,
    unit: 'queues',
    help: 'Queues that a shard keeps; more are refused.',
  },
  /**
   * Messages of a queue, those that consumers have included. With more `queuePolicy` says what happens. Default
   * 100,000 (1 to 10,000,000 messages).
   */
  maxQueueMessages: {
    type: 'integer',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    unit: 'messages',
    help: 'Messages of a queue, those that consumers have included.',
  },
  /**
   * Bytes of a queue's messages, with 96 more for each. With more `queuePolicy` says what happens. Default
   * 33,554,432 (1,024 to 50,331,648 bytes).
   */
  maxQueueBytes: {
    type: 'integer',
    default: 32 * 1024 * 1024,
    min: 1024,
    max: 48 * 1024 * 1024,
    unit: 'bytes',
    help: "Bytes of a queue's messages, with 96 more for each.",
  },
  /**
   * Bytes of all queues that a shard keeps. More is refused with an ERROR. It is as much as `reload()` can hand over.
   * Default 50,331,648 (1,024 to 50,331,648 bytes).
   */
  maxQueueMemory: {
    type: 'integer',
    default: 48 * 1024 * 1024,
    min: 1024,
    max: 48 * 1024 * 1024,
    unit: 'bytes',
    help: 'Bytes of all queues that a shard keeps; more is refused.',
  },
  /**
   * Time that a message may wait for a consumer. Then it is dropped. Default 0: no limit (else 1 to 31,536,000
   * seconds).
   */
  maxQueueAge: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 31_536_000,
    zero: 'no limit',
    unit: 'seconds',
    help: 'Seconds that a message may wait for a consumer; then it is dropped.',
  },
  /**
   * Times that a message is delivered. One that comes back after the last time goes to the dead-letter queue.
   * Default 20 (1 to 1,000,000 deliveries; 0: no limit).
   */
  maxDeliveries: {
    type: 'integer',
    default: 20,
    min: 1,
    max: 1_000_000,
    zero: 'no limit',
    unit: 'deliveries',
    help: 'Times that a message is delivered; then it goes to the dead-letter queue.',
  },
} as const;

/** What queues are told beside their limits. */
export const STOMP_QUEUE_OPTIONS = {
  queuePolicy: {
    type: 'text',
    default: '`refuse`',
    help: 'What becomes of a message for which its queue has no room: `refuse`, an ERROR for its sender, or `drop-oldest`.',
  },
  deadLetterQueue: {
    type: 'text',
    default: '`/queue/dead-letters`',
    help: "Where messages go that were rejected or delivered too often; '': nowhere.",
  },
} as const satisfies Readonly<Record<string, Option>>;
