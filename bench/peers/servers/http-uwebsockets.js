// @ts-check
// Hello, World! with uWebSockets.js, which is not on npm; it takes part when it is installed by hand.
import { createRequire } from 'node:module';
import { ready } from './ready.js';

const load = createRequire(import.meta.url);
// The API is the one that millrace has too.
const uWS = /** @type {typeof import('../../../src/index.ts')} */ (load('uWebSockets.js'));
const { version } = load('uWebSockets.js/package.json');

uWS
  .App()
  .get('/', (res) => {
    res.end('Hello, World!');
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (!socket) throw new Error('cannot listen');
    ready({ name: 'uWebSockets.js', version, port: uWS.us_socket_local_port(socket) });
  });
