// @ts-check

/** @typedef {import('../runs/macro-run.js').MacroRow} MacroRow */

const SIZE = 32;
const PER_TURN = 32;
/** Turns that may be on their way, so that neither side waits for the other. */
const TURNS = 8;

const SAME_SHARD = { shards: { publisher: 0, subscribers: 0 } };
const CROSS_SHARD = { shards: { publisher: 0, subscribers: 1 } };
const PLACES = { 'same-shard': SAME_SHARD, 'cross-shard': CROSS_SHARD };

/** @type {readonly MacroRow[]} */
export const BROADCAST_ROWS = [
  {
    id: 'P6',
    title: '100 clients publish from their handlers, all receive, 32 B',
    subject: 'millrace',
    peers: ['ws', 'ws-by-hand', 'bun', 'uws'],
    work: { connections: 100, size: SIZE },
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 25 },
      { peer: 'bun', metric: 'messagesPerSecond', must: 1, aim: 1.5 },
    ],
  },
  {
    id: 'P7',
    title: 'one publisher, 1,000 subscribers, 32 messages of 32 B a turn',
    subject: 'millrace',
    peers: ['ws-by-hand', 'bun', 'uws'],
    work: { connections: 1000, size: SIZE, perTurn: PER_TURN, turns: TURNS },
    targets: [{ peer: 'bun', metric: 'messagesPerSecond', must: 1, aim: 1.5 }],
  },
  {
    id: 'P8',
    title: 'publisher on shard 1, 1,000 subscribers there or on shard 2, 32 messages of 32 B a turn',
    subject: 'cross-shard',
    peers: ['same-shard'],
    // One turn at a time: a shard that falls behind the publisher makes one write of several turns, which would
    // compare fewer writes with more.
    work: { connections: 1000, size: SIZE, perTurn: PER_TURN, turns: 1 },
    workOf: PLACES,
    targets: [{ peer: 'same-shard', metric: 'messagesPerSecond', must: 0.8, aim: 1 }],
  },
  {
    id: 'P8-latency',
    title: 'the same, 100 subscribers, 1,000 messages a second, 20 s after the start',
    subject: 'cross-shard',
    peers: ['same-shard'],
    work: { connections: 100, size: SIZE, rate: 1000 },
    workOf: PLACES,
    // Before that V8 compiles, and makes the memory of each thread that has little to do small (from 8 s to 18 s, 10 to
    // 25 ms a thread), with helper threads on the one processor that the server has here.
    warmup: 20,
    most: 2,
    targets: [{ metric: 'latency99', must: 2 }],
  },
];
