// @ts-check
// Echo with `ws`. With WS_NO_BUFFER_UTIL=1 in the environment it masks in JavaScript.
import { createRequire } from 'node:module';
import { WebSocketServer } from 'ws';
import { MAX_PAYLOAD, ready } from './ready.js';

const { version } = createRequire(import.meta.url)('ws/package.json');
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  maxPayload: MAX_PAYLOAD,
  perMessageDeflate: false,
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    socket.send(data, { binary: isBinary });
  });
});
server.on('listening', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const name = process.env['WS_NO_BUFFER_UTIL'] === undefined ? 'ws' : 'ws without bufferutil';
  ready({ name, version, port });
});
