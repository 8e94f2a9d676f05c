// @ts-check
// Hello, World! with node:http.
import { createServer } from 'node:http';
import { ready } from './ready.js';

const server = createServer((_request, response) => {
  response.end('Hello, World!');
});
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  ready({ name: 'node:http', version: process.version, port });
});
