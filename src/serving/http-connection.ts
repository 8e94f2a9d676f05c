import type { HeadConnection } from '../admission/head-reader.ts';
import type { Refusal } from '../admission/refusing.ts';
import type { BodyDecoder } from '../http/body-decoder.ts';
import type { ProxyHeaderParser } from '../http/proxy-protocol.ts';
import type { RequestParser } from '../http/request-parser.ts';
import type { WriteHeadway } from '../net/headway.ts';
import type { Transport } from '../net/transport.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { OutgoingResponse, ProxiedAddress, ResponseOwner, UpgradeFields } from './outgoing-response.ts';
import type { UpgradeTarget } from './upgrade-target.ts';

/** Bytes behind a request that waits for its response or its reader. With more than these no more is read. */
const MAX_REST = 16 * 1024;

/** Bytes of a body that are read and forgotten, because its request is answered, to keep the connection. */
export const MAX_FORGOTTEN = 256 * 1024;

const NO_BYTES = new Uint8Array(0);

/** What connections ask of the server they belong to. */
export interface ConnectionServer {
  responseEnded(connection: HttpConnection, response: OutgoingResponse, close: boolean): void;
  responseUpgraded(connection: HttpConnection, response: OutgoingResponse, upgrade: UpgradeFields): void;
  bodyWanted(connection: HttpConnection, response: OutgoingResponse): void;
  /** Called by way of the response, a callback of its user returned something. */
  callbackReturned(connection: HttpConnection, response: OutgoingResponse, result: unknown): void;
  setPaused(connection: HttpConnection, isPaused: boolean): void;
}

/** One connection in its HTTP phase. */
export class HttpConnection implements ResponseOwner, HeadConnection {
  readonly server: ConnectionServer;
  readonly transport: Transport<HttpConnection>;
  /** Lent from the server while a head is incomplete. */
  parser: RequestParser | null = null;
  /** Lent from the server while a body is incomplete. */
  decoder: BodyDecoder | null = null;
  /** The response under way. */
  response: OutgoingResponse | null = null;
  /** What the handshake that it answers is for; null: it answers none. */
  upgradeTarget: UpgradeTarget | null = null;
  /** The request of that handshake, which `open` gets. */
  request: IncomingRequest | null = null;
  /** The peer, and the state of the server, allow another request behind this one. */
  isPersistent = true;
  /** The request under way is of HTTP/1.0. */
  isHttp10 = false;
  /** Bytes are being taken in: what follows is seen to when that is done. */
  isParsing = false;
  /** The user reads no more of the body. */
  isPaused = false;
  /** The handler's microtasks are to come: the body waits for them. */
  awaitsMicrotasks = false;
  isLingering = false;
  /** The other connections get their turn before what this one has left is looked at. */
  isYielding = false;
  /** Requests in a row that were taken from the rest in this turn. */
  goneOn = 0;
  /** What its first request is answered, because the connection is one too many; null: it is not. */
  refusal: Refusal | null;
  /** The first request of this connection is not whole yet. */
  isNew = false;
  /** Reads what a proxy sends first; null: it is read, or there is none. */
  proxyHeader: ProxyHeaderParser | null = null;
  /** The client that the proxy speaks for. */
  proxied: ProxiedAddress | null = null;
  /** A response was sent, and no byte came since. */
  isIdle = false;
  /** Second at which a head, the next request, or the peer's FIN, is late. */
  deadline: number;
  /** Second at which the last 16 KiB of a body had arrived, and how much of it that was. */
  bodySince = 0;
  bodyReceived = 0;
  /** How much had arrived when the response was sent. */
  forgottenFrom = 0;
  /** How the peer takes what waits for it; null: nothing did so far. */
  headway: WriteHeadway | null = null;
  /** `rest[restAt, restEnd)` came behind what is under way. */
  rest: Uint8Array = NO_BYTES;
  restAt = 0;
  restEnd = 0;

  constructor(
    server: ConnectionServer,
    transport: Transport<HttpConnection>,
    refusal: Refusal | null,
    deadline: number,
  ) {
    this.server = server;
    this.transport = transport;
    this.refusal = refusal;
    this.deadline = deadline;
  }

  // ResponseOwner

  get keepAlive(): boolean {
    return this.isPersistent && (this.decoder === null || this.decoder.remaining <= MAX_FORGOTTEN);
  }

  get isHandshake(): boolean {
    return this.upgradeTarget !== null;
  }

  responseEnded(response: OutgoingResponse, close: boolean): void {
    this.server.responseEnded(this, response, close);
  }

  responseUpgraded(response: OutgoingResponse, upgrade: UpgradeFields): void {
    this.server.responseUpgraded(this, response, upgrade);
  }

  bodyWanted(response: OutgoingResponse): void {
    this.server.bodyWanted(this, response);
  }

  callbackReturned(response: OutgoingResponse, result: unknown): void {
    this.server.callbackReturned(this, response, result);
  }

  setPaused(isPaused: boolean): void {
    this.server.setPaused(this, isPaused);
  }

  /** The connection is open, and has not become a WebSocket. */
  get isHttp(): boolean {
    const { transport } = this;
    return transport.owner === this && !transport.isClosed;
  }

  // The rest.

  get hasRest(): boolean {
    return this.restAt < this.restEnd;
  }

  /** More of it would be too much. */
  get isRestFull(): boolean {
    return this.restEnd - this.restAt > MAX_REST;
  }

  /** Keeps a copy of bytes that cannot be taken in yet. */
  keepRest(bytes: Uint8Array, start: number, end: number): void {
    const size = this.restEnd - this.restAt;
    const needed = size + end - start;
    if (this.restEnd + end - start > this.rest.length) {
      const larger = new Uint8Array(Math.max(needed, Math.min(needed * 2, MAX_REST)));
      larger.set(this.rest.subarray(this.restAt, this.restEnd));
      this.rest = larger;
      this.restAt = 0;
      this.restEnd = size;
    }
    this.rest.set(bytes.subarray(start, end), this.restEnd);
    this.restEnd += end - start;
  }

  dropRest(): void {
    this.rest = NO_BYTES;
    this.restAt = 0;
    this.restEnd = 0;
  }
}
