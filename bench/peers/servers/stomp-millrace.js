// @ts-check
// STOMP with millrace and two shards: node stomp-millrace.js FOLDER
// The folder has the package.json and dist/ of the build to run.
import { pathToFileURL } from 'node:url';
import { loadBuild } from './build.js';
import { ready } from './ready.js';

const folder = process.argv[2] ?? '';
const { millrace, version } = await loadBuild(folder);
const server = await millrace.serve({
  app: new URL('./stomp-app.js', import.meta.url),
  host: '127.0.0.1',
  port: 0,
  shards: 2,
  data: { stomp: new URL('dist/src/stomp/index.js', pathToFileURL(`${folder}/`)).href },
});
ready({ name: 'millrace, 2 shards', version, port: server.port });
