import { MillraceError } from '../errors.ts';
import { StringCache } from '../http/latin1.ts';
import type { RequestHead } from '../http/request-head.ts';
import { ParseStatus, RequestParser } from '../http/request-parser.ts';
import { errorResponse, switchingProtocols } from '../http/response-writer.ts';
import { ANY_METHOD, Router } from '../http/router.ts';
import { Counter } from '../net/counter.ts';
import { latin1Port, sha1Port, writeLatin1 } from '../net/native-ports.ts';
import type { Transport, TransportContext } from '../net/transport.ts';
import { acceptValue, isHandshakeKey, isUpgradeRequest } from '../protocol/handshake.ts';
import type { Drainable, Shard } from '../shard/shard.ts';
import { acceptUpgrade, chooseProtocol, refuseUpgrade } from '../shard/upgrade.ts';
import { expire, HttpRequest, hasYielded } from './http-request.ts';
import {
  abort,
  canAnswerLater,
  HttpResponse,
  isOpen,
  markEnded,
  type ResponseOwner,
  type UpgradeFields,
} from './http-response.ts';
import type { WebSocketRoute } from './websocket-route.ts';

export type HttpHandler = (res: HttpResponse, req: HttpRequest) => void | Promise<void>;

/** Limits of the HTTP side. */
export interface HttpLimits {
  /** Bytes of a request head. */
  readonly maxHeadSize: number;
  readonly maxHeaders: number;
  /** Seconds a request head may take, from the connection or the last response on. */
  readonly handshakeTimeout: number;
}

/** Bytes behind a request that waits for its response. With more than these no more is read. */
const MAX_REST = 16 * 1024;

const NO_BYTES = new Uint8Array(0);

/** Seconds a peer has to follow our FIN. */
const LINGER = 5;

/** One connection in its HTTP phase. */
class HttpConnection implements ResponseOwner {
  readonly server: HttpServer;
  readonly transport: Transport;
  /** Lent from the server while a head is incomplete. */
  parser: RequestParser | null = null;
  /** The response under way. */
  response: HttpResponse | null = null;
  /** The handshake it answers, when it is one. */
  upgradeRoute: WebSocketRoute | null = null;
  /** The request of that response; open() gets it when the upgrade happens in the handler. */
  request: HttpRequest | null = null;
  /** A copy of the head's bytes, for an upgrade that happens later. */
  headBytes: Uint8Array | null = null;
  keepAlive = true;
  /** Bytes that came behind the request under way. */
  rest: Uint8Array = NO_BYTES;
  /** The chunk that is being parsed ends here; -1: none is. */
  isParsing = false;
  deadline: number;
  isLingering = false;
  /** It is one too many: its first request is refused. */
  readonly isExcess: boolean;

  constructor(server: HttpServer, transport: Transport, isExcess = false) {
    this.server = server;
    this.transport = transport;
    this.isExcess = isExcess;
    this.deadline = server.deadline();
  }

  responseEnded(response: HttpResponse, close: boolean): void {
    this.server.responseEnded(this, response, close);
  }

  responseUpgraded(response: HttpResponse, upgrade: UpgradeFields): void {
    this.server.responseUpgraded(this, response, upgrade);
  }
}

/**
 * HttpServer: the HTTP phase of all connections of an App: heads to routes, handshakes to WebSockets. One
 * request at a time is under way on a connection; what comes behind it waits.
 */
export class HttpServer implements TransportContext, Drainable {
  readonly routes = new Router<HttpHandler>();
  readonly webSockets = new Router<WebSocketRoute>();
  readonly #shard: Shard;
  readonly #limits: HttpLimits;
  readonly #parsers: RequestParser[] = [];
  readonly #strings = new StringCache(latin1Port);
  #refusing = 0;

  constructor(shard: Shard, limits: HttpLimits) {
    this.#shard = shard;
    this.#limits = limits;
  }

  /** Connections too many that are still open, to be told so. */
  get refusing(): number {
    return this.#refusing;
  }

  /** Takes over a socket whose next bytes are a request. `isExcess`: to be refused, as there are too many. */
  start(transport: Transport, isExcess = false): void {
    const connection = new HttpConnection(this, transport, isExcess);
    if (isExcess) this.#refusing++;
    transport.owner = connection;
    this.#shard.io.timer.schedule(transport, connection.deadline);
    transport.startReading();
  }

