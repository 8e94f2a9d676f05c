#!/usr/bin/env node
// @ts-check
import { DEFLATE_ROWS } from '../lib/rows/deflate-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';
import { deflateServers } from '../lib/servers/echo-servers.js';

runMacro({
  title: 'Compression',
  unit: 'message',
  usage: `Compression benchmark: echo with permessage-deflate by millrace, ws and Bun in turns, one server thread each.

  node bench/macro/deflate.js [options]

  --rows P11            rows to run (default: all of ${DEFLATE_ROWS.map(({ id }) => id).join(', ')})
  --candidates ws,bun   servers to run beside millrace; of ws, bun, uws, message, messageView (default: ws,bun, and
                        uws where it is installed)
`,
  client: 'deflate-client.js',
  rows: DEFLATE_ROWS,
  servers: deflateServers,
});
