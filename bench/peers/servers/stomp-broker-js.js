// @ts-check
// STOMP with stomp-broker-js, which has topics alone, in one thread and in version 1.1.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { ready } from './ready.js';

const load = createRequire(import.meta.url);
/**
 * The part of its API that is used here.
 * @typedef {{ frame: { headers: Record<string, unknown> } }} Send
 * @typedef {{ addMiddleware(command: 'send', handler: (socket: unknown, send: Send, next: () => unknown) => unknown): void }} Broker
 */
/** @type {new (options: object) => Broker} */
const StompServer = load('stomp-broker-js');
const { version } = load('stomp-broker-js/package.json');

const server = createServer();
const broker = new StompServer({ server, path: '/stomp', heartbeat: [0, 0] });
let messages = 0;
// By itself it sends no message-id, which STOMP demands and the load client looks for.
broker.addMiddleware('send', (_socket, { frame }, next) => {
  frame.headers['message-id'] = String(++messages);
  return next();
});
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  ready({ name: 'stomp-broker-js', version, port });
});
