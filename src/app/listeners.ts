import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import { reportError } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import { Counter } from '../metrics/counter.ts';
import { ACCEPT_BACKOFF, bindAddress, boundPort, Listener, listenError } from '../net/listener.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { bindPath, removeStaleSocket } from '../net/unix-listener.ts';
import type { Shard } from '../shard/shard.ts';
import { callUser, userCode, watch } from '../user-code.ts';
import { type ListenCallback, ListenSocket } from './listen-socket.ts';

/** Listeners: the sockets that an App listens on. */
export class Listeners {
  readonly #backlog: number;
  readonly #shard: Shard;
  readonly #onConnection: (client: TcpHandle) => void;
  readonly #sockets = new Set<ListenSocket>();
  #isClosed = false;

  /** @param shard counts what goes wrong */
  constructor(backlog: number, shard: Shard, onConnection: (client: TcpHandle) => void) {
    this.#backlog = backlog;
    this.#shard = shard;
    this.#onConnection = onConnection;
  }

  /** Listens on an address; a name but 'localhost' is looked up before. */
  listen(host: string, port: number, isExclusive: boolean, callback: ListenCallback): void {
    if (isIP(host) !== 0 || host === 'localhost') {
      tellNow(callback, this.#bind(host, port, isExclusive));
      return;
    }
    lookup(host, (error, address) => {
      const socket = error !== null || this.#isClosed ? false : this.#bind(address, port, isExclusive);
      callUser(userCode(callback), listenCallbackFailed, socket);
    });
  }

  /** Listens on a Unix socket; a file that nobody listens on any more is removed before. */
  listenUnix(path: string, callback: ListenCallback): void {
    const socket = this.#bindUnix(path);
    if (socket !== null) {
      tellNow(callback, socket);
      return;
    }
    removeStaleSocket(path, (isRemoved) => {
      const retried = (isRemoved && !this.#isClosed && this.#bindUnix(path)) || false;
      callUser(userCode(callback), listenCallbackFailed, retried);
    });
  }

  /**
   * Listens for connections of another kind. Returns the port.
   *
   * @param host an IP address, or 'localhost'
   * @param option what asks for it, as the error names it
   * @throws MillraceError MILLRACE_LISTEN_FAILED
   */
  listenRaw(host: string, port: number, option: string, onConnection: (client: TcpHandle) => void): number {
    const handle = bindAddress(host, port, false, option);
    const again = (on: number) => orNull(() => bindAddress(host, on));
    const socket = this.#start(handle, again, onConnection);
    // It is bound, so what failed is that few descriptors are left.
    if (socket === null) throw listenError(host, port, 'EMFILE', option);
    return socket.port;
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.close();
  }

  #bind(host: string, port: number, isExclusive: boolean): ListenSocket | false {
    const bind = (on: number) => orNull(() => bindAddress(host, on, !isExclusive));
    return this.#start(bind(port), bind) ?? false;
  }

  /** Null: the file is there. */
  #bindUnix(path: string): ListenSocket | false | null {
    let isTaken = false;
    const bind = () =>
      orNull(() => {
        const handle = bindPath(path);
        isTaken = handle === null;
        return handle as TcpHandle | null;
      });
    const socket = this.#start(bind(), bind);
    return isTaken ? null : (socket ?? false);
  }

  /** @param bind makes another handle when the first one failed for want of descriptors */
  #start(
    handle: TcpHandle | null,
    bind: (port: number) => TcpHandle | null,
    onConnection = this.#onConnection,
  ): ListenSocket | null {
    if (handle === null) return null;
    const bound = boundPort(handle);
    const listener: Listener = new Listener(this.#backlog, {
      onConnection,
      onAcceptError: () => {
        this.#shard.count(Counter.ACCEPT_ERRORS);
        listenAgain(socket, listener, bind);
      },
      onCut: () => {
        this.#shard.count(Counter.CUT_SHORT);
      },
    });
    const socket = new ListenSocket(listener, bound);
    if (listener.start(handle) !== 0) return null;
    this.#sockets.add(socket);
    return socket;
  }
}

/** Tells the caller of `listen`, who gets what its callback throws, as in uWebSockets.js. */
function tellNow(callback: ListenCallback, socket: ListenSocket | false): void {
  const result: unknown = callback(socket);
  if (result !== undefined) watch(result, listenCallbackFailed);
}

function listenCallbackFailed(error: unknown): void {
  reportError('the callback of listen', error);
}

/** `accept` failed, most likely for want of descriptors: some may have been closed in a while. */
function listenAgain(
  socket: ListenSocket,
  listener: Listener,
  bind: (port: number) => TcpHandle | null,
): void {
  setTimeout(() => {
    if (socket.isClosed) return;
    const handle = bind(socket.port);
    if (handle === null || listener.start(handle) !== 0) listenAgain(socket, listener, bind);
  }, ACCEPT_BACKOFF);
}

/** What cannot be listened on is told to the callback of `listen` as false. */
function orNull(bind: () => TcpHandle | null): TcpHandle | null {
  try {
    return bind();
  } catch (error) {
    if (error instanceof MillraceError) return null;
    throw error;
  }
}
