import { OVER_LIMIT } from '../admission/address-limit.ts';
import type { Gate } from '../admission/gate.ts';
import { HeadReader } from '../admission/head-reader.ts';
import { keyOfBytes } from '../admission/peer-address.ts';
import { hostRefusal, refusalText } from '../admission/refusal-text.ts';
import type { Refusal } from '../admission/refusing.ts';
import { WaitingRoom } from '../admission/waiting-room.ts';
import { AllowedHosts, type HostRules } from '../http/allowed-hosts.ts';
import { ProxyHeaderParser, ProxyStatus } from '../http/proxy-protocol.ts';
import type { RequestHead } from '../http/request-head.ts';
import { ParseStatus } from '../http/request-parser.ts';
import { errorResponse } from '../http/response-writer.ts';
import { Counter } from '../metrics/counter.ts';
import { NO_STAMP } from '../metrics/monotonic-time.ts';
import { runTicks } from '../net/node-internals.ts';
import type { Transport, TransportContext } from '../net/transport.ts';
import type { ServerLimits } from '../options/server-limits.ts';
import type { Drainable } from '../shard/drain.ts';
import type { Shard } from '../shard/shard.ts';
import { callUser, type OnFailure, type UserCode } from '../user-code.ts';
import { HandlerErrors } from './handler-errors.ts';
import { type ConnectionServer, HttpConnection } from './http-connection.ts';
import { isBodyLate, isStalled, wantsBody } from './http-deadlines.ts';
import { Dispatcher } from './http-dispatcher.ts';
import type { OutgoingResponse, UpgradeFields } from './outgoing-response.ts';
import { ownCopy } from './recognized-string.ts';
import { type BodyOwner, RequestBodies } from './request-bodies.ts';
import type { UpgradeTarget } from './upgrade-target.ts';
import { Upgrader } from './upgrader.ts';

/** Told of connections. */
export interface ConnectionWatcher {
  connected(connection: HttpConnection): void;
  disconnected(transport: Transport): void;
}

/** Told of a request that cannot be read, and of the answer to it. */
export type ParsingErrorHandler = (req: undefined, status: number, body: ArrayBuffer) => void;

/** Seconds between two looks at a connection whose request is under way. */
const WATCH = 5;

/**
 * Requests that came behind one another and are answered one by one outside of a read, by handlers that are async, in one
 * turn of a connection.
 */
const MAX_GONE_ON = 16;

/**
 * HttpServer: the HTTP phase of all connections of an App: which bytes are requests and which of their bodies, and the
 * deadlines of both. One request at a time is under way on a connection; what comes behind it waits.
 *
 *     head ─▶ handler ─▶ body to its reader ─▶ response sent, rest of the body forgotten ─▶ next head
 */
export class HttpServer implements TransportContext<HttpConnection>, Drainable, ConnectionServer, BodyOwner {
  readonly dispatcher: Dispatcher;
  onParsingError: UserCode<ParsingErrorHandler> | null = null;
  /** Every connection starts with a header of the PROXY protocol, version 2. */
  isProxied = false;
  /** What its connections have passed; null: they come from the acceptor. */
  gate: Gate | null = null;
  readonly #shard: Shard;
  readonly #limits: ServerLimits;
  readonly #heads: HeadReader<HttpConnection>;
  readonly #errors: HandlerErrors;
  readonly #bodies: RequestBodies;
  readonly #upgrader: Upgrader;
  /** Null: nobody asked. */
  #watcher: ConnectionWatcher | null = null;
  /** Null: requests may have any. */
  #hosts: AllowedHosts | null = null;
  /** Connections whose first request is not whole. */
  readonly #new: WaitingRoom;

