import { invalidArgument, MillraceError } from '../errors.ts';
import { StringCache } from '../http/latin1.ts';
import type { RequestHead } from '../http/request-head.ts';
import { RequestParser } from '../http/request-parser.ts';
import { headOf, switchingProtocols } from '../http/response-writer.ts';
import { ANY_METHOD, Router } from '../http/router.ts';
import { Counter } from '../net/counter.ts';
import { latin1Port, sha1Port, writeLatin1 } from '../net/native-ports.ts';
import { acceptValue, isHandshake, isHandshakeKey, isUpgradeRequest } from '../protocol/handshake.ts';
import type { DeflateParams } from '../protocol/permessage-deflate.ts';
import { selectSubprotocol } from '../protocol/subprotocol.ts';
import type { Shard } from '../shard/shard.ts';
import {
  acceptUpgrade,
  agreeDeflate,
  chooseDeflate,
  chooseProtocol,
  extensionsText,
  refuseUpgrade,
} from '../shard/upgrade.ts';
import { Domains, hostName } from './domains.ts';
import type { HandlerErrors } from './handler-errors.ts';
import type { HttpConnection } from './http-connection.ts';
import { expire, HttpRequest, hasYielded, keep } from './http-request.ts';
import {
  canAnswerLater,
  HttpResponse,
  isOpen,
  keepWith,
  markEnded,
  type UpgradeFields,
} from './http-response.ts';
import type { Refuser } from './refuser.ts';
import type { ServerLimits } from './server-limits.ts';
import type { WebSocketRoute } from './websocket-route.ts';

export type HttpHandler = (res: HttpResponse, req: HttpRequest) => void | Promise<void>;

/** The routes of an App, or of one of its domains. */
export class Routes {
  readonly http = new Router<HttpHandler>();
  readonly webSockets = new Router<WebSocketRoute>();
}

const NOT_FOUND = '<html><body><h1>File Not Found</h1></body></html>';
const NO_BYTES = new Uint8Array(0);

/** Dispatcher: from request heads to the user's handlers, and from handshakes to WebSockets. */
export class Dispatcher {
  /** Those of hosts that have none of their own. */
  readonly routes = new Routes();
  readonly #domains = new Domains<Routes>();
  readonly #shard: Shard;
  readonly #limits: ServerLimits;
  readonly #refuser: Refuser;
  readonly #errors: HandlerErrors;
  readonly #strings = new StringCache(latin1Port);
  // The request that is being dispatched; a handler may answer one of another connection, and dispatch the next.
  #connection: HttpConnection | null = null;
  #head: RequestHead | null = null;
  #response: HttpResponse | null = null;
  /** Why the WebSocket route that was asked for cannot take it; '' while there is no reason. */
  #refusal = '';

  constructor(shard: Shard, limits: ServerLimits, refuser: Refuser, errors: HandlerErrors) {
    this.#shard = shard;
    this.#limits = limits;
    this.#refuser = refuser;
    this.#errors = errors;
  }

  /** The routes of a host name, or of `*.` and a name. */
  domain(name: string): Routes {
    return this.#domains.take(name, () => new Routes());
  }

