// @ts-check
// Echo with millrace, an acceptor and shards: node millrace-serve.js FOLDER OPTIONS
// The folder has the package.json and dist/ of the build to run. Options are those of serve(), as JSON; with
// `data.rounds` the handler computes for a while.
import { loadBuild } from './build.js';
import { ready } from './ready.js';

const [folder = '', options = '{}'] = process.argv.slice(2);
const { millrace, version } = await loadBuild(folder);
const server = await millrace.serve({
  ...JSON.parse(options),
  app: new URL('./millrace-app.js', import.meta.url),
  host: '127.0.0.1',
  port: 0,
});
const shards = server.shards === 1 ? '1 shard' : `${server.shards} shards`;
ready({ name: `millrace, ${shards}`, version, port: server.port });