  constructor(shard: Shard, limits: ServerLimits) {
    this.#shard = shard;
    this.#limits = limits;
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
        if (connection.isNew) this.#notNew(connection);
        connection.dropRest();
        this.#bodies.drop(connection);
      },
    );
    this.#new = new WaitingRoom((change) => {
      shard.addWaiting(change);
    });
  }

  /** Closes the oldest connection whose first request is not whole, for another one. Returns false when there is none. */
  evictOldest(): boolean {
    return this.#new.evict();
  }

  /** For failures of callbacks that no connection has to answer for. */
  get onFailure(): OnFailure {
    return this.#errors.report;
  }

  /** Which names requests may call this server by, and whether clients come by https. */
  useHosts({ allowedHosts, behindTls }: HostRules): void {
    this.#hosts = allowedHosts === null ? null : new AllowedHosts(allowedHosts);
    this.dispatcher.isBehindTls = behindTls;
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
    if (refusal === null) {
      connection.isNew = true;
      this.#new.add(transport);
    }
    if (this.isProxied) connection.proxyHeader = new ProxyHeaderParser();
    transport.owner = connection;
    this.#shard.io.timer.schedule(transport, this.#visitAt(connection.deadline));
    this.#watcher?.connected(connection);
    transport.startReading();
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
      const connection = new HttpConnection(this, transport, null, 0);
      transport.owner = connection;
      this.#shard.count(Counter.REFUSED);
      this.refuse(connection, refusalText(503));
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
    const from =
      connection.proxyHeader === null ? start : this.#readProxyHeader(connection, bytes, start, end);
    if (connection.hasRest) this.#keepRest(connection, bytes, from, end);
    else if (from < end) this.#feed(connection, bytes, from, end, false);
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
      const { now } = this.#shard.io.timer;
      connection.deadline = Math.max(connection.deadline, now + this.#limits.keepAliveTimeout + 1);
      this.#goOn(connection);
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
    if (connection.isNew) this.#notNew(connection);
    if (connection.refusal !== null) this.gate?.giveBack(connection.refusal);
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
    const connection = transport.owner;
    if (isStalled(connection, now, this.#limits.writeTimeout)) {
      this.#shard.count(Counter.TIMEOUTS);
      transport.destroy();
      return 0;
    }
    if (isBodyLate(connection, now, this.#limits.bodyTimeout)) this.#bodies.fail(connection, 408);
    if (transport.isClosed) return 0;
    const isWaiting = connection.response !== null || connection.decoder !== null || transport.blocked;
    // The time a handler takes to answer is its own.
    if (isWaiting && !(connection.isLingering && !transport.blocked)) return this.#visitAt(now + WATCH);
    if (now < connection.deadline) return this.#visitAt(connection.deadline);
    return this.#heads.expire(connection);
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
    connection.deadline = this.#shard.io.timer.now + this.#limits.keepAliveTimeout + 1;
    if (connection.decoder !== null) {
      connection.bodySince = this.#shard.io.timer.now;
      connection.forgottenFrom = connection.decoder.received;
    }
    if (!connection.isParsing) this.#goOn(connection);
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
      this.#goOn(connection);
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
    else queueMicrotask(() => this.#goOn(connection));
  }

  refuse(connection: HttpConnection, response: string): void {
    this.#heads.refuse(connection, response);
  }

  linger(connection: HttpConnection): void {
    this.#heads.linger(connection);
  }

  // Requests.

  /** Takes in `bytes[start, end)`, and keeps what must wait. `isRest`: they are the connection's own. */
  #feed(connection: HttpConnection, bytes: Uint8Array, start: number, end: number, isRest: boolean): void {
    const { io } = this.#shard;
    connection.isParsing = true;
    let position = start;
    let left = io.pace.stride;
    while (position < end && connection.isHttp && !connection.isLingering) {
      if (connection.decoder !== null) {
        if (!wantsBody(connection)) break;
        position = this.#bodies.take(connection, connection.decoder, bytes, position, end);
        // As between two callbacks: a stream takes up what it was given.
        if (position < end && !isRest && connection.response !== null) runTicks();
      } else if (connection.response !== null || connection.transport.blocked) {
        break;
      } else {
        position = this.#request(connection, bytes, position, end, isRest);
      }
      if (--left > 0) continue;
      left = io.pace.lookAtRequests();
      if (left === 0) break;
    }
    connection.isParsing = false;
    if (position === end || !connection.isHttp || connection.isLingering) return;
    if (left === 0) this.#yield(connection);
    if (isRest) {
      connection.rest = bytes;
      connection.restAt = position;
      connection.restEnd = end;
      if (connection.isRestFull) connection.transport.pause();
    } else {
      this.#keepRest(connection, bytes, position, end);
    }
  }

  /** Returns the position behind it; `end` when it is not complete, or refused. */
  #readProxyHeader(connection: HttpConnection, bytes: Uint8Array, start: number, end: number): number {
    const header = connection.proxyHeader!;
    const status = header.feed(bytes, start, end);
    if (status === ProxyStatus.INCOMPLETE) return end;
    connection.proxyHeader = null;
    if (status === ProxyStatus.COMPLETE) {
      connection.proxied = { address: header.sourceAddress, port: header.sourcePort };
      return this.#enterProxied(connection) ? header.consumed : end;
    }
    this.#shard.count(Counter.REFUSED);
    this.refuse(connection, errorResponse(400));
    return end;
  }

  /** Counts the client that the proxy speaks for. Returns false when it is cut off: too many of its address are told so. */
  #enterProxied(connection: HttpConnection): boolean {
    const { transport, proxied, refusal } = connection;
    const key = keyOfBytes(proxied!.address);
    if (this.gate === null || key === undefined || refusal !== null) return true;
    const row = this.gate.enterKey(key);
    if (row !== OVER_LIMIT) {
      transport.tag = row;
      return true;
    }
    connection.refusal = this.gate.refuseKey(key);
    if (connection.refusal === null) {
      transport.destroy();
      return false;
    }
    if (connection.isNew) this.#notNew(connection);
    return true;
  }

  #notNew(connection: HttpConnection): void {
    connection.isNew = false;
    this.#new.delete(connection.transport);
  }

  /** Returns the position to go on from: `end` when the rest was handed to a WebSocket. */
  #request(
    connection: HttpConnection,
    bytes: Uint8Array,
    start: number,
    end: number,
    isRest: boolean,
  ): number {
    const parser = this.#heads.parserOf(connection);
    const status = parser.feed(bytes, start, end);
    const position = parser.consumed;
    if (status === ParseStatus.INCOMPLETE) {
      if (connection.isIdle) this.#awaitHead(connection);
      return end;
    }
    if (status === ParseStatus.COMPLETE) {
      this.#dispatch(connection, parser.head, position < end, isRest);
    } else {
      this.#shard.count(Counter.REFUSED);
      this.#tellParsingError(status);
      this.refuse(connection, errorResponse(status));
    }
    this.#heads.release(connection);
    const { transport } = connection;
    if (transport.owner === connection || transport.isClosed) return position;
    // The first frames may have come with the handshake.
    if (position < end) transport.context.onChunk(transport, bytes, position, end);
    return end;
  }

  #tellParsingError(status: number): void {
    const { onParsingError } = this;
    if (onParsingError === null) return;
    const text = errorResponse(status);
    const body = ownCopy(Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1'));
    this.#errors.guard((failed) => {
      callUser(onParsingError, failed, undefined, status, body);
    });
  }

  /** @param isFollowed more has come behind the head */
  #dispatch(connection: HttpConnection, head: RequestHead, isFollowed: boolean, isRest: boolean): void {
    this.#shard.count(Counter.REQUESTS);
    if (connection.isNew) this.#notNew(connection);
    if (connection.refusal !== null) {
      this.#shard.count(Counter.REFUSED);
      this.refuse(connection, refusalText(connection.refusal.status, head.method === 'HEAD'));
      return;
    }
    if (this.#hosts !== null && !this.#hosts.has(head.host)) {
      this.#shard.count(Counter.REFUSED);
      this.refuse(connection, hostRefusal(head.method === 'HEAD'));
      return;
    }
    // The last of the requests that came together says that it is the last; with a body it is.
    connection.isPersistent =
      head.keepAlive && (!this.#shard.isDraining || (isFollowed && !head.hasBody) || connection.hasRest);
    connection.isHttp10 = head.minorVersion === 0;
    if (head.hasBody && !this.#bodies.start(connection, head)) return;
    this.dispatcher.dispatch(connection, head);
    const { response } = connection;
    if (response === null || (!head.hasBody && response.reader === null)) return;
    if (isRest) {
      this.#giveBodyLater(connection);
    } else {
      runTicks();
      this.#bodies.giveEmpty(connection);
    }
  }

  /**
   * A handler is done, and gets the body, when its microtasks are. It was called out of the middle of something of the
   * user's, a `res.end` mostly, which is to go on first.
   */
  #giveBodyLater(connection: HttpConnection): void {
    connection.awaitsMicrotasks = true;
    setImmediate(() => {
      connection.awaitsMicrotasks = false;
      if (!connection.isHttp) return;
      connection.bodySince = this.#shard.io.timer.now;
      this.#bodies.giveEmpty(connection);
      this.#goOn(connection);
    });
  }

  #keepRest(connection: HttpConnection, bytes: Uint8Array, start: number, end: number): void {
    connection.keepRest(bytes, start, end);
    // Reading on is how the peer's end is noticed. Beyond, the kernel makes it wait.
    if (connection.isRestFull) connection.transport.pause();
  }

  /** What had to wait need not any more: takes up the bytes that came behind. */
  #goOn(connection: HttpConnection): void {
    if (connection.isParsing || connection.isYielding || !connection.isHttp) return;
    const { transport, rest, restAt, restEnd } = connection;
    if (connection.hasRest) {
      if (++connection.goneOn > MAX_GONE_ON) {
        this.#yield(connection);
        return;
      }
      connection.dropRest();
      transport.io.pace.begin(restEnd - restAt);
      const previous = transport.io.corked;
      transport.beginCork();
      this.#feed(connection, rest, restAt, restEnd, true);
      transport.endCork(previous);
    }
    if (connection.isHttp && !connection.isPaused && !connection.isRestFull) transport.resume();
  }

  /** What it has left is looked at in the next turn, and nothing is read before. */
  #yield(connection: HttpConnection): void {
    connection.isYielding = true;
    connection.transport.pause();
    this.#shard.io.runNextTurn(() => {
      connection.isYielding = false;
      connection.goneOn = 0;
      this.#goOn(connection);
    });
  }

  /** The first bytes of a request came behind a response. */
  #awaitHead(connection: HttpConnection): void {
    connection.isIdle = false;
    connection.deadline = this.#heads.deadline;
    this.#shard.io.timer.schedule(connection.transport, this.#visitAt(connection.deadline));
  }

  /** Deadlines are set without a word to the timer, which so must look in time for the earliest that can be set. */
  #visitAt(second: number): number {
    return Math.min(second, this.#shard.io.timer.now + this.#limits.keepAliveTimeout + 1);
  }
}
