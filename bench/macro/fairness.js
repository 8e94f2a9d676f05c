#!/usr/bin/env node
import { FAIRNESS_ROWS } from '../lib/rows/fairness-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';
// @ts-check
import { echoServers } from '../lib/servers/echo-servers.js';

runMacro({
  title: 'Fairness',
  unit: 'message',
  usage: `Fairness: the latency of connections that talk, while five others send messages of one byte without end.

  node bench/macro/fairness.js [options]

  --rows F25            rows to run (default: all of ${FAIRNESS_ROWS.map(({ id }) => id).join(', ')})
  --candidates ws       servers to run beside millrace; of ws, uws, message, messageView
`,
  client: 'fairness-client.js',
  rows: FAIRNESS_ROWS,
  servers: echoServers,
});
