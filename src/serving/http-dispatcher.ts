import { MillraceError } from '../errors.ts';
import { StringCache } from '../http/latin1.ts';
import type { RequestHead } from '../http/request-head.ts';
import { headOf } from '../http/response-writer.ts';
import { ANY_METHOD, Router } from '../http/router.ts';
import { Counter } from '../metrics/counter.ts';
import { latin1Port } from '../net/native-ports.ts';
import type { ServerLimits } from '../options/server-limits.ts';
import { isHandshake, isUpgradeRequest } from '../protocol/handshake.ts';
import type { Shard } from '../shard/shard.ts';
import { refuseUpgrade } from '../shard/upgrade.ts';
import { watch } from '../user-code.ts';
import { Domains, hostName } from './domains.ts';
import type { HandlerErrors } from './handler-errors.ts';
import { copyOf, HeadSource } from './head-source.ts';
import type { HttpConnection } from './http-connection.ts';
import { IncomingRequest } from './incoming-request.ts';
import { OutgoingResponse } from './outgoing-response.ts';
import type { Refuser } from './refuser.ts';
import type { RequestHandler } from './request-handler.ts';
import { UnansweredRequest } from './unanswered-request.ts';
import type { UpgradeTarget } from './upgrade-target.ts';
import type { Upgrader } from './upgrader.ts';

/** The routes of an App, or of one of its domains. */
export class Routes {
  readonly http = new Router<RequestHandler>();
  readonly upgrades = new Router<UpgradeTarget>();
}

const NOT_FOUND = '<html><body><h1>File Not Found</h1></body></html>';

/** Dispatcher: from request heads to the user's handlers, and from handshakes to what they ask for. */
export class Dispatcher {
  /** Those of hosts that have none of their own. */
  readonly routes = new Routes();
  readonly heads: HeadSource;
  /** A proxy in front ends TLS. */
  isBehindTls = false;
  readonly #domains = new Domains<Routes>();
  readonly #shard: Shard;
  readonly #refuser: Refuser;
  readonly #errors: HandlerErrors;
  readonly #upgrader: Upgrader;
  // The request that is being dispatched; a handler may answer one of another connection, and dispatch the next.
  #connection: HttpConnection | null = null;
  #head: RequestHead | null = null;
  #response: OutgoingResponse | null = null;
  /** Why the target that was asked for cannot take it; '' while there is no reason. */
  #refusal = '';
  /** How many handlers the request was tried with, and how many of them passed it on before. */
  #tried = 0;
  #skip = 0;
  /** Responses whose handlers returned without an answer and without onAborted, in this turn. */
  #undecided: UnansweredRequest[] = [];

  constructor(
    shard: Shard,
    limits: ServerLimits,
    refuser: Refuser,
    errors: HandlerErrors,
    upgrader: Upgrader,
  ) {
    this.#shard = shard;
    const { maxHeadSize, maxHeaders } = limits;
    this.heads = new HeadSource(shard.io, { maxHeadSize, maxHeaders, strings: new StringCache(latin1Port) });
    this.#refuser = refuser;
    this.#errors = errors;
    this.#upgrader = upgrader;
  }

  /** The routes of a host name, or of `*.` and a name. */
  domain(name: string): Routes {
    return this.#domains.take(name, () => new Routes());
  }

  /** The domain has no routes any more; those of all other hosts answer in its place. */
  removeDomain(name: string): void {
    this.#domains.remove(name);
  }

  /** Calls handlers until one takes the request. The connection may be a WebSocket, or closed, afterwards. */
  dispatch(connection: HttpConnection, head: RequestHead): void {
    this.#dispatch(connection, head, null, 0);
  }

