#!/usr/bin/env node
// @ts-check
import { ECHO_ROWS } from '../lib/rows/echo-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';
import { echoServers } from '../lib/servers/echo-servers.js';

runMacro({
  title: 'Echo',
  unit: 'message',
  usage: `Echo benchmark: millrace, ws and Bun in turns, one server thread each.

  node bench/macro/echo.js [options]

  --rows P1,P2          rows to run (default: all of ${ECHO_ROWS.map(({ id }) => id).join(', ')})
  --candidates ws,bun   servers to run beside millrace; of ws, ws-js (without bufferutil), bun, uws, message,
                        messageView (default: ws,bun, and uws where it is installed)
`,
  client: 'echo-client.js',
  rows: ECHO_ROWS,
  servers: echoServers,
});
