// @ts-check
// Broadcast with Bun.serve; run by Bun.
import { TurnPublisher } from '../../lib/clients/turn-publisher.js';
import { MAX_PAYLOAD, ready } from './ready.js';

/**
 * The part of Bun's API that is used here.
 * @typedef {{ data: { isControl: boolean }, send(message: string): number, subscribe(topic: string): void }} ServerWebSocket
 * @typedef {{
 *   port: number,
 *   upgrade(request: Request, options: object): boolean,
 *   publish(topic: string, message: string | Uint8Array): number,
 * }} BunServer
 * @typedef {{ version: string, serve(options: object): BunServer }} BunApi
 */
const { Bun } = /** @type {{ Bun: BunApi }} */ (/** @type {unknown} */ (globalThis));

const TOPIC = 'all';
const publisher = new TurnPublisher((message) => server.publish(TOPIC, message));

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  /** @type {(request: Request, bun: BunServer) => Response | undefined} */
  fetch: (request, bun) => {
    const isControl = new URL(request.url).pathname.startsWith('/control');
    return bun.upgrade(request, { data: { isControl } }) ? undefined : new Response('', { status: 426 });
  },
  websocket: {
    maxPayloadLength: MAX_PAYLOAD,
    backpressureLimit: MAX_PAYLOAD,
    perMessageDeflate: false,
    /** @type {(socket: ServerWebSocket) => void} */
    open: (socket) => {
      if (!socket.data.isControl) socket.subscribe(TOPIC);
    },
    /** @type {(socket: ServerWebSocket, message: string | Uint8Array) => void} */
    message: (socket, message) => {
      if (!socket.data.isControl) server.publish(TOPIC, message);
      else publisher.onControl(String(message), (text) => socket.send(text));
    },
  },
});
ready({ name: 'Bun', version: Bun.version, port: server.port });
