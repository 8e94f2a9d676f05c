#!/usr/bin/env node
// @ts-check
import { capacityServers, HANDSHAKE_ROWS } from '../lib/rows/capacity-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';

runMacro({
  title: 'Handshakes',
  unit: 'handshake',
  usage: `Handshake benchmark: connections that open, say goodbye and are gone; millrace, ws and Bun in turns.

  node bench/macro/handshake.js [options]

  --rows P14            rows to run
  --candidates ws,bun   servers to run beside millrace (acceptor, handoff and one shard); of ws, bun, uws, app
                        (millrace in one thread, without a handoff)
`,
  client: 'handshake-client.js',
  rows: HANDSHAKE_ROWS,
  servers: capacityServers,
});