  /**
   * Takes over a socket whose handshake was answered elsewhere. `bytes[start, end)` is the request and what came
   * behind it.
   */
  startWebSocket(
    transport: Transport,
    route: WebSocketRoute | undefined,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const parser = this.#parsers.pop() ?? this.#newParser();
    if (route === undefined || parser.feed(bytes, start, end) !== ParseStatus.COMPLETE) {
      // Shards whose modules register other routes than the first one's cannot be told apart from here.
      transport.owner = new HttpConnection(this, transport);
      transport.destroy();
      return;
    }
    const rest = parser.consumed;
    this.#shard.count(Counter.REQUESTS);
    const request = this.#requestFor(route, parser.head);
    transport.beginCork();
    route.open(transport, request, undefined);
    expire(request);
    transport.endCork();
    parser.reset();
    this.#parsers.push(parser);
    if (rest < end && !transport.isClosed) transport.receive(bytes, rest, end);
    transport.startReading();
  }

  deadline(): number {
    return this.#shard.io.timer.now + this.#limits.handshakeTimeout + 1;
  }

  // Events of the transport.

  onChunk(transport: Transport, bytes: Uint8Array, start: number, end: number): void {
    const connection = transport.owner as HttpConnection;
    if (connection.isLingering) return;
    if (connection.response !== null) this.#keepRest(connection, bytes, start, end);
    else this.#parse(connection, bytes, start, end);
  }

  onWritable(_transport: Transport): void {}

  onEnd(transport: Transport): void {
    const connection = transport.owner as HttpConnection;
    // As in uWebSockets.js a peer that ends its side has left: a handler that answers later learns it now.
    if (connection.response !== null) transport.destroy();
    else if (!connection.isLingering) this.#linger(connection);
  }

  onClosed(transport: Transport, _error: number): void {
    const connection = transport.owner as HttpConnection;
    this.#returnParser(connection);
    if (connection.isExcess) this.#refusing--;
    const { response } = connection;
    connection.response = null;
    if (response !== null) this.#guard(() => abort(response));
    this.#shard.release(transport);
  }

  onTimer(transport: Transport, now: number): number {
    const connection = transport.owner as HttpConnection;
    // The time a handler takes to answer is its own.
    if (connection.response !== null) return now + LINGER;
    if (now < connection.deadline) return connection.deadline;
    if (!connection.isLingering && connection.parser !== null) {
      this.#shard.count(Counter.TIMEOUTS);
      this.#refuse(connection, errorResponse(408));
      return connection.deadline;
    }
    transport.destroy();
    return 0;
  }

  drain(transport: Transport, _code: number): void {
    const connection = transport.owner as HttpConnection;
    if (connection.response !== null) connection.keepAlive = false;
    // The last response is still on its way.
    else if (transport.blocked) this.#linger(connection);
    else transport.destroy();
  }

  // Events of a response.

  responseEnded(connection: HttpConnection, response: HttpResponse, close: boolean): void {
    if (connection.response !== response) return;
    connection.response = null;
    connection.request = null;
    connection.upgradeRoute = null;
    connection.headBytes = null;
    if (close || this.#shard.isDraining) {
      this.#linger(connection);
    } else {
      connection.deadline = this.deadline();
      if (!connection.isParsing) this.#goOn(connection);
    }
  }

  responseUpgraded(connection: HttpConnection, response: HttpResponse, upgrade: UpgradeFields): void {
    const route = connection.upgradeRoute;
    if (route === null || connection.response !== response) {
      throw new MillraceError(
        'MILLRACE_APP_STATE',
        'res.upgrade: this response does not answer a WebSocket handshake; only the upgrade handler of a ws() route can call it',
      );
    }
    if (!isHandshakeKey(upgrade.key)) {
      throw new MillraceError(
        'MILLRACE_INVALID_ARGUMENT',
        "res.upgrade: secWebSocketKey must be the request's sec-websocket-key header",
      );
    }
    const lines = switchingProtocols({
      accept: acceptValue(upgrade.key, sha1Port),
      // uWebSockets.js answers with the first of the list it is given.
      protocol: upgrade.protocol.split(',', 1)[0]!.trim(),
      extraHeaders: upgrade.headerLines,
    });
    markEnded(response);
    connection.response = null;
    this.#open(connection, route, lines, upgrade.userData);
  }

  // Requests.

