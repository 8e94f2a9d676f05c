// @ts-check
// Hello, World! with millrace in one thread: node http-millrace.js FOLDER
// The folder has the package.json and dist/ of the build to run.
import { loadBuild } from './build.js';
import { ready } from './ready.js';

const { millrace, version } = await loadBuild(process.argv[2] ?? '');
millrace
  .App()
  .get('/', (res) => {
    res.end('Hello, World!');
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (!socket) throw new Error('cannot listen');
    ready({ name: 'millrace', version, port: millrace.us_socket_local_port(socket) });
  });
