import type { Gate } from '../admission/gate.ts';
import { HeadReader } from '../admission/head-reader.ts';
import { refusalText } from '../admission/refusal-text.ts';
import type { Refusal } from '../admission/refusing.ts';
import type { HostRules } from '../http/allowed-hosts.ts';
import { ProxyHeaderParser } from '../http/proxy-protocol.ts';
import { ParseStatus } from '../http/request-parser.ts';
import { Counter } from '../metrics/counter.ts';
import { NO_STAMP } from '../metrics/monotonic-time.ts';
import { runTicks } from '../net/node-internals.ts';
import type { Transport, TransportContext } from '../net/transport.ts';
import type { ServerLimits } from '../options/server-limits.ts';
import type { Drainable } from '../shard/drain.ts';
import type { Shard } from '../shard/shard.ts';
import type { OnFailure, UserCode } from '../user-code.ts';
import { FirstRequests } from './first-requests.ts';
import { HandlerErrors } from './handler-errors.ts';
import { type ConnectionServer, HttpConnection } from './http-connection.ts';
import { HttpDeadlines } from './http-deadlines.ts';
import { Dispatcher } from './http-dispatcher.ts';
import type { OutgoingResponse, UpgradeFields } from './outgoing-response.ts';
import { ProxiedClients } from './proxied-clients.ts';
import { type BodyOwner, RequestBodies } from './request-bodies.ts';
import { type ParsingErrorHandler, RequestReader } from './request-reader.ts';
import type { SecureServer } from './tls-server.ts';
import type { UpgradeTarget } from './upgrade-target.ts';
import { Upgrader } from './upgrader.ts';

/** Told of connections. */
export interface ConnectionWatcher {
  connected(connection: HttpConnection): void;
  disconnected(transport: Transport): void;
}

/**
 * HttpServer: the HTTP phase of all connections of an App, as their context: it takes sockets over, and is told what happens
 * to them and to their responses. `RequestReader` reads what comes, `HttpDeadlines` ends what is late.
 */