  /** @param skip how many handlers have passed the request on already */
  #dispatch(
    connection: HttpConnection,
    head: RequestHead,
    response: OutgoingResponse | null,
    skip: number,
  ): void {
    const previousConnection = this.#connection;
    const previousHead = this.#head;
    const previousResponse = this.#response;
    const previousRefusal = this.#refusal;
    const previousTried = this.#tried;
    const previousSkip = this.#skip;
    this.#connection = connection;
    this.#head = head;
    this.#response = response;
    this.#refusal = '';
    this.#tried = 0;
    this.#skip = skip;
    const routes = this.#routesFor(connection, head);
    const { path } = head;
    const isTaken =
      (isUpgradeRequest(head) && routes.upgrades.match(ANY_METHOD, path, this.#tryTarget)) ||
      routes.http.match(head.method, path, this.#tryHandler);
    if (!isTaken && !connection.transport.isClosed) this.#notTaken(connection);
    this.#connection = previousConnection;
    this.#head = previousHead;
    this.#response = previousResponse;
    this.#refusal = previousRefusal;
    this.#tried = previousTried;
    this.#skip = previousSkip;
  }

  /** The request of a handshake that was answered elsewhere. */
  requestFor(target: UpgradeTarget, head: RequestHead, { upgrades }: Routes = this.routes): IncomingRequest {
    let request: IncomingRequest | null = null;
    if (target.pattern.includes(':')) {
      upgrades.match(ANY_METHOD, head.path, (found, params, names) => {
        if (found === target) request = new IncomingRequest(this.heads, head, params, names);
        return found === target;
      });
    }
    return request ?? new IncomingRequest(this.heads, head);
  }

  #routesFor(connection: HttpConnection, head: RequestHead): Routes {
    if (this.#domains.isEmpty) return this.routes;
    const { tls } = connection.transport;
    const name = tls === null || tls.isNameLost ? hostName(head.host) : tls.serverName;
    return this.#domains.find(name) ?? this.routes;
  }

  /** One response for all handlers a request is tried with: what one wrote before it passed it on is kept. */
  #responseOf(connection: HttpConnection, head: RequestHead): OutgoingResponse {
    const response = (this.#response ??= new OutgoingResponse(connection.transport, connection, head.method));
    connection.response = response;
    return response;
  }

  readonly #tryHandler = (
    handler: RequestHandler,
    params: readonly string[],
    names: readonly string[],
  ): boolean => {
    const connection = this.#connection!;
    const head = this.#head!;
    if (this.#tried++ < this.#skip) return false;
    const request = this.#requestOf(head, params, names);
    return this.#run(connection, this.#responseOf(connection, head), request, handler, null);
  };

  readonly #tryTarget = (
    target: UpgradeTarget,
    params: readonly string[],
    names: readonly string[],
  ): boolean => {
    const connection = this.#connection!;
    const head = this.#head!;
    const isPassed = this.#tried++ < this.#skip;
    const refusal = refuseUpgrade(head, target.rules, this.isBehindTls || connection.transport.tls !== null);
    if (refusal !== undefined) {
      // As in uWebSockets.js another route may answer what is no handshake at all.
      if (!isHandshake(head)) {
        this.#refusal ||= refusal;
        return false;
      }
      this.#refuse(connection, refusal);
      return true;
    }
    if (isPassed) return false;
    const request = this.#requestOf(head, params, names);
    connection.upgradeTarget = target;
    connection.request = request;
    const { upgrade } = target;
    let isTaken = true;
    if (upgrade === undefined) {
      this.#upgrader.accept(connection, target, head);
      request.release(target.readsRequest);
    } else {
      const response = this.#responseOf(connection, head);
      isTaken = this.#run(connection, response, request, upgrade, target);
    }
    if (!isTaken) {
      connection.upgradeTarget = null;
      connection.request = null;
    }
    return isTaken;
  };

  #requestOf(head: RequestHead, params: readonly string[], names: readonly string[]): IncomingRequest {
    // An answered request can be read to the end of this turn, which must come.
    this.#shard.io.requestTurnEnd();
    return new IncomingRequest(this.heads, head, params, names);
  }

  /** Returns false when the handler passed the request on. */
  #run(
    connection: HttpConnection,
    response: OutgoingResponse,
    request: IncomingRequest,
    handler: RequestHandler,
    target: UpgradeTarget | null,
  ): boolean {
    try {
      const result: unknown = handler(response, request);
      if (result !== undefined) this.#watch(connection, response, target, result);
    } catch (error) {
      request.release();
      this.#errors.failed(connection, response, target, error);
      return true;
    }
    if (!response.isOpen) {
      request.release(target?.readsRequest);
      return true;
    }
    if (request.hasYielded) {
      request.release();
      connection.response = null;
      return false;
    }
    this.#keep(connection, response, request, target);
    return true;
  }

  /** The handler may go on to read the request, to pass it on, and, to the end of its microtasks, to answer it. */
  #keep(
    connection: HttpConnection,
    response: OutgoingResponse,
    request: IncomingRequest,
    target: UpgradeTarget | null,
  ): void {
    const bytes = copyOf(this.#head!);
    const kept = new UnansweredRequest(this, connection, response, request, target, bytes, this.#tried);
    request.keep(kept);
    if (response.onAborted !== null) return;
    if (this.#undecided.length === 0) setImmediate(this.#judge);
    this.#undecided.push(kept);
  }

  /** The turn is over, and with it the microtasks of its handlers. */
  readonly #judge = (): void => {
    const undecided = this.#undecided;
    this.#undecided = [];
    for (const { connection, response, target } of undecided) {
      if (connection.response !== response || response.onAborted !== null) continue;
      this.#errors.failed(connection, response, target, forgotten());
    }
  };

  /** A handler passed the request on after it returned: calls the handlers behind it. */
  passOn({ connection, response, bytes, tried }: UnansweredRequest): void {
    if (connection.response !== response) return;
    connection.response = null;
    connection.request = null;
    connection.upgradeTarget = null;
    const { transport } = connection;
    const previous = transport.io.corked;
    transport.beginCork();
    this.#dispatch(connection, this.heads.read(bytes), response, tried);
    transport.endCork(previous);
  }

  #watch(
    connection: HttpConnection,
    response: OutgoingResponse,
    target: UpgradeTarget | null,
    result: unknown,
  ): void {
    // What `end` returns, mostly.
    if (result === response.face) return;
    watch(result, (error) => {
      this.#errors.failed(connection, response, target, error);
    });
  }

  #notTaken(connection: HttpConnection): void {
    if (this.#refusal !== '') {
      this.#refuse(connection, this.#refusal);
      return;
    }
    const response = this.#responseOf(connection, this.#head!);
    response.writeStatus('404 File Not Found');
    response.writeHeader('Content-Type', 'text/html');
    response.end(NOT_FOUND);
  }

  #refuse(connection: HttpConnection, response: string): void {
    this.#shard.count(Counter.REFUSED);
    this.#refuser.refuse(connection, this.#head!.method === 'HEAD' ? headOf(response) : response);
  }
}

function forgotten(): MillraceError {
  return new MillraceError(
    'MILLRACE_APP_STATE',
    'A handler returned without a response and without res.onAborted(). Answer with res.end() or res.upgrade(), ' +
      'or attach res.onAborted() before you await what takes time.',
  );
}
