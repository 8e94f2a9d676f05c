// @ts-check
// STOMP with Debian's rabbitmq-server and its plugin rabbitmq_web_stomp, in a folder and on ports of its own, which nothing
// of the machine's own RabbitMQ is touched by: node stomp-rabbitmq.js FOLDER. It is killed with its process group, and whoever
// does that removes the folder.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ready } from './ready.js';

const COMMAND = '/usr/lib/rabbitmq/bin/rabbitmq-server';
/** Each version has a folder of its own here, such as rabbitmq_server-3.10.8. */
const VERSIONS = '/usr/lib/rabbitmq/lib';
const HOST = '127.0.0.1';
/** Seconds that its start may take. */
const START_LIMIT = 60;

async function freePort() {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** @param {number} port */
async function isListening(port) {
  const socket = connect(port, HOST);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

const [, version = 'unknown'] = /rabbitmq_server-([\d.]+)/.exec(readdirSync(VERSIONS).join(' ')) ?? [];
const folder = process.argv[2] ?? '';
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const [port, tcpPort, nodePort, namesPort] = await Promise.all([
  freePort(),
  freePort(),
  freePort(),
  freePort(),
]);
writeFileSync(
  join(folder, 'rabbitmq.conf'),
  `listeners.tcp = none
stomp.listeners.tcp.1 = ${HOST}:${tcpPort}
web_stomp.tcp.ip = ${HOST}
web_stomp.tcp.port = ${port}
log.file = false
log.console = false
`,
);
writeFileSync(join(folder, 'enabled_plugins'), '[rabbitmq_stomp,rabbitmq_web_stomp].\n');
const names = { ERL_EPMD_PORT: String(namesPort), ERL_EPMD_ADDRESS: HOST };
// Erlang's registry of names would leave the process group if the node started it.
spawn('epmd', [], { env: { ...process.env, ...names }, stdio: 'ignore' });
const broker = spawn(COMMAND, [], {
  env: {
    ...process.env,
    ...names,
    HOME: folder,
    // The node takes the place of its script.
    RUNNING_UNDER_SYSTEMD: '1',
    RABBITMQ_NODENAME: `bench-${port}@localhost`,
    RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_FEATURE_FLAGS_FILE: join(folder, 'feature_flags'),
    RABBITMQ_PLUGINS_EXPAND_DIR: join(folder, 'plugins'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'config'),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_DIST_PORT: String(nodePort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
  },
  stdio: ['ignore', 'ignore', 'inherit'],
});
broker.once('exit', (code) => {
  process.stderr.write(`rabbitmq-server ended with ${code}\n`);
  process.exit(1);
});

const deadline = performance.now() + START_LIMIT * 1000;
while (!(await isListening(port))) {
  if (performance.now() > deadline) throw new Error(`rabbitmq-server does not listen after ${START_LIMIT} s`);
  await sleep(50);
}
const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
ready({ name: 'RabbitMQ', version, port, pid });