  newParser(): RequestParser {
    const { maxHeadSize, maxHeaders } = this.#limits;
    return new RequestParser({ maxHeadSize, maxHeaders, strings: this.#strings });
  }

  /** Calls handlers until one takes the request. The connection may be a WebSocket, or closed, afterwards. */
  dispatch(connection: HttpConnection, head: RequestHead): void {
    const previousConnection = this.#connection;
    const previousHead = this.#head;
    const previousResponse = this.#response;
    const previousRefusal = this.#refusal;
    this.#connection = connection;
    this.#head = head;
    this.#response = null;
    this.#refusal = '';
    const routes = this.#routesFor(connection, head);
    const { path } = head;
    const isTaken =
      (isUpgradeRequest(head) && routes.webSockets.match(ANY_METHOD, path, this.#offerUpgrade)) ||
      routes.http.match(head.method, path, this.#offer);
    if (!isTaken && !connection.transport.isClosed) this.#notTaken(connection);
    this.#connection = previousConnection;
    this.#head = previousHead;
    this.#response = previousResponse;
    this.#refusal = previousRefusal;
  }

  /** The request of a handshake that was answered elsewhere. */
  requestFor(route: WebSocketRoute, head: RequestHead, { webSockets }: Routes = this.routes): HttpRequest {
    let request: HttpRequest | null = null;
    if (route.pattern.includes(':')) {
      webSockets.match(ANY_METHOD, head.path, (found, params, names) => {
        if (found === route) request = new HttpRequest(head, params, names);
        return found === route;
      });
    }
    return request ?? new HttpRequest(head);
  }

  /** `res.upgrade` was called. */
  upgrade(connection: HttpConnection, response: HttpResponse, upgrade: UpgradeFields): void {
    const route = connection.upgradeRoute;
    if (route === null || connection.response !== response) {
      throw new MillraceError(
        'MILLRACE_APP_STATE',
        'res.upgrade: this response does not answer a WebSocket handshake; only the upgrade handler of a ws() route can call it',
      );
    }
    if (!isHandshakeKey(upgrade.key)) {
      throw invalidArgument("res.upgrade: secWebSocketKey must be the request's sec-websocket-key header");
    }
    const deflate =
      route.rules.compression === 0
        ? undefined
        : chooseDeflate(upgrade.extensions, this.#userAgent(connection, route), route.rules);
    const lines = switchingProtocols({
      accept: acceptValue(upgrade.key, sha1Port),
      // uWebSockets.js answers with the first of the list it is given.
      protocol: selectSubprotocol(
        upgrade.protocol.split(',').map((name) => name.trim()),
        route.rules.protocols,
      ),
      extensions: extensionsText(deflate),
      extraHeaders: upgrade.headerLines,
    });
    // Copied now: its getters are the user's, and may throw as long as nothing is sent.
    const userData = ownPropertiesOf(upgrade.userData);
    markEnded(response);
    connection.response = null;
    this.#open(connection, route, lines, userData, deflate?.params);
  }

  #routesFor(connection: HttpConnection, head: RequestHead): Routes {
    if (this.#domains.isEmpty) return this.routes;
    const { tls } = connection.transport;
    const name = tls === null || tls.isNameLost ? hostName(head.header('host')) : tls.serverName;
    return this.#domains.find(name) ?? this.routes;
  }

  /** One response for all routes a request is offered to: what one wrote before it passed it on is kept. */
  #responseOf(connection: HttpConnection, head: RequestHead): HttpResponse {
    const response = (this.#response ??= new HttpResponse(connection.transport, connection, head.method));
    connection.response = response;
    return response;
  }

  readonly #offer = (handler: HttpHandler, params: readonly string[], names: readonly string[]): boolean => {
    const connection = this.#connection!;
    const head = this.#head!;
    const request = new HttpRequest(head, params, names);
    return this.#run(connection, this.#responseOf(connection, head), request, handler, null);
  };

  readonly #offerUpgrade = (
    route: WebSocketRoute,
    params: readonly string[],
    names: readonly string[],
  ): boolean => {
    const connection = this.#connection!;
    const head = this.#head!;
    const refusal = refuseUpgrade(head, route.rules, connection.transport.tls !== null);
    if (refusal !== undefined) {
      // As in uWebSockets.js another route may answer what is no handshake at all.
      if (!isHandshake(head)) {
        this.#refusal ||= refusal;
        return false;
      }
      this.#refuse(connection, refusal);
      return true;
    }
    const request = new HttpRequest(head, params, names);
    connection.upgradeRoute = route;
    connection.request = request;
    const { upgrade } = route.behavior;
    let isTaken = true;
    if (upgrade === undefined) {
      const deflate = agreeDeflate(head, route.rules);
      const lines = acceptUpgrade(head, chooseProtocol(head, route.rules), deflate);
      this.#open(connection, route, lines, undefined, deflate?.params);
      expire(request);
    } else {
      // A copy: slice() would be none, as what is read into is a Buffer.
      connection.headBytes = new Uint8Array(head.bytes.subarray(head.headStart, head.headEnd));
      const response = this.#responseOf(connection, head);
      isTaken = this.#run(connection, response, request, (res, req) => upgrade(res, req, route), route);
    }
    connection.request = null;
    if (!isTaken) connection.upgradeRoute = null;
    return isTaken;
  };

  /** Returns false when the handler passed the request on. */
  #run(
    connection: HttpConnection,
    response: HttpResponse,
    request: HttpRequest,
    handler: HttpHandler,
    route: WebSocketRoute | null,
  ): boolean {
    let isAsync = false;
    try {
      const result: unknown = handler(response, request);
      if (result !== undefined) isAsync = this.#watch(connection, response, route, result);
    } catch (error) {
      expire(request);
      this.#errors.failed(connection, response, route, error);
      return true;
    }
    const isTaken = !isOpen(response) || !hasYielded(request);
    if (isTaken && isAsync && canAnswerLater(response)) this.#keep(request, response);
    else expire(request);
    if (!isTaken) connection.response = null;
    else if (isOpen(response) && !canAnswerLater(response)) {
      this.#errors.failed(connection, response, route, forgotten());
    }
    return isTaken;
  }

  /** An async handler may go on to read the request until it has answered. */
  #keep(request: HttpRequest, response: HttpResponse): void {
    if (!isOpen(response)) {
      expire(request);
      return;
    }
    const head = this.#head!;
    const bytes = new Uint8Array(head.bytes.subarray(head.headStart, head.headEnd));
    keep(request, () => this.#parse(bytes));
    keepWith(response, request);
  }

  /** Returns whether the result is a promise. */
  #watch(
    connection: HttpConnection,
    response: HttpResponse,
    route: WebSocketRoute | null,
    result: unknown,
  ): boolean {
    if (typeof (result as PromiseLike<unknown> | null)?.then !== 'function') return false;
    (result as PromiseLike<unknown>).then(undefined, (error: unknown) => {
      this.#errors.failed(connection, response, route, error);
    });
    return true;
  }

  #notTaken(connection: HttpConnection): void {
    if (this.#refusal !== '') {
      this.#refuse(connection, this.#refusal);
      return;
    }
    const response = this.#responseOf(connection, this.#head!);
    response.writeStatus('404 File Not Found').writeHeader('Content-Type', 'text/html').end(NOT_FOUND);
  }

  #refuse(connection: HttpConnection, response: string): void {
    this.#shard.count(Counter.REFUSED);
    this.#refuser.refuse(connection, this.#head!.method === 'HEAD' ? headOf(response) : response);
  }

