import type { BenchPlan } from '../../options.ts';
import { isSpecial, specialBefore } from '../../roles.ts';

/**
 * Destinations of a run: topics when there are subscribers, then queues when there are consumers. Message n of a publisher
 * goes to destination n modulo their count, so whoever gets message n of a publisher from one of them next gets n + count.
 */
export class Destinations {
  readonly topics: number;
  readonly count: number;
  /** By number. */
  readonly names: readonly string[];

  /** @param run makes the names those of one run */
  constructor(plan: BenchPlan, run: number) {
    const { destinations, consumers } = plan;
    this.topics = subscribersOf(plan) > 0 ? destinations : 0;
    this.count = this.topics + (consumers > 0 ? destinations : 0);
    const prefix = `millrace-bench-${run.toString(36)}`;
    this.names = Array.from({ length: this.count }, (_, i) =>
      this.isQueue(i) ? `/queue/${prefix}-${i - this.topics}` : `/topic/${prefix}-${i}`,
    );
  }

  isQueue(destination: number): boolean {
    return destination >= this.topics;
  }

  /** The first message from `number` on that goes to a destination. */
  nextTo(destination: number, number: number): number {
    const behind = (number - destination) % this.count;
    if (number <= destination) return destination;
    return behind === 0 ? number : number + this.count - behind;
  }

  /** How many of the first `published` messages of a publisher went to queues. */
  queued(published: number): number {
    const rest = published % this.count;
    return Math.floor(published / this.count) * (this.count - this.topics) + Math.max(0, rest - this.topics);
  }
}

/** What a connection does. */
export type Role =
  | { readonly name: 'publisher'; readonly number: number }
  | {
      readonly name: 'subscriber' | 'consumer';
      readonly destination: number;
      /** Whether it is the first one at its destination. */
      readonly isFirst: boolean;
    };

/** Publishers are spread evenly over all connections, and consumers over the others: the rest are subscribers. */
export function roleOf(plan: BenchPlan, { topics }: Destinations, connection: number): Role {
  const { connections, publishers, consumers, destinations } = plan;
  const published = specialBefore(connection, publishers, connections);
  if (isSpecial(connection, publishers, connections)) return { name: 'publisher', number: published };
  const receiver = connection - published;
  const receivers = connections - publishers;
  const consumed = specialBefore(receiver, consumers, receivers);
  const isConsumer = isSpecial(receiver, consumers, receivers);
  const number = isConsumer ? consumed : receiver - consumed;
  return {
    name: isConsumer ? 'consumer' : 'subscriber',
    destination: (isConsumer ? topics : 0) + (number % destinations),
    isFirst: number < destinations,
  };
}

export function subscribersOf({ connections, publishers, consumers }: BenchPlan): number {
  return connections - publishers - consumers;
}
