import { described } from '../../../caller-values.ts';
import { MillraceError } from '../../../errors.ts';
import { checkLimits } from '../../../options/check-option.ts';
import type { LimitsOf } from '../../../options/option.ts';
import { STOMP_QUEUE_LIMITS } from '../../../options/stomp-queue-options.ts';
import { OverflowPolicy, type QueueLimits } from '../../queue/queue.ts';

export interface QueueOptions {
  /** Of each queue. */
  readonly limits: QueueLimits;
  /** Queues of one owner. */
  readonly maxQueues: number;
  /** Bytes of all queues of one owner, as their limits count them. */
  readonly maxQueueMemory: number;
  /** Where dead letters go, a destination for queues; '': nowhere. */
  readonly deadLetterQueue: string;
}

/** What the broker's user says of queues. */
export interface StompQueueOptions extends Partial<LimitsOf<typeof STOMP_QUEUE_LIMITS>> {
  /**
   * What becomes of a message for which its queue has no room: 'refuse', so that its sender gets an ERROR, or
   * 'drop-oldest': the oldest ones that wait give way. Default 'refuse'.
   */
  queuePolicy?: OverflowPolicy;
  /**
   * Where messages go that were rejected (NACK with `requeue:false`) or delivered `maxDeliveries` times: a destination
   * below /queue/. '': nowhere, they are gone. Default '/queue/dead-letters'.
   */
  deadLetterQueue?: string;
}

/**
 * Checks them, and fills in the defaults.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes
 */
export function checkQueueOptions(where: string, options: StompQueueOptions): QueueOptions {
  const limits = checkLimits(where, options, STOMP_QUEUE_LIMITS);
  const policy: unknown = options.queuePolicy ?? OverflowPolicy.REFUSE;
  if (policy !== OverflowPolicy.REFUSE && policy !== OverflowPolicy.DROP_OLDEST)
    throw invalidOption(where, 'queuePolicy', "'refuse' or 'drop-oldest'", policy);
  const deadLetterQueue: unknown = options.deadLetterQueue ?? '/queue/dead-letters';
  const isName = typeof deadLetterQueue === 'string' && /^(\/queue\/.+)?$/.test(deadLetterQueue);
  if (!isName)
    throw invalidOption(where, 'deadLetterQueue', "a destination below /queue/, or ''", deadLetterQueue);
  return {
    limits: {
      maxMessages: limits.maxQueueMessages,
      maxBytes: limits.maxQueueBytes,
      maxAge: limits.maxQueueAge * 1000,
      policy,
      maxDeliveries: limits.maxDeliveries,
    },
    maxQueues: limits.maxQueues,
    maxQueueMemory: limits.maxQueueMemory,
    deadLetterQueue,
  };
}

function invalidOption(where: string, name: string, rule: string, value: unknown): MillraceError {
  return new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: '${name}' must be ${rule}; got ${described(value)}`,
  );
}

/** Name of a queue among those of all virtual hosts: a host has no line end. */
export function queueKey(host: string, destination: string): string {
  return `${host}\n${destination}`;
}

export function hostOf(key: string): string {
  return key.slice(0, key.indexOf('\n'));
}

export function destinationOf(key: string): string {
  return key.slice(key.indexOf('\n') + 1);
}
