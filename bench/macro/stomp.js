#!/usr/bin/env node
// @ts-check
import { STOMP_ROWS } from '../lib/rows/stomp-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';
import { stompServers } from '../lib/servers/stomp-servers.js';

runMacro({
  title: 'STOMP',
  unit: 'delivery',
  usage: `STOMP benchmark: millrace with two shards, RabbitMQ's web-stomp and stomp-broker-js in turns.

  node bench/macro/stomp.js [options]

  --rows P19,P20                            rows to run (default: all)
  --candidates rabbitmq,stomp-broker-js     brokers to run beside millrace (default: those of the row that are
                                            installed; Debian's rabbitmq-server, npm's stomp-broker-js)
`,
  client: 'stomp-client.js',
  rows: STOMP_ROWS,
  servers: stompServers,
});
