// @ts-check
// Echo with uWebSockets.js, which is not on npm; it takes part when it is installed by hand.
import { createRequire } from 'node:module';
import { isDeflating, MAX_PAYLOAD, ready, tlsFiles } from './ready.js';

const load = createRequire(import.meta.url);
// The API is the one that millrace has too.
const uWS = /** @type {typeof import('../../../src/index.ts')} */ (load('uWebSockets.js'));
const { version } = load('uWebSockets.js/package.json');

const compression = isDeflating ? uWS.SHARED_COMPRESSOR | uWS.SHARED_DECOMPRESSOR : 0;
const app =
  tlsFiles === undefined
    ? uWS.App()
    : uWS.SSLApp({ key_file_name: tlsFiles.key, cert_file_name: tlsFiles.cert });
app
  .ws('/*', {
    maxPayloadLength: MAX_PAYLOAD,
    maxBackpressure: MAX_PAYLOAD,
    compression,
    message: (ws, message, isBinary) => {
      ws.send(message, isBinary, isDeflating);
    },
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (!socket) throw new Error('cannot listen');
    ready({ name: 'uWebSockets.js', version, port: uWS.us_socket_local_port(socket) });
  });
