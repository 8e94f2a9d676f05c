import { createServer, type Server, Socket } from 'node:net';
import type { MessagePort, Transferable } from 'node:worker_threads';
import { detachHandle, type TcpHandle } from './node-internals.ts';

/**
 * The other way for sockets between threads: `postMessage(value, [socket])`, public API since Node 24.20 and
 * 26.6. It takes only sockets that were never read, so whoever gets one does the whole handshake.
 */

/** Whether this Node.js can do it: the first versions are 24.20 and 26.6. */
export function canTransferSockets(version: string = process.versions.node): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return (major === 24 && minor >= 20) || (major === 26 && minor >= 6) || major > 26;
}

export interface TransferListenerEvents {
  onListening(port: number): void;
  /** A connection, unread. */
  onConnection(socket: Socket): void;
  onError(error: NodeJS.ErrnoException): void;
}

/** Listens with the public API and leaves its connections unread. */
export function listenForTransfer(
  host: string,
  port: number,
  backlog: number,
  events: TransferListenerEvents,
): Server {
  const server = createServer({ pauseOnConnect: true, noDelay: true });
  server.on('connection', (socket) => {
    // Every socket has an error handler from birth.
    socket.on('error', ignore);
    events.onConnection(socket);
  });
  server.on('error', (error) => {
    events.onError(error);
  });
  server.listen({ host, port, backlog }, () => {
    const address = server.address();
    events.onListening(typeof address === 'object' && address !== null ? address.port : -1);
  });
  return server;
}

interface TransferMessage {
  readonly socket: Socket;
  readonly address: number;
}

/** Sends a socket with its row of the address table. Returns false when it cannot be transferred. */
export function transferSocket(port: MessagePort, socket: Socket, address: number): boolean {
  try {
    port.postMessage({ socket, address }, [socket as unknown as Transferable]);
    return true;
  } catch {
    return false;
  }
}

/** The socket's handle out of a message of `transferSocket`. */
export function receiveTransfer(message: unknown): { handle: TcpHandle; address: number } | undefined {
  const { socket, address } = message as TransferMessage;
  if (!(socket instanceof Socket)) return undefined;
  const handle = detachHandle(socket);
  return handle === undefined ? undefined : { handle, address };
}

function ignore(): void {}
