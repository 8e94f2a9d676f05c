import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { type RawData, type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

export interface WsServer {
  readonly url: string;
  readonly server: WebSocketServer;
  /** Messages that came in. */
  received: number;
  /** Connections that were opened, and the upgrade request of the last one. */
  opened: number;
  request: IncomingMessage | null;
}

/** What a server does with a message, the n-th of its connection, from 0 on. */
export type Answer = (socket: WebSocket, data: RawData, isBinary: boolean, n: number) => void;

export const echo: Answer = (socket, data, isBinary) => {
  socket.send(data, { binary: isBinary });
};

/** A server of `ws`, another implementation than ours; it ends with the test. */
export async function startWs(answer: Answer = echo, options: ServerOptions = {}): Promise<WsServer> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  await new Promise((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  const { port } = server.address() as AddressInfo;
  const started: WsServer = { url: `ws://127.0.0.1:${port}/`, server, received: 0, opened: 0, request: null };
  server.on('connection', (socket, request) => {
    started.opened++;
    started.request = request;
    let n = 0;
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => {
      started.received++;
      answer(socket, data, isBinary, n++);
    });
  });
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return started;
}