  #open(
    connection: HttpConnection,
    route: WebSocketRoute,
    response: string,
    userData: unknown,
    deflate: DeflateParams | undefined,
  ): void {
    const { transport } = connection;
    const { rest, restAt, restEnd } = connection;
    connection.dropRest();
    const previous = transport.io.corked;
    transport.beginCork();
    writeLatin1(transport, response);
    this.#shard.io.timer.cancel(transport);
    const request = connection.request ?? this.#requestAgain(connection, route);
    route.open(transport, request, userData, deflate);
    if (request !== connection.request) expire(request);
    if (restAt < restEnd && !transport.isClosed) transport.context.onChunk(transport, rest, restAt, restEnd);
    // The handler has waited, and the shard is to end by now.
    if (this.#shard.isDraining && !transport.isClosed) route.drain(transport, this.#shard.drainCode);
    transport.endCork(previous);
    if (!transport.isClosed) transport.resume();
  }

  #userAgent(connection: HttpConnection, route: WebSocketRoute): string {
    const request = connection.request ?? this.#requestAgain(connection, route);
    return request.getHeader('user-agent');
  }

  /** The request as it was, for an upgrade after the handler returned. */
  #requestAgain(connection: HttpConnection, route: WebSocketRoute): HttpRequest {
    const head = this.#parse(connection.headBytes ?? NO_BYTES);
    return this.requestFor(route, head, this.#routesFor(connection, head));
  }

  /** Reads a head that was read before. */
  #parse(bytes: Uint8Array): RequestHead {
    const parser = this.newParser();
    parser.feed(bytes, 0, bytes.length);
    return parser.head;
  }
}

/** What `Object.assign` would copy, but for a prototype. */
function ownPropertiesOf(userData: unknown): object | undefined {
  if (typeof userData !== 'object' || userData === null) return undefined;
  // Texts of peers become user data by JSON.parse, which makes a property of this name.
  const { ['__proto__']: _, ...own } = userData as Record<string, unknown>;
  return own;
}

function forgotten(): MillraceError {
  return new MillraceError(
    'MILLRACE_APP_STATE',
    'A handler returned without a response and without res.onAborted(). Answer with res.end() or res.upgrade(), ' +
      'or attach res.onAborted() before you await.',
  );
}
