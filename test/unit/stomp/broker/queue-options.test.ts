import { describe, expect, it } from 'vitest';
import { STOMP_QUEUE_LIMITS } from '../../../../src/options/stomp-queue-options.ts';
import {
  checkQueueOptions,
  destinationOf,
  hostOf,
  queueKey,
} from '../../../../src/stomp/broker/queues/queue-options.ts';

describe('options of queues', () => {
  it('have defaults, which one message of any size allowed fits', () => {
    const { limits, ...others } = checkQueueOptions('stompBroker', {});
    expect(limits).toEqual({
      maxMessages: 100_000,
      maxBytes: 32 * 1024 * 1024,
      maxAge: 0,
      policy: 'refuse',
      maxDeliveries: 20,
    });
    expect(others).toEqual({
      maxQueues: 100_000,
      maxQueueMemory: 48 * 1024 * 1024,
      deadLetterQueue: '/queue/dead-letters',
    });
  });

  it('are taken as given', () => {
    const given = {
      maxQueues: 1,
      maxQueueMessages: 2,
      maxQueueBytes: 3000,
      maxQueueMemory: 4000,
      maxQueueAge: 5,
      maxDeliveries: 0,
      queuePolicy: 'drop-oldest' as const,
      deadLetterQueue: '',
    };
    expect(checkQueueOptions('stompBroker', given)).toEqual({
      limits: { maxMessages: 2, maxBytes: 3000, maxAge: 5000, policy: 'drop-oldest', maxDeliveries: 0 },
      maxQueues: 1,
      maxQueueMemory: 4000,
      deadLetterQueue: '',
    });
    expect(Object.keys(given)).toEqual(expect.arrayContaining(Object.keys(STOMP_QUEUE_LIMITS)));
  });

  it.each([
    [{ maxQueues: 0 }, "'maxQueues' must be an integer from 1 to 1000000 (queues)"],
    [{ maxQueueMemory: 2 ** 30 }, "'maxQueueMemory' must be"],
    [{ queuePolicy: 'drop' }, "'queuePolicy' must be 'refuse' or 'drop-oldest'; got 'drop'"],
    [
      { deadLetterQueue: '/topic/x' },
      "'deadLetterQueue' must be a destination below /queue/, or ''; got '/topic/x'",
    ],
    [{ deadLetterQueue: '/queue/' }, "'deadLetterQueue' must be"],
    [{ deadLetterQueue: 7 }, "'deadLetterQueue' must be"],
  ])('are refused when they are none: %j', (given, message) => {
    expect(() => checkQueueOptions('stompBroker', given as never)).toThrow(`stompBroker: ${message}`);
  });
});

it('names a queue by its host and destination', () => {
  const key = queueKey('host', '/queue/a\nb');
  expect([hostOf(key), destinationOf(key)]).toEqual(['host', '/queue/a\nb']);
});
