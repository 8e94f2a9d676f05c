// @ts-check
// Broadcast with millrace and two shards: node broadcast-shards.js FOLDER
// The folder has the package.json and dist/ of the build to run. Connections go to the shard that their path says,
// and a GET answers which one that is.
import { loadBuild } from './build.js';
import { ready } from './ready.js';

const { millrace, version } = await loadBuild(process.argv[2] ?? '');
const server = await millrace.serve({
  app: new URL('./broadcast-app.js', import.meta.url),
  host: '127.0.0.1',
  port: 0,
  shards: 2,
  balance: { sticky: 'url' },
  onOverflow: (from, to, dropped) => {
    throw new Error(`${dropped} messages from thread ${from} to shard ${to} were dropped`);
  },
});
ready({ name: 'millrace, 2 shards', version, port: server.port });
