import type { TimeStamp } from '../metrics/monotonic-time.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import type { Opening } from './openings.ts';

/** Connections, and bytes that came with them, that wait for a shard. */
const MAX_HELD = 1024;
const MAX_HELD_BYTES = 16 * 1024 * 1024;

/** A connection that was not read from. */
interface HeldClient {
  readonly client: TcpHandle;
  /** Row of the address table. */
  readonly row: number;
  readonly acceptedAt: TimeStamp;
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
  holdUnread(
    client: TcpHandle,
    row: number,
    acceptedAt: TimeStamp,
    seconds: number,
    onTimeout: () => void,
  ): void {
    const timeout = setTimeout(() => {
      this.#clients.delete(held);
      onTimeout();
    }, seconds * 1000);
    const held: HeldClient = { client, row, acceptedAt, timeout };
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
    onClient: (held: HeldClient) => void,
  ): void {
    for (const held of Array.from(this.#clients)) {
      clearTimeout(held.timeout);
      this.#clients.delete(held);
      onClient(held);
    }
    for (const opening of Array.from(this.#requests.keys())) onRequest(opening, this.drop(opening));
  }
}
