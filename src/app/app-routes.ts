import { described } from '../caller-values.ts';
import { invalidArgument } from '../errors.ts';
import { ANY_METHOD } from '../http/router.ts';
import { declarativeHandler } from '../serving/declarative-handler.ts';
import type { Routes } from '../serving/http-dispatcher.ts';
import type { HttpServer } from '../serving/http-server.ts';
import { bytesOf, type RecognizedString, textOf } from '../serving/recognized-string.ts';
import type { Shard } from '../shard/shard.ts';
import { userCode } from '../user-code.ts';
import { checkBehavior, type WebSocketOptions } from '../websocket/behavior.ts';
import type { Faces } from '../websocket/faces.ts';
import { WebSocketRoute } from '../websocket/websocket-route.ts';
import { type ConnectionFilter, ConnectionFilters } from './connection-filters.ts';
import { FACES, type HttpHandler, requestHandler } from './faces.ts';
import type { HttpRequest } from './http-request.ts';
import type { WebSocketBehavior } from './websocket-behavior.ts';

/**
 * What answers a route: a function, which may be async; the ArrayBuffer that `DeclarativeResponse.end()` returns; or
 * null, which removes the route.
 */
export type RouteHandler = HttpHandler | ArrayBuffer | null;

/** Told of a request that cannot be read, and of the answer to it. */
export type ParsingErrorHandler = (req: HttpRequest | undefined, status: number, body: ArrayBuffer) => void;

/** The WebSocket routes that an acceptor may do the handshakes of, in the order of the calls to `ws()`. */
export let webSocketsOf: (routes: AppRoutes) => readonly WebSocketRoute[];

/**
 * Routes a WebSocket endpoint whose handlers are given something else than a `WebSocket`: what `faces` make of a session.
 * For what is built on Apps in this package; not public.
 *
 * @param behavior options and handlers, as `ws()` takes them
 */
export let addWebSocket: (
  routes: AppRoutes,
  pattern: string,
  behavior: WebSocketOptions,
  faces: Faces,
) => void;

/**
 * The routes of an App.
 *
 * A pattern is a path whose segments are names, `:parameter`s, or a `*` at the end, which takes all the rest; it has at
 * most 100 segments. Its first slash may be left out: `*` is `/*`. At each segment a name goes before a parameter, and that before a `*`; a route of the request's
 * method goes before one of `any`. A handler that calls `req.setYield(true)` leaves the request to the next one.
 */
export class AppRoutes {
  readonly #shard: Shard;
  readonly #http: HttpServer;
  readonly #webSockets: WebSocketRoute[] = [];
  /** Those of the domain that was chosen. */
  #routes: Routes;
  #hasDomains = false;
  /** Null: there are none. */
  #filters: ConnectionFilters | null = null;

  /** @internal */
  constructor(shard: Shard, http: HttpServer) {
    this.#shard = shard;
    this.#http = http;
    this.#routes = http.dispatcher.routes;
  }

  /**
   * Routes a WebSocket endpoint. A request that is no handshake (a GET with `Upgrade: websocket` and a key of 24
   * characters) goes on to the routes of HTTP.
   *
   * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes
   */
  ws<UserData = unknown>(pattern: RecognizedString, behavior: WebSocketBehavior<UserData>): this {
    this.#addWebSocket(patternOf(pattern), behavior, FACES);
    return this;
  }

  #addWebSocket(pattern: string, behavior: WebSocketOptions, faces: Faces): void {
    const route = new WebSocketRoute(pattern, checkBehavior(pattern, behavior), this.#shard, faces);
    this.#routes.upgrades.add(ANY_METHOD, pattern, route);
    if (!this.#hasDomains) this.#webSockets.push(route);
  }

  /** Routes GET. HEAD has routes of its own. */
  get(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('GET', pattern, handler);
  }

  post(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('POST', pattern, handler);
  }

  options(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('OPTIONS', pattern, handler);
  }

  /** Routes DELETE. */
  del(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('DELETE', pattern, handler);
  }

  patch(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('PATCH', pattern, handler);
  }

  put(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('PUT', pattern, handler);
  }

  head(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('HEAD', pattern, handler);
  }

  /** Routes CONNECT with a path. There is no tunnel: a target that is `host:port` is answered 400. */
  connect(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('CONNECT', pattern, handler);
  }

  trace(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route('TRACE', pattern, handler);
  }

  /** Routes every method that has no route of its own for the path. */
  any(pattern: RecognizedString, handler: RouteHandler): this {
    return this.#route(ANY_METHOD, pattern, handler);
  }

  /**
   * The routes that are added from here on are those of this host alone, which has none but these: of the name a TLS
   * client asked for (SNI), or of the `Host` of a plain request. `*.example.com` stands for all names with one more
   * label. '' goes back to the routes of all other hosts.
   */
  domain(hostname: RecognizedString): this {
    const name = textOf(hostname).toLowerCase();
    this.#routes = name === '' ? this.#http.dispatcher.routes : this.#http.dispatcher.domain(name);
    this.#hasDomains ||= name !== '';
    return this;
  }

  /**
   * Calls `filter` with 1 when a connection is made and with -1 when it is over, as HTTP or as WebSocket. The response is
   * the same both times and answers no request: look at its address, keep fields on it, or close it.
   */
  filter(filter: ConnectionFilter): this {
    if (typeof filter !== 'function')
      throw invalidArgument(
        `filter: the argument must be a function (res, count) => …; got ${described(filter)}`,
      );
    if (this.#filters === null) {
      this.#filters = new ConnectionFilters(this.#http.onFailure);
      this.#http.watchConnections(this.#filters);
    }
    this.#filters.add(filter);
    return this;
  }

  /**
   * Calls `handler` when a request cannot be read: with undefined, as there is no request, the status it is answered
   * with, and the body of that answer. In a server behind an acceptor the heads are read there, and it is not called.
   */
  onHttpParsingError(handler: ParsingErrorHandler): this {
    if (typeof handler !== 'function') {
      throw invalidArgument(
        `onHttpParsingError: the argument must be a function (req, status, body) => …; got ${described(handler)}`,
      );
    }
    this.#http.onParsingError = userCode(handler);
    return this;
  }

  #route(method: string, pattern: RecognizedString, handler: RouteHandler): this {
    const name = patternOf(pattern);
    const routes = this.#routes.http;
    if (handler === null) {
      routes.remove(method, name);
    } else if (typeof handler === 'function') {
      routes.add(method, name, requestHandler(handler));
    } else if (handler instanceof ArrayBuffer || ArrayBuffer.isView(handler)) {
      routes.add(method, name, declarativeHandler(bytesOf(handler)));
    } else {
      throw invalidArgument(
        `The handler of '${name}' must be a function, what DeclarativeResponse.end() returns, or null to remove the route; got ${described(handler)}`,
      );
    }
    return this;
  }

  static {
    // An acceptor knows patterns and no hosts.
    addWebSocket = (routes, pattern, behavior, faces) => {
      routes.#addWebSocket(pattern, behavior, faces);
    };
    webSocketsOf = (routes) => (routes.#hasDomains ? [] : routes.#webSockets);
  }
}

/** The pattern as the router takes it, with the slash in front that programs leave out. */
function patternOf(pattern: RecognizedString): string {
  if (pattern === undefined) {
    throw invalidArgument("The pattern of a route must be a text such as '/rooms/:id'; got undefined");
  }
  const text = textOf(pattern);
  return text.startsWith('/') ? text : `/${text}`;
}
