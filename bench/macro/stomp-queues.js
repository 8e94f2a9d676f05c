#!/usr/bin/env node
// @ts-check
import { STOMP_QUEUE_ROWS, stompQueueServers } from '../lib/rows/stomp-queue-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';

runMacro({
  title: 'STOMP queues',
  unit: 'message',
  usage: `STOMP queues: messages that are sent, stored by the shard that owns the queue, delivered in turn and acknowledged
one by one, by the load generator of \`millrace bench\`, which checks each of them.

  node bench/macro/stomp-queues.js [options]

  --rows P31            rows to run
  --candidates …        one-shard
`,
  client: 'stomp-queue-client.js',
  rows: STOMP_QUEUE_ROWS,
  servers: stompQueueServers,
});
