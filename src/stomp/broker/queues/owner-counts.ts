import { Counter, Level } from '../../../metrics/counter.ts';
import { QueueTotals } from '../../queue/queue.ts';

/**
 * OwnerCounts: what an owner of queues counts, as its metrics have it. The counters of what was stored and removed outlive a
 * thread that crashes, so the next one knows how much was lost with it.
 */
export class OwnerCounts {
  totals = new QueueTotals();
  readonly #counters: Float64Array;
  /** What was counted here when this one began. */
  #before = new QueueTotals();

  /** @param counters of its thread */
  constructor(counters: Float64Array) {
    this.#counters = counters;
    this.begin();
  }

  /** Nothing is there yet. */
  begin(): void {
    const counters = this.#counters;
    this.totals = new QueueTotals();
    this.#before = new QueueTotals();
    this.#before.stored = counters[Counter.QUEUE_STORED]!;
    this.#before.removed = counters[Counter.QUEUE_REMOVED]!;
    this.#before.redelivered = counters[Counter.QUEUE_REDELIVERED]!;
    this.#before.deadLettered = counters[Counter.QUEUE_DEAD_LETTERED]!;
    this.#before.dropped = counters[Counter.QUEUE_DROPPED]!;
    this.#before.refused = counters[Counter.QUEUE_REFUSED]!;
  }

  /** Writes the metrics. */
  update(): void {
    const counters = this.#counters;
    const { totals } = this;
    const before = this.#before;
    counters[Level.QUEUE_MESSAGES] = totals.messages;
    counters[Level.QUEUE_BYTES] = totals.bytes;
    counters[Level.QUEUE_UNACKNOWLEDGED] = totals.unacknowledged;
    counters[Counter.QUEUE_STORED] = before.stored + totals.stored;
    counters[Counter.QUEUE_REMOVED] = before.removed + totals.removed;
    counters[Counter.QUEUE_REDELIVERED] = before.redelivered + totals.redelivered;
    counters[Counter.QUEUE_DEAD_LETTERED] = before.deadLettered + totals.deadLettered;
    counters[Counter.QUEUE_DROPPED] = before.dropped + totals.dropped;
    counters[Counter.QUEUE_REFUSED] = before.refused + totals.refused;
  }

  /** What was here is lost: it was stored and never removed. */
  lost(): void {
    const counters = this.#counters;
    const stored = counters[Counter.QUEUE_STORED]!;
    counters[Counter.QUEUE_LOST]! += stored - counters[Counter.QUEUE_REMOVED]!;
    counters[Counter.QUEUE_REMOVED] = stored;
  }

  /** One of these was not: its consumer has it. */
  recovered(): void {
    this.totals.stored++;
    this.#counters[Counter.QUEUE_RECOVERED]!++;
  }
}