export class HttpServer
  implements TransportContext<HttpConnection>, Drainable, ConnectionServer, BodyOwner, SecureServer
{
  readonly dispatcher: Dispatcher;
  readonly #shard: Shard;
  readonly #heads: HeadReader<HttpConnection>;
  readonly #errors: HandlerErrors;
  readonly #bodies: RequestBodies;
  readonly #upgrader: Upgrader;
  readonly #first: FirstRequests;
  readonly #deadlines: HttpDeadlines;
  readonly #reader: RequestReader;
  /** What its connections have passed; null: they come from the acceptor. */
  #gate: Gate | null = null;
  /** Null: connections are their clients' own. */
  #proxied: ProxiedClients | null = null;
  /** Null: nobody asked. */
  #watcher: ConnectionWatcher | null = null;

  constructor(shard: Shard, limits: ServerLimits) {
    this.#shard = shard;
    this.#errors = new HandlerErrors(shard, this);
    this.#bodies = new RequestBodies(shard, limits, this.#errors, this);
    this.#upgrader = new Upgrader(shard);
    this.dispatcher = new Dispatcher(shard, limits, this, this.#errors, this.#upgrader);
    const { heads } = this.dispatcher;
    this.#heads = new HeadReader(
      shard.io,
      limits.handshakeTimeout,
      () => heads.newParser(),
      (connection) => {
        if (connection.isNew) this.#first.done(connection);
        connection.dropRest();
        this.#bodies.drop(connection);
      },
    );
    this.#first = new FirstRequests(shard);
    this.#deadlines = new HttpDeadlines(shard.io, limits, this.#heads, this.#bodies);
    this.#reader = new RequestReader({
      shard,
      heads: this.#heads,
      first: this.#first,
      deadlines: this.#deadlines,
      bodies: this.#bodies,
      dispatcher: this.dispatcher,
      errors: this.#errors,
    });
  }

  /**
   * Connections pass this gate before they come here.
   *
   * @param isProxied each starts with a header of the PROXY protocol, version 2
   */
  useGate(gate: Gate, isProxied: boolean): void {
    this.#gate = gate;
    this.#proxied = isProxied ? new ProxiedClients(this.#shard, gate, this.#heads, this.#first) : null;
  }

  /** Closes the oldest connection whose first request is not whole, for another one. Returns false when there is none. */
  evictOldest(): boolean {
    return this.#first.evict();
  }

  set onParsingError(handler: UserCode<ParsingErrorHandler> | null) {
    this.#reader.onParsingError = handler;
  }

  /** For failures of callbacks that no connection has to answer for. */
  get onFailure(): OnFailure {
    return this.#errors.report;
  }

  /** Which names requests may call this server by, and whether clients come by https. */
  useHosts(rules: HostRules): void {
    this.#reader.useHosts(rules);
    this.dispatcher.isBehindTls = rules.behindTls;
  }

  /** Has every connection told of from here on, when it is made and when it is over: as HTTP, or as what it became. */
  watchConnections(watcher: ConnectionWatcher): void {
    this.#watcher = watcher;
    this.#shard.onRelease = (transport) => {
      watcher.disconnected(transport);
    };
  }

  /**
   * Takes over a socket whose next bytes are a request.
   *
   * @param refusal not null: it is one too many, to be refused so
   */
  start(transport: Transport<HttpConnection>, refusal: Refusal | null = null): void {
    const connection = new HttpConnection(this, transport, refusal, this.#heads.deadline);
    // To end one that is too many would make no room for another.
    if (refusal === null) this.#first.add(connection);
    if (this.#proxied !== null) connection.proxyHeader = new ProxyHeaderParser();
    transport.owner = connection;
    this.#deadlines.schedule(connection);
    this.#watcher?.connected(connection);
    transport.startReading();
  }

  startSecure(transport: Transport): void {
    this.start(transport.passTo(this, null));
  }

  /** Takes over a socket whose request another thread has read, and answers that there is no place for it. */
  turnAway(transport: Transport<HttpConnection>): void {
    const connection = new HttpConnection(this, transport, null, 0);
    transport.owner = connection;
    this.refuse(connection, refusalText(503));
  }

  /**
   * Takes over a socket whose handshake was found good elsewhere, and answers it. `bytes[start, end)` is the request and
   * what came behind it.
   */
  startUpgraded(
    transport: Transport<HttpConnection>,
    target: UpgradeTarget | undefined,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const parser = this.#heads.take();
    if (target === undefined || parser.feed(bytes, start, end) !== ParseStatus.COMPLETE) {
      // Shards whose modules register other routes than the first one's cannot be told apart from here.
      this.#shard.count(Counter.REFUSED);
      this.turnAway(transport);
      return;
    }
    const rest = parser.consumed;
    this.#shard.count(Counter.REQUESTS);
    const request = this.dispatcher.requestFor(target, parser.head);
    if (this.#watcher !== null) {
      const connection = new HttpConnection(this, transport, null, 0);
      transport.owner = connection;
      this.#watcher.connected(connection);
      if (transport.isClosed) return;
    }
    transport.beginCork();
    this.#upgrader.acceptFirst(transport, target, parser.head, request);
    request.release();
    transport.endCork();
    this.#heads.give(parser);
    if (rest < end && !transport.isClosed) transport.receive(bytes, rest, end);
    transport.startReading();
  }

  // Events of the transport.

  onChunk(transport: Transport<HttpConnection>, bytes: Uint8Array, start: number, end: number): void {
    const connection = transport.owner;
    if (connection.isLingering) return;
    connection.goneOn = 0;
    const from = connection.proxyHeader === null ? start : this.#proxied!.read(connection, bytes, start, end);
    if (connection.hasRest) this.#reader.keepRest(connection, bytes, from, end);
    else if (from < end) this.#reader.feed(connection, bytes, from, end, false);
  }

  onWritable(transport: Transport<HttpConnection>): void {
    if (transport.blocked) return;
    const connection = transport.owner;
    if (connection.headway !== null) connection.headway.since = 0;
    const { response } = connection;
    if (response === null) {
      if (connection.isLingering) {
        this.#heads.lingerOn(connection);
        return;
      }
      connection.deadline = Math.max(connection.deadline, this.#deadlines.nextRequest);
      this.#reader.goOn(connection);
      return;
    }
    transport.beginCork();
    this.#errors.call(connection, response, (failed) => {
      response.tellWritable(failed);
    });
    transport.endCork();
  }

  onEnd(transport: Transport<HttpConnection>): void {
    const connection = transport.owner;
    if (connection.isYielding) {
      // What came before has its turn before.
      this.#shard.io.runNextTurn(() => {
        runTicks();
        if (!transport.isClosed) transport.context.onEnd(transport);
      });
      return;
    }
    // As in uWebSockets.js a peer that ends its side has left: a handler that answers later learns it now.
    if (connection.response !== null) transport.destroy();
    else if (!connection.isLingering) this.linger(connection);
  }

  onClosed(transport: Transport<HttpConnection>, _error: number): void {
    const connection = transport.owner;
    // A handler that closes the connection may go on to read its request.
    if (!connection.isParsing) this.#heads.release(connection);
    this.#bodies.drop(connection);
    connection.dropRest();
    if (connection.isNew) this.#first.done(connection);
    if (connection.refusal !== null) this.#gate?.giveBack(connection.refusal);
    const { response } = connection;
    connection.response = null;
    if (response !== null) {
      this.#errors.guard((failed) => {
        response.abort(failed);
      });
    }
    this.#shard.release(transport);
  }

  onTimer(transport: Transport<HttpConnection>, now: number): number {
    return this.#deadlines.visit(transport.owner, now);
  }

  drain(transport: Transport<HttpConnection>, _code: number): void {
    const connection = transport.owner;
    const { response } = connection;
    // What has begun has said already that the connection stays, and what is behind is to be answered first.
    if (response !== null && !response.hasBegun && !connection.hasRest) connection.isPersistent = false;
  }

  dismiss(transport: Transport<HttpConnection>): void {
    const connection = transport.owner;
    // A head that has begun is that of a request, which is answered, or late.
    const isIdle = connection.response === null && connection.parser === null && !connection.hasRest;
    if (isIdle && !connection.isLingering) this.linger(connection);
  }

  // Events of a response.

  responseEnded(connection: HttpConnection, response: OutgoingResponse, close: boolean): void {
    if (connection.response !== response) return;
    connection.response = null;
    connection.request = null;
    connection.upgradeTarget = null;
    connection.transport.acceptedAt = NO_STAMP;
    if (connection.isPaused) {
      connection.isPaused = false;
      connection.transport.resume();
    }
    const isLast = this.#shard.isDismissing && !connection.isParsing && !connection.hasRest;
    if (close || isLast) {
      this.linger(connection);
      return;
    }
    connection.isIdle = true;
    connection.deadline = this.#deadlines.nextRequest;
    if (connection.decoder !== null) {
      connection.bodySince = this.#shard.io.timer.now;
      connection.forgottenFrom = connection.decoder.received;
    }
    if (!connection.isParsing) this.#reader.goOn(connection);
  }

  responseUpgraded(connection: HttpConnection, response: OutgoingResponse, upgrade: UpgradeFields): void {
    this.#upgrader.answer(connection, response, upgrade);
  }

  bodyWanted(connection: HttpConnection, response: OutgoingResponse): void {
    // In the handler, and in another callback of the body, it is seen to afterwards.
    if (connection.isParsing) return;
    queueMicrotask(() => {
      if (connection.response !== response || !connection.isHttp) return;
      connection.bodySince = this.#shard.io.timer.now;
      this.#bodies.giveEmpty(connection);
      this.#reader.goOn(connection);
    });
  }

  callbackReturned(connection: HttpConnection, response: OutgoingResponse, result: unknown): void {
    this.#errors.watch(connection, response, result);
  }

  setPaused(connection: HttpConnection, isPaused: boolean): void {
    const { transport } = connection;
    connection.isPaused = isPaused;
    if (isPaused) {
      transport.pause();
      return;
    }
    connection.bodySince = this.#shard.io.timer.now;
    if (connection.isParsing) transport.resume();
    else queueMicrotask(() => this.#reader.goOn(connection));
  }

  refuse(connection: HttpConnection, response: string): void {
    this.#heads.refuse(connection, response);
  }

  linger(connection: HttpConnection): void {
    this.#heads.linger(connection);
  }
}
