// @ts-check
// Broadcast with millrace in one thread: node broadcast-millrace.js FOLDER
// The folder has the package.json and dist/ of the build to run.
import { addBroadcastRoutes } from './broadcast-routes.js';
import { loadBuild } from './build.js';
import { ready } from './ready.js';

const { millrace, version } = await loadBuild(process.argv[2] ?? '');
const app = millrace.App();
addBroadcastRoutes(app, 'messageView');
app.listen('127.0.0.1', 0, (socket) => {
  if (!socket) throw new Error('cannot listen');
  ready({ name: 'millrace', version, port: socket.port });
});
