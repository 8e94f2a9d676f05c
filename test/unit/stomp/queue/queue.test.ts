import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Outcome,
  OverflowPolicy,
  Queue,
  type QueueLimits,
  QueueTotals,
} from '../../../../src/stomp/queue/queue.ts';
import { QueueConsumer } from '../../../../src/stomp/queue/queue-consumer.ts';
import { MESSAGE_OVERHEAD, QueuedMessage } from '../../../../src/stomp/queue/queued-message.ts';
import { ReferenceQueue } from './reference-queue.ts';

const NO_LIMITS: QueueLimits = {
  maxMessages: 1000,
  maxBytes: 1_000_000,
  maxAge: 0,
  policy: OverflowPolicy.REFUSE,
  maxDeliveries: 0,
};

/** A queue whose consumers have numbers, and what it tells. */
class Driven {
  readonly log: string[] = [];
  readonly totals = new QueueTotals();
  readonly queue: Queue;
  readonly consumers = new Map<number, QueueConsumer>();
  #next = 1;

  constructor(limits: Partial<QueueLimits> = {}) {
    const port = {
      deliver: (consumer: QueueConsumer, { number, deliveries }: QueuedMessage) => {
        this.log.push(`to ${this.idOf(consumer)}: ${number}, delivery ${deliveries}`);
      },
      deadLetter: (_queue: Queue, { number }: QueuedMessage, reason: string) => {
        this.log.push(`dead ${number} ${reason}`);
      },
    };
    this.queue = new Queue('q', { ...NO_LIMITS, ...limits }, port, this.totals);
  }

  idOf(consumer: QueueConsumer): number {
    for (const [id, one] of this.consumers) if (one === consumer) return id;
    return -1;
  }

