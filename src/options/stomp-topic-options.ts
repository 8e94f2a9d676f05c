/** Limits of what the broker keeps for subscribers of topics. */
export const STOMP_TOPIC_LIMITS = {
  /**
   * Segments of all patterns that are subscribed to on a shard; what patterns begin with alike counts once. More are refused
   * with an ERROR. Default 100,000 (0 to 10,000,000 segments).
   */
  maxPatternSegments: {
    type: 'integer',
    default: 100_000,
    min: 0,
    max: 10_000_000,
    unit: 'segments',
    help: 'Segments of all patterns that are subscribed to on a shard; more are refused.',
  },
  /**
   * Bytes of messages of topics that wait for a subscription whose client acknowledges too little, 96 more for each. With more
   * the client gets an ERROR. Default 1,048,576 (1,024 to 1,073,741,824 bytes).
   */
  maxTopicBacklog: {
    type: 'integer',
    default: 1024 * 1024,
    min: 1024,
    max: 1024 * 1024 * 1024,
    unit: 'bytes',
    help: 'Bytes of topic messages that wait for a subscription whose client acknowledges too little.',
  },
  /** Temporary queues of a session. More are refused with an ERROR. Default 100 (0 to 10,000 queues). */
  maxTempQueues: {
    type: 'integer',
    default: 100,
    min: 0,
    max: 10_000,
    unit: 'queues',
    help: 'Temporary queues of a session; more are refused.',
  },
} as const;
