import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Target } from './target.ts';

/** What a socket tells whoever opened it. */
export interface SocketEvents {
  /** The connection stands, TLS handshake included. */
  onConnected(): void;
  /** So many bytes are at the start of the read buffer. False: read no more until `socket.resume()`. */
  onRead(count: number): boolean;
  /** The connection is over, once; the error if there was one. */
  onSocketClosed(error: Error | null): void;
}

/**
 * Opens a TCP or TLS connection that reads into memory shared by all connections of the thread: no buffer is made
 * for a read.
 *
 * @param address where the target's name leads, once it is known
 */
export function openSocket(
  target: Target,
  address: string,
  insecure: boolean,
  readBuffer: Uint8Array,
  events: SocketEvents,
): Socket {
  const place = {
    host: address,
    port: target.port,
    onread: { buffer: readBuffer, callback: (count: number) => events.onRead(count) },
  };
  const secure = {
    ...place,
    rejectUnauthorized: !insecure,
    // No session is resumed: every connection pays for its handshake, as clients of their own would.
    ALPNProtocols: ['http/1.1'],
    ...(target.servername === '' ? {} : { servername: target.servername }),
  };
  const socket = target.secure ? connectTls(secure) : connect(place);
  socket.setNoDelay(true);
  let failure: Error | null = null;
  socket.once(target.secure ? 'secureConnect' : 'connect', () => {
    events.onConnected();
  });
  socket.on('error', (error) => {
    failure ??= error;
  });
  socket.once('close', () => {
    events.onSocketClosed(failure);
  });
  return socket;
}
