#!/usr/bin/env node
// @ts-check
import { capacityServers, MEMORY_ROWS } from '../lib/rows/capacity-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';

runMacro({
  title: 'Memory',
  unit: 'connection',
  usage: `Memory benchmark: what 9,000 more idle connections cost a server that has 1,000; millrace, ws and Bun in turns.

  node bench/macro/memory.js [options]

  --rows P15            rows to run
  --candidates ws,bun   servers to run beside millrace; of ws, bun, uws, app (millrace in one
                        thread, without acceptor and handoff)
`,
  client: 'memory-client.js',
  rows: MEMORY_ROWS,
  servers: (options) => capacityServers(options, true),
});
