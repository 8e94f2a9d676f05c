// @ts-check

/** @typedef {import('../runs/macro-run.js').MacroRow} MacroRow */

const SIZE = 32;
const RABBITMQ = { path: '/ws', login: 'guest', passcode: 'guest', virtualHost: '/' };

/** @type {readonly MacroRow[]} */
export const STOMP_ROWS = [
  {
    id: 'P19',
    title: 'STOMP: one publisher, 1,000 subscribers of a topic on two shards, 32 messages of 32 B in flight',
    subject: 'millrace',
    peers: ['rabbitmq', 'stomp-broker-js'],
    work: { connections: 1001, publishers: 1, consumers: 0, pipelining: 32, size: SIZE },
    workOf: { rabbitmq: RABBITMQ },
    targets: [{ peer: 'rabbitmq', metric: 'messagesPerSecond', must: 1 }],
  },
  {
    id: 'P20',
    title:
      'STOMP: four publishers to a queue, four consumers acknowledge each message, 256 of 32 B in flight',
    subject: 'millrace',
    // stomp-broker-js gives each message of a queue to everybody.
    peers: ['rabbitmq'],
    work: { connections: 8, publishers: 4, consumers: 4, pipelining: 64, size: SIZE },
    workOf: { rabbitmq: RABBITMQ },
    targets: [{ peer: 'rabbitmq', metric: 'messagesPerSecond', must: 10 }],
  },
];
