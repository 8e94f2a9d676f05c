#!/usr/bin/env node
// @ts-check
import { capacityServers, HOLD_ROWS } from '../lib/rows/capacity-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';

runMacro({
  title: 'Many connections',
  unit: 'message',
  usage: `Many connections: 15,000 on one server process, each with a message a second. They are held by three client
processes, because a process has 20,000 descriptors.

  node bench/macro/hold.js [options]

  --rows P16            rows to run
  --candidates ws,bun   servers to run beside millrace; of ws, bun, uws, app (millrace in one thread; default: none)
`,
  client: 'hold-client.js',
  rows: HOLD_ROWS,
  servers: capacityServers,
});
