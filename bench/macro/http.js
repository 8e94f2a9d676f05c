#!/usr/bin/env node
// @ts-check
import { HTTP_ROWS, httpServers } from '../lib/rows/http-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';

runMacro({
  title: 'HTTP',
  unit: 'request',
  usage: `HTTP benchmark: GET with a short answer; millrace, node:http and Bun in turns, autocannon as the client.

  node bench/macro/http.js [options]

  --rows P13            rows to run (default: all of ${HTTP_ROWS.map(({ id }) => id).join(', ')})
  --candidates node,bun servers to run beside millrace; of node, bun, uws
`,
  client: 'http-client.js',
  rows: HTTP_ROWS,
  servers: httpServers,
});