  send(count = 1, size = 0, now = 0): boolean {
    let isStored = true;
    for (let i = 0; i < count; i++)
      isStored = this.queue.add(new QueuedMessage(this.#next++, new Uint8Array(size), now), now);
    return isStored;
  }

  join(id: number, window: number): void {
    const consumer = new QueueConsumer(window);
    this.consumers.set(id, consumer);
    this.queue.addConsumer(consumer);
    this.queue.dispatch(0);
  }

  leave(id: number): void {
    const consumer = this.consumers.get(id)!;
    this.queue.removeConsumer(consumer);
    this.consumers.delete(id);
    this.queue.dispatch(0);
  }

  settle(id: number, numbers: number[], outcome: Outcome, now = 0): void {
    for (const number of numbers) this.queue.settle(this.consumers.get(id)!, number, outcome);
    this.queue.dispatch(now);
  }

  /** What was told since it was asked last. */
  told(): string[] {
    return this.log.splice(0);
  }

  /** Numbers of those that wait. */
  get waiting(): number[] {
    return Array.from(this.queue.waiting(), ({ number }) => number);
  }
}

describe('a queue', () => {
  it('gives its messages to consumers in turn, and to each as many as it has room for', () => {
    const driven = new Driven();
    driven.join(1, 2);
    driven.join(2, 1);
    driven.send(5);
    expect(driven.told()).toEqual(['to 1: 1, delivery 1', 'to 2: 2, delivery 1', 'to 1: 3, delivery 1']);
    expect(driven.waiting).toEqual([4, 5]);
    driven.settle(2, [2], Outcome.ACCEPTED);
    expect(driven.told()).toEqual(['to 2: 4, delivery 1']);
    driven.settle(1, [1, 3], Outcome.ACCEPTED);
    expect(driven.told()).toEqual(['to 1: 5, delivery 1']);
  });

  it('keeps them while there is no consumer', () => {
    const driven = new Driven();
    driven.send(3);
    expect(driven.told()).toEqual([]);
    driven.join(1, 2);
    expect(driven.told()).toEqual(['to 1: 1, delivery 1', 'to 1: 2, delivery 1']);
  });

  it('takes back what a consumer had that ends, in the old order and before what waits', () => {
    const driven = new Driven();
    driven.join(1, 3);
    driven.send(4);
    driven.told();
    driven.settle(1, [2], Outcome.ACCEPTED);
    expect(driven.told()).toEqual(['to 1: 4, delivery 1']);
    driven.send(1);
    driven.leave(1);
    expect(driven.waiting).toEqual([1, 3, 4, 5]);
    driven.join(2, 4);
    expect(driven.told()).toEqual([
      'to 2: 1, delivery 2',
      'to 2: 3, delivery 2',
      'to 2: 4, delivery 2',
      'to 2: 5, delivery 1',
    ]);
    expect(driven.totals.redelivered).toBe(3);
  });

  it('makes a dead letter of what is rejected, and of what came back too often', () => {
    const driven = new Driven({ maxDeliveries: 2 });
    driven.join(1, 1);
    driven.send(2);
    driven.settle(1, [1], Outcome.RETURNED);
    driven.settle(1, [1], Outcome.RETURNED);
    driven.settle(1, [2], Outcome.REJECTED);
    expect(driven.told()).toEqual([
      'to 1: 1, delivery 1',
      'to 1: 1, delivery 2',
      'dead 1 deliveries',
      'to 1: 2, delivery 1',
      'dead 2 rejected',
    ]);
    expect(driven.totals).toMatchObject({ messages: 0, bytes: 0, deadLettered: 2, unacknowledged: 0 });
  });

  it('does not count a delivery that never got to the client', () => {
    const driven = new Driven({ maxDeliveries: 1 });
    driven.join(1, 1);
    driven.send();
    driven.settle(1, [1], Outcome.UNUSED);
    driven.settle(1, [1], Outcome.UNUSED);
    expect(driven.told()).toEqual(Array.from({ length: 3 }, () => 'to 1: 1, delivery 1'));
    expect(driven.totals.redelivered).toBe(0);
  });

  it('ignores that something is settled that the consumer does not have', () => {
    const driven = new Driven();
    driven.join(1, 1);
    driven.join(2, 1);
    driven.send(2);
    driven.settle(1, [2, 77], Outcome.ACCEPTED);
    driven.settle(1, [1], Outcome.ACCEPTED);
    driven.settle(1, [1], Outcome.RETURNED);
    expect(driven.totals).toMatchObject({ messages: 1, unacknowledged: 1, removed: 1 });
  });

  it('refuses what is too many or too large, or lets the oldest go that wait', () => {
    const refusing = new Driven({ maxMessages: 2 });
    expect(refusing.send(2)).toBe(true);
    expect(refusing.send()).toBe(false);
    expect(refusing.totals).toMatchObject({ messages: 2, refused: 1 });

    const dropping = new Driven({ maxMessages: 2, policy: OverflowPolicy.DROP_OLDEST });
    expect(dropping.send(5)).toBe(true);
    expect(dropping.waiting).toEqual([4, 5]);
    expect(dropping.totals).toMatchObject({ messages: 2, dropped: 3, refused: 0 });
    dropping.join(1, 2);
    expect(dropping.send()).toBe(false);

    const large = new Driven({ maxBytes: 1000, policy: OverflowPolicy.DROP_OLDEST });
    large.send(2, 300);
    expect(large.send(1, 1000 - MESSAGE_OVERHEAD + 1)).toBe(false);
    expect(large.waiting).toEqual([1, 2]);
    expect(large.send(1, 1000 - MESSAGE_OVERHEAD)).toBe(true);
    expect(large.waiting).toEqual([4]);
  });

  it('drops what has waited for too long', () => {
    const driven = new Driven({ maxAge: 100 });
    driven.send(1, 0, 0);
    driven.send(1, 0, 50);
    driven.queue.expire(100);
    expect(driven.waiting).toEqual([1, 2]);
    driven.queue.expire(101);
    expect(driven.waiting).toEqual([2]);
    driven.join(1, 2);
    expect(driven.told()).toEqual(['to 1: 2, delivery 1']);
    // What a consumer has does not wait; it does when it comes back.
    driven.settle(1, [2], Outcome.RETURNED, 500);
    expect(driven.told()).toEqual([]);
    expect(driven.totals).toMatchObject({ messages: 0, dropped: 2 });
  });

  it('is idle without messages and consumers', () => {
    const driven = new Driven();
    expect(driven.queue.isIdle).toBe(true);
    driven.join(1, 1);
    expect(driven.queue.isIdle).toBe(false);
    driven.send();
    driven.leave(1);
    expect(driven.queue.isIdle).toBe(false);
    driven.join(1, 1);
    driven.settle(1, [1], Outcome.ACCEPTED);
    driven.leave(1);
    expect(driven.queue.isIdle).toBe(true);
  });

  it('takes over what another queue of its name had', () => {
    const driven = new Driven();
    driven.join(1, 2);
    driven.queue.restoreTaken(driven.consumers.get(1)!, new QueuedMessage(-3, new Uint8Array(0), 0, 1));
    driven.queue.restoreTaken(driven.consumers.get(1)!, new QueuedMessage(-1, new Uint8Array(0), 0, 1));
    driven.queue.restore(new QueuedMessage(-2, new Uint8Array(0), 0, 2));
    driven.send();
    expect(driven.told()).toEqual([]);
    driven.leave(1);
    expect(driven.waiting).toEqual([-3, -2, -1, 1]);
  });
});

/** What may happen to a queue, in numbers that are made to fit what is there. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('send' as const), size: fc.nat(60) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('join' as const), window: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat(),
      numbers: fc.array(fc.nat(), { maxLength: 4 }),
      outcome: fc.constantFrom(...Object.values(Outcome)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(60) }) },
);

const limits = fc.record({
  maxMessages: fc.constantFrom(3, 10, 1000),
  maxBytes: fc.constantFrom(500, 5000, 1_000_000),
  maxAge: fc.constantFrom(0, 0, 50),
  policy: fc.constantFrom(...Object.values(OverflowPolicy)),
  maxDeliveries: fc.constantFrom(0, 1, 3),
});

describe('any schedule', () => {
  it('ends as in the slow queue, step by step', () => {
    fc.assert(
      fc.property(limits, fc.array(step, { minLength: 1, maxLength: 120 }), (given, steps) => {
        const driven = new Driven(given);
        const reference = new ReferenceQueue(given);
        let now = 0;
        let number = 0;
        let id = 0;
        for (const one of steps) {
          const ids = [...reference.consumers.keys()];
          if (one.do === 'send') {
            const message = new QueuedMessage(++number, new Uint8Array(one.size), now);
            expect(driven.queue.add(message, now)).toBe(reference.add(number, one.size, now));
          } else if (one.do === 'join') {
            const consumer = new QueueConsumer(one.window);
            driven.consumers.set(++id, consumer);
            driven.queue.addConsumer(consumer);
            reference.addConsumer(id, one.window);
          } else if (one.do === 'wait') {
            now += one.ms;
          } else if (ids.length > 0) {
            const who = ids[one.which % ids.length]!;
            const consumer = driven.consumers.get(who)!;
            if (one.do === 'leave') {
              driven.queue.removeConsumer(consumer);
              driven.consumers.delete(who);
              reference.removeConsumer(who);
            } else {
              const taken = [...consumer.taken.keys()];
              for (const which of one.numbers) {
                // Now and then one that it does not have any more, or never had.
                const settled = taken[which % (taken.length + 1)] ?? which;
                driven.queue.settle(consumer, settled, one.outcome);
                reference.settle(who, settled, one.outcome);
              }
            }
          }
          driven.queue.dispatch(now);
          reference.dispatch(now);
          expect(driven.log).toEqual(reference.log);
          expect(driven.waiting).toEqual(reference.ready.map((message) => message.number));
          const { totals, queue } = driven;
          expect([queue.messages, queue.bytes, queue.ready]).toEqual([
            reference.all.length,
            reference.bytes,
            reference.ready.length,
          ]);
          expect(totals).toMatchObject({
            messages: reference.all.length,
            bytes: reference.bytes,
            unacknowledged: reference.all.length - reference.ready.length,
            refused: reference.refused,
            dropped: reference.dropped,
          });
          expect(totals.stored - totals.removed).toBe(totals.messages);
        }
      }),
      { numRuns: 500 },
    );
  });
});
