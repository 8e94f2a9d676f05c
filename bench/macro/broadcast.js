#!/usr/bin/env node
// @ts-check
import { BROADCAST_ROWS } from '../lib/rows/broadcast-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';
import { broadcastServers } from '../lib/servers/broadcast-servers.js';

runMacro({
  title: 'Broadcast',
  unit: 'delivery',
  usage: `Broadcast benchmark: millrace, ws and Bun in turns, one server thread each; and millrace across two shards.

  node bench/macro/broadcast.js [options]

  --rows P6,P7          rows to run (default: all of ${BROADCAST_ROWS.map(({ id }) => id).join(', ')})
  --candidates ws,bun   servers to run beside millrace; of ws, ws-by-hand (each message framed once, one write a
                        turn for each client), bun, uws, same-shard (default: those of the row that are installed)
`,
  client: 'broadcast-client.js',
  rows: BROADCAST_ROWS,
  servers: broadcastServers,
});
