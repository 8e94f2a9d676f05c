// @ts-check
// Echo with `ws`. With WS_NO_BUFFER_UTIL=1 in the environment it masks in JavaScript.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createRequire } from 'node:module';
import { WebSocketServer } from 'ws';
import { isDeflating, MAX_PAYLOAD, ready, tlsFiles } from './ready.js';

const { version } = createRequire(import.meta.url)('ws/package.json');
const http =
  tlsFiles === undefined
    ? createServer()
    : createTlsServer({ key: readFileSync(tlsFiles.key), cert: readFileSync(tlsFiles.cert) });
const server = new WebSocketServer({
  server: http,
  maxPayload: MAX_PAYLOAD,
  perMessageDeflate: isDeflating && { serverNoContextTakeover: true, clientNoContextTakeover: true },
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    socket.send(data, { binary: isBinary });
  });
});
http.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  const name = process.env['WS_NO_BUFFER_UTIL'] === undefined ? 'ws' : 'ws without bufferutil';
  ready({ name, version, port });
});
