import type { TimeStamp } from '../metrics/monotonic-time.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import type { Opening } from './openings.ts';

/** Connections, and bytes that came with them, that wait for a shard. */
const MAX_HELD = 1024;
const MAX_HELD_BYTES = 16 * 1024 * 1024;

/** A connection that was not read from. */
export interface UnreadClient {
  readonly client: TcpHandle;
  /** Row of the address table. */
  readonly row: number;
  readonly acceptedAt: TimeStamp;
  /** The place of the raw endpoint that it is for; -1: it is for HTTP. */
  readonly endpoint: number;
}

interface HeldClient {
  readonly unread: UnreadClient;
  readonly timeout: NodeJS.Timeout;
}

/** HeldConnections: connections that the acceptor keeps while no shard can take them, but one will soon. */
export class HeldConnections {
  /** Connections with their request, and what came behind it. */
  readonly #requests = new Map<Opening, string>();
  #bytes = 0;
  readonly #clients = new Set<HeldClient>();

  get hasRoom(): boolean {
    return this.#requests.size + this.#clients.size < MAX_HELD && this.#bytes < MAX_HELD_BYTES;
  }

  /** Holds a connection with its request. What comes behind the request waits in the kernel. */
  hold(opening: Opening, request: string): void {
    this.#requests.set(opening, request);
    this.#bytes += request.length;
    opening.transport.pause();
  }

  /** @param onTimeout called when the client has waited for `seconds`, and waits no more */
  holdUnread(unread: UnreadClient, seconds: number, onTimeout: () => void): void {
    const timeout = setTimeout(() => {
      this.#clients.delete(held);
      onTimeout();
    }, seconds * 1000);
    const held: HeldClient = { unread, timeout };
    this.#clients.add(held);
  }

  /** The connection is held no more. Returns its request; '' when it was not held. */
  drop(opening: Opening): string {
    const request = this.#requests.get(opening);
    if (request === undefined) return '';
    this.#requests.delete(opening);
    this.#bytes -= request.length;
    return request;
  }

  /** Holds none any more: gives back all, oldest first. */
  release(
    onRequest: (opening: Opening, request: string) => void,
    onClient: (unread: UnreadClient) => void,
  ): void {
    for (const held of Array.from(this.#clients)) {
      clearTimeout(held.timeout);
      this.#clients.delete(held);
      onClient(held.unread);
    }
    for (const opening of Array.from(this.#requests.keys())) onRequest(opening, this.drop(opening));
  }
}
