// @ts-check
// Queues of STOMP over WebSocket, of this build: node millrace-stomp-queues.js SHARDS
import { loadBuild } from './build.js';
import { ready } from './ready.js';

const root = new URL('../../../', import.meta.url);
const [shards = '2'] = process.argv.slice(2);
const { millrace, version } = await loadBuild(root.pathname);
const server = await millrace.serve({
  app: new URL('test/threads/fixtures/stomp-queue-app.js', root),
  host: '127.0.0.1',
  port: 0,
  shards: Number(shards),
  balance: 'round-robin',
});
ready({
  name: `millrace, ${server.shards === 1 ? '1 shard' : `${server.shards} shards`}`,
  version,
  port: server.port,
});
