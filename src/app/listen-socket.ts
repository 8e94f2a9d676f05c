import type { Listener } from '../net/listener.ts';

/** What `listen` gives: pass it to `us_listen_socket_close` or `us_socket_local_port`. */
export class ListenSocket {
  readonly #listener: Listener;
  readonly port: number;
  isClosed = false;

  constructor(listener: Listener, port: number) {
    this.#listener = listener;
    this.port = port;
  }

  /**
   * Stops accepting; open connections live on. Those that the kernel has made and nobody has accepted yet are reset by it:
   * the port is free when this returns, as in uWebSockets.js.
   */
  close(): void {
    this.isClosed = true;
    this.#listener.close();
  }
}

export type ListenCallback = (socket: ListenSocket | false) => void;
