// @ts-check

import { TOGETHER } from '../runs/load-run.js';
import { nodeServer } from '../servers/server-process.js';

/** @typedef {import('../servers/server-process.js').ServerCommand} ServerCommand */

/** @type {readonly import('../runs/macro-run.js').MacroRow[]} */
export const STOMP_QUEUE_ROWS = [
  {
    id: 'P31',
    title:
      'a STOMP queue: 4 publishers with 64 in flight, 4 consumers that acknowledge each message, two shards',
    subject: 'two-shards',
    peers: ['one-shard'],
    place: TOGETHER,
    work: { publishers: 4, consumers: 4, size: 20, inFlight: 64 },
    targets: [{ metric: 'messagesPerSecond', must: 100_000 }],
  },
];

/** @returns {Map<string, ServerCommand>} */
export function stompQueueServers() {
  return new Map([
    ['one-shard', nodeServer('millrace-stomp-queues.js', '1')],
    ['two-shards', nodeServer('millrace-stomp-queues.js', '2')],
  ]);
}
