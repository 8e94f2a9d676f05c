// @ts-check
// Echo with Bun.serve; run by Bun.
import { readFileSync } from 'node:fs';
import { isDeflating, MAX_PAYLOAD, ready, tlsFiles } from './ready.js';

/**
 * The part of Bun's API that is used here.
 * @typedef {{ send(message: string | Uint8Array, compress: boolean): number }} ServerWebSocket
 * @typedef {{ port: number, upgrade(request: Request): boolean }} BunServer
 * @typedef {{ version: string, serve(options: object): BunServer }} BunApi
 */
const { Bun } = /** @type {{ Bun: BunApi }} */ (/** @type {unknown} */ (globalThis));

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  ...(tlsFiles === undefined
    ? {}
    : { tls: { key: readFileSync(tlsFiles.key), cert: readFileSync(tlsFiles.cert) } }),
  /** @type {(request: Request, server: BunServer) => Response | undefined} */
  fetch: (request, bun) => (bun.upgrade(request) ? undefined : new Response('', { status: 426 })),
  websocket: {
    maxPayloadLength: MAX_PAYLOAD,
    backpressureLimit: MAX_PAYLOAD,
    perMessageDeflate: isDeflating && { compress: 'shared', decompress: 'shared' },
    /** @type {(socket: ServerWebSocket, message: string | Uint8Array) => void} */
    message: (socket, message) => {
      socket.send(message, isDeflating);
    },
  },
});
ready({ name: 'Bun', version: Bun.version, port: server.port });
