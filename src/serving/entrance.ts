import type { Admitting } from '../admission/gate.ts';
import type { Refusal } from '../admission/refusing.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import type { Transport } from '../net/transport.ts';
import type { Shard } from '../shard/shard.ts';
import type { HttpServer } from './http-server.ts';
import type { RawEndpoints } from './raw-endpoint.ts';
import type { TlsServer } from './tls-server.ts';

/**
 * Entrance: takes over sockets that nobody has read, which an App has accepted itself, or the acceptor has passed on: by
 * the TLS handshake, or straight to HTTP.
 */
export class Entrance implements Admitting {
  readonly #shard: Shard;
  readonly #http: HttpServer;
  readonly #tls: TlsServer | null;
  readonly #raw: RawEndpoints;
  readonly #maxConnections: number;

  /**
   * @param tls null: connections are plain
   * @param raw whose connections hold places, too, and give them up
   * @param maxConnections 0: any number
   */
  constructor(
    shard: Shard,
    http: HttpServer,
    tls: TlsServer | null,
    raw: RawEndpoints,
    maxConnections: number,
  ) {
    this.#shard = shard;
    this.#http = http;
    this.#tls = tls;
    this.#raw = raw;
    this.#maxConnections = maxConnections;
  }

  hasRoom(refusing: number): boolean {
    const max = this.#maxConnections;
    return max === 0 || this.#shard.sockets.size - refusing < max;
  }

  makeRoom(): boolean {
    return this.#tls?.evictOldest() === true || this.#http.evictOldest() || this.#raw.evictOldest();
  }

  /** A client that has not done the handshake cannot be told. */
  canTell(): boolean {
    return this.#tls === null;
  }

  admit(client: TcpHandle, row: number, refusal: Refusal | null): Transport {
    if (this.#tls !== null) return this.#tls.start(client, row, this.#http);
    const transport = this.#shard.adopt(client, this.#http, row);
    this.#http.start(transport, refusal);
    return transport;
  }

  discard(row: number): void {
    this.#shard.discarded(row);
  }
}
