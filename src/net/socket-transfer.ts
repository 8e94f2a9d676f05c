import { Socket } from 'node:net';
import type { MessagePort, Transferable } from 'node:worker_threads';
import { detachHandle, type TcpHandle } from './node-internals.ts';

/**
 * The other way for sockets between threads: `postMessage(value, [socket])`, public API since Node 24.20 and
 * 26.6. It takes only sockets that were never read, so the thread that gets one does the whole handshake.
 */

/** Whether this Node.js can do it: the first versions are 24.20 and 26.6. */
export function canTransferSockets(version: string = process.versions.node): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return (major === 24 && minor >= 20) || (major === 26 && minor >= 6) || major > 26;
}

/** PortSender: the sending end of a port that sockets go by; the counterpart of HandoffSender. */
export class PortSender {
  readonly #port: MessagePort;
  /** A port never says that its receiver does not keep up. */
  readonly isFull = false;
  /** A port takes all at once, and gives nothing back. */
  readonly pending = 0;
  onUnsent: ((message: string, handle: TcpHandle) => void) | null = null;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** Sends a socket with a message. On failure the socket stays open, and the caller's. */
  send(message: string, handle: TcpHandle): boolean {
    // Paused: what was read of a socket could not go with it.
    const socket = new Socket({ handle, pauseOnCreate: true } as object);
    socket.on('error', ignore);
    try {
      this.#port.postMessage(socket, [socket as unknown as Transferable]);
      // By itself, behind the socket: a thread without descriptors hears nothing at all of a socket that it cannot take.
      this.#port.postMessage(message);
      return true;
    } catch {
      detachHandle(socket);
      return false;
    }
  }

  /** Sends nothing more; what was sent arrives. */
  finish(): void {
    this.#port.close();
  }

  close(): void {
    this.#port.close();
  }

  cancel(): void {
    this.close();
  }
}

/** PortReceiver: puts together what a PortSender posts. */
export class PortReceiver {
  #handle: TcpHandle | null = null;

  /**
   * Returns a handle with the message that was sent with it, when both are here; undefined: the message is to come. The
   * handle is null when the socket did not arrive.
   */
  receive(posted: unknown): { handle: TcpHandle | null; message: Buffer } | undefined {
    if (typeof posted !== 'string') {
      this.#handle = (posted instanceof Socket ? detachHandle(posted) : undefined) ?? null;
      return undefined;
    }
    const handle = this.#handle;
    this.#handle = null;
    return { handle, message: Buffer.from(posted, 'latin1') };
  }
}

function ignore(): void {}
