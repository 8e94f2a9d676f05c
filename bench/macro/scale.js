#!/usr/bin/env node
// @ts-check
import { SCALE_ROWS, scaleServers } from '../lib/rows/scale-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';

runMacro({
  title: 'Scale with shards',
  unit: 'message',
  usage: `Scale with shards: a handler that computes for 20 µs, with one shard and with two on two processors.

  node bench/macro/scale.js [options]

  --rows P17            rows to run
`,
  client: 'echo-client.js',
  rows: SCALE_ROWS,
  servers: scaleServers,
});
