// @ts-check

/**
 * A row of the table of targets: work that all candidates do, and what millrace must reach in it.
 *
 * @typedef {object} EchoRow
 * @property {string} id
 * @property {string} title
 * @property {number} size payload in bytes
 * @property {number} inFlight messages on their way on each connection
 * @property {number} connections
 * @property {'messageView' | 'message'} handler of millrace
 * @property {readonly Target[]} targets
 *
 * @typedef {object} Target
 * @property {'ws' | 'bun'} peer
 * @property {'messagesPerSecond' | 'messagesPerServerSecond'} metric
 * @property {number} [must] ratio to the peer that must be reached
 * @property {number} [aim] ratio that is hoped for
 */

/** @type {readonly EchoRow[]} */
export const ECHO_ROWS = [
  {
    id: 'P1',
    title: 'echo, 20 B, 1 in flight, messageView',
    size: 20,
    inFlight: 1,
    connections: 100,
    handler: 'messageView',
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 1.5 },
      { peer: 'bun', metric: 'messagesPerServerSecond', must: 0.85, aim: 1 },
    ],
  },
  {
    id: 'P2',
    title: 'echo, 20 B, 16 in flight, messageView',
    size: 20,
    inFlight: 16,
    connections: 100,
    handler: 'messageView',
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 12 },
      { peer: 'bun', metric: 'messagesPerSecond', must: 1.1, aim: 1.5 },
    ],
  },
  {
    id: 'P3',
    title: 'echo, 20 B, 16 in flight, message',
    size: 20,
    inFlight: 16,
    connections: 100,
    handler: 'message',
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 7 },
      { peer: 'bun', metric: 'messagesPerSecond', must: 0.5, aim: 0.8 },
    ],
  },
  {
    id: 'P4',
    title: 'echo, 16 KiB, 1 in flight, messageView',
    size: 16 * 1024,
    inFlight: 1,
    connections: 100,
    handler: 'messageView',
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 1.8 },
      { peer: 'bun', metric: 'messagesPerSecond', must: 1.2, aim: 1.5 },
    ],
  },
  {
    id: 'P5',
    title: 'echo, 1 MiB, 1 in flight, messageView',
    size: 1024 * 1024,
    inFlight: 1,
    connections: 8,
    handler: 'messageView',
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 1.5 },
      { peer: 'bun', metric: 'messagesPerSecond', aim: 1 },
    ],
  },
];
