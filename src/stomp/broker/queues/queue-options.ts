import type { QueueLimits } from '../../queue/queue.ts';

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