  /** The request with the parameters that the route's pattern takes from its path. */
  #requestFor(route: WebSocketRoute, head: RequestHead): HttpRequest {
    let request: HttpRequest | null = null;
    if (route.pattern.includes(':')) {
      this.webSockets.match(ANY_METHOD, head.path, (found, params, names) => {
        if (found === route) request = new HttpRequest(head, params, names);
        return found === route;
      });
    }
    return request ?? new HttpRequest(head);
  }

  #parse(connection: HttpConnection, bytes: Uint8Array, start: number, end: number): void {
    connection.isParsing = true;
    let position = start;
    while (position < end && this.#isIdle(connection)) {
      const parser = (connection.parser ??= this.#parsers.pop() ?? this.#newParser());
      const status = parser.feed(bytes, position, end);
      position = parser.consumed;
      if (status === ParseStatus.INCOMPLETE) break;
      if (status === ParseStatus.COMPLETE) {
        position = this.#request(connection, parser.head, bytes, position, end);
      } else {
        this.#shard.count(Counter.REFUSED);
        this.#refuse(connection, errorResponse(status));
      }
      this.#returnParser(connection);
    }
    connection.isParsing = false;
    const isWaiting = connection.response !== null && connection.transport.owner === connection;
    if (isWaiting && position < end) this.#keepRest(connection, bytes, position, end);
  }

  #isIdle(connection: HttpConnection): boolean {
    const { transport } = connection;
    return (
      connection.response === null &&
      !connection.isLingering &&
      !transport.isClosed &&
      transport.owner === connection
    );
  }

  /** Returns the position to go on from: `end` when the rest was handed to a WebSocket. */
  #request(
    connection: HttpConnection,
    head: RequestHead,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): number {
    this.#shard.count(Counter.REQUESTS);
    if (connection.isExcess) {
      this.#shard.count(Counter.REFUSED);
      this.#refuse(connection, errorResponse(503));
      return position;
    }
    connection.keepAlive = head.keepAlive && !this.#shard.isDraining;
    if (isUpgradeRequest(head)) {
      let isTaken = false;
      const { transport } = connection;
      this.webSockets.match(ANY_METHOD, head.path, (route, params, names) => {
        isTaken = this.#handshake(connection, head, route, new HttpRequest(head, params, names));
        return isTaken;
      });
      if (isTaken) {
        if (transport.owner === connection || transport.isClosed) return position;
        // The first frames may have come with the handshake.
        if (position < end) transport.context.onChunk(transport, bytes, position, end);
        return end;
      }
    }
    if (head.hasBody) this.#refuse(connection, errorResponse(501, [], 'Request bodies are not supported\n'));
    else this.#route(connection, head);
    return position;
  }

  /** Returns false when the route's handler passed the request on. */
  #handshake(
    connection: HttpConnection,
    head: RequestHead,
    route: WebSocketRoute,
    request: HttpRequest,
  ): boolean {
    const refusal = refuseUpgrade(head, route.rules);
    if (refusal !== undefined) {
      this.#shard.count(Counter.REFUSED);
      this.#refuse(connection, refusal);
      return true;
    }
    connection.upgradeRoute = route;
    connection.request = request;
    if (route.behavior.upgrade === undefined) {
      this.#open(connection, route, acceptUpgrade(head, chooseProtocol(head, route.rules)), undefined);
    } else {
      // A copy: slice() would be none, as what is read into is a Buffer.
      connection.headBytes = new Uint8Array(head.bytes.subarray(head.headStart, head.headEnd));
      this.#callHandler(connection, head, request, (res) => route.behavior.upgrade!(res, request, route));
    }
    const isYielded = hasYielded(request) && connection.response === null && connection.upgradeRoute !== null;
    expire(request);
    connection.request = null;
    if (isYielded) connection.upgradeRoute = null;
    return !isYielded;
  }

  #route(connection: HttpConnection, head: RequestHead): void {
    const isFound = this.routes.match(head.method, head.path, (handler, params, names) => {
      const request = new HttpRequest(head, params, names);
      this.#callHandler(connection, head, request, (res) => handler(res, request));
      const isTaken = !hasYielded(request);
      expire(request);
      return isTaken;
    });
    if (isFound || connection.transport.isClosed) return;
    const body = '<html><body><h1>File Not Found</h1></body></html>';
    const response = new HttpResponse(connection.transport, connection, head.method);
    connection.response = response;
    response.writeStatus('404 File Not Found').writeHeader('Content-Type', 'text/html').end(body);
  }

  /** Calls a user's handler. What it throws or rejects with is answered 500, if nothing was sent yet. */
  #callHandler(
    connection: HttpConnection,
    head: RequestHead,
    request: HttpRequest,
    handler: (response: HttpResponse) => void | Promise<void>,
  ): void {
    const response = new HttpResponse(connection.transport, connection, head.method);
    const route = connection.upgradeRoute;
    connection.response = response;
    try {
      const result = handler(response);
      if (typeof (result as Promise<void> | undefined)?.then === 'function') {
        (result as Promise<void>).then(undefined, (error: unknown) => {
          this.#handlerFailed(connection, response, route, error);
        });
      }
    } catch (error) {
      this.#handlerFailed(connection, response, route, error);
      return;
    }
    if (!isOpen(response)) return;
    if (hasYielded(request)) {
      connection.response = null;
    } else if (!canAnswerLater(response)) {
      const error = new MillraceError(
        'MILLRACE_APP_STATE',
        'A handler returned without a response and without res.onAborted(). Answer with res.end() or res.upgrade(), ' +
          'or attach res.onAborted() before you await.',
      );
      this.#handlerFailed(connection, response, route, error);
    }
  }

  #handlerFailed(
    connection: HttpConnection,
    response: HttpResponse,
    route: WebSocketRoute | null,
    error: unknown,
  ): void {
    if (route !== null) route.report(undefined, error);
    else this.#report(error);
    if (connection.response !== response) return;
    markEnded(response);
    connection.response = null;
    this.#refuse(connection, errorResponse(500));
  }

  #open(connection: HttpConnection, route: WebSocketRoute, response: string, userData: unknown): void {
    const { transport } = connection;
    const { rest } = connection;
    connection.rest = NO_BYTES;
    const previous = transport.io.corked;
    transport.beginCork();
    writeLatin1(transport, response);
    this.#shard.io.timer.cancel(transport);
    const request = connection.request ?? this.#requestAgain(connection, route);
    route.open(transport, request, userData);
    if (request !== connection.request) expire(request);
    if (rest.length > 0 && !transport.isClosed) transport.context.onChunk(transport, rest, 0, rest.length);
    transport.endCork(previous);
    if (!transport.isClosed) transport.resume();
  }

  /** The request as it was, for an upgrade after the handler returned. */
  #requestAgain(connection: HttpConnection, route: WebSocketRoute): HttpRequest {
    const parser = this.#newParser();
    const bytes = connection.headBytes ?? NO_BYTES;
    parser.feed(bytes, 0, bytes.length);
    return this.#requestFor(route, parser.head);
  }

  #keepRest(connection: HttpConnection, bytes: Uint8Array, start: number, end: number): void {
    const kept = connection.rest;
    const joined = new Uint8Array(kept.length + end - start);
    joined.set(kept, 0);
    joined.set(bytes.subarray(start, end), kept.length);
    connection.rest = joined;
    // Reading on is how the peer's end is noticed. Beyond, the kernel makes it wait.
    if (joined.length > MAX_REST) connection.transport.pause();
  }

  /** A response was sent later: takes up the requests that came behind it. */
  #goOn(connection: HttpConnection): void {
    const { transport, rest } = connection;
    connection.rest = NO_BYTES;
    if (rest.length > 0) {
      const previous = transport.io.corked;
      transport.beginCork();
      this.#parse(connection, rest, 0, rest.length);
      transport.endCork(previous);
    }
    if (this.#isIdle(connection)) transport.resume();
  }

  #refuse(connection: HttpConnection, response: string): void {
    writeLatin1(connection.transport, response);
    this.#linger(connection);
  }

  /** Sends FIN and reads on without looking, so that the peer gets the response before a reset could eat it. */
  #linger(connection: HttpConnection): void {
    const { timer } = this.#shard.io;
    connection.isLingering = true;
    connection.rest = NO_BYTES;
    connection.deadline = timer.now + LINGER + 1;
    if (connection.transport.isClosed) return;
    timer.schedule(connection.transport, connection.deadline);
    connection.transport.end();
  }

  #newParser(): RequestParser {
    const { maxHeadSize, maxHeaders } = this.#limits;
    return new RequestParser({ maxHeadSize, maxHeaders, strings: this.#strings });
  }

  #returnParser(connection: HttpConnection): void {
    const { parser } = connection;
    if (parser === null) return;
    connection.parser = null;
    parser.reset();
    if (this.#parsers.length < 256) this.#parsers.push(parser);
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    this.#shard.count(Counter.HANDLER_ERRORS);
    console.error('millrace: an HTTP handler threw:', error);
  }
}
