#!/usr/bin/env node
// @ts-check
import { echoServers } from '../lib/echo-servers.js';
import { FAIRNESS_ROWS } from '../lib/fairness-rows.js';
import { runMacro } from '../lib/macro-run.js';

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
