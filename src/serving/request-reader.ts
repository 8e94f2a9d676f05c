import type { HeadReader } from '../admission/head-reader.ts';
import { hostRefusal, refusalText } from '../admission/refusal-text.ts';
import { AllowedHosts, type HostRules } from '../http/allowed-hosts.ts';
import type { RequestHead } from '../http/request-head.ts';
import { ParseStatus } from '../http/request-parser.ts';
import { errorResponse } from '../http/response-writer.ts';
import { Counter } from '../metrics/counter.ts';
import { runTicks } from '../net/node-internals.ts';
import type { Shard } from '../shard/shard.ts';
import { callUser, type UserCode } from '../user-code.ts';
import type { FirstRequests } from './first-requests.ts';
import type { HandlerErrors } from './handler-errors.ts';
import type { HttpConnection } from './http-connection.ts';
import { type HttpDeadlines, wantsBody } from './http-deadlines.ts';
import type { Dispatcher } from './http-dispatcher.ts';
import { ownCopy } from './recognized-string.ts';
import type { RequestBodies } from './request-bodies.ts';

/** Told of a request that cannot be read, and of the answer to it. */
export type ParsingErrorHandler = (req: undefined, status: number, body: ArrayBuffer) => void;

/**
 * Requests that came behind one another and are answered one by one outside of a read, by handlers that are async, in one
 * turn of a connection.
 */
const MAX_GONE_ON = 16;

/** What a reader of requests works with. */
export interface RequestServers {
  readonly shard: Shard;
  readonly heads: HeadReader<HttpConnection>;
  readonly first: FirstRequests;
  readonly deadlines: HttpDeadlines;
  readonly bodies: RequestBodies;
  readonly dispatcher: Dispatcher;
  readonly errors: HandlerErrors;
}

/**
 * RequestReader: which bytes of a connection are heads and which of bodies. One request at a time is under way; what comes
 * behind it waits.
 *
 *     head ─▶ handler ─▶ body to its reader ─▶ response sent, rest of the body forgotten ─▶ next head
 */
export class RequestReader {
  onParsingError: UserCode<ParsingErrorHandler> | null = null;
  readonly #shard: Shard;
  readonly #heads: HeadReader<HttpConnection>;
  readonly #first: FirstRequests;
  readonly #deadlines: HttpDeadlines;
  readonly #bodies: RequestBodies;
  readonly #dispatcher: Dispatcher;
  readonly #errors: HandlerErrors;
  /** Null: requests may have any. */
  #hosts: AllowedHosts | null = null;

  constructor(servers: RequestServers) {
    this.#shard = servers.shard;
    this.#heads = servers.heads;
    this.#first = servers.first;
    this.#deadlines = servers.deadlines;
    this.#bodies = servers.bodies;
    this.#dispatcher = servers.dispatcher;
    this.#errors = servers.errors;
  }

  /** Which names requests may call this server by. */
  useHosts({ allowedHosts }: HostRules): void {
    this.#hosts = allowedHosts === null ? null : new AllowedHosts(allowedHosts);
  }

  /** Takes in `bytes[start, end)`, and keeps what must wait. `isRest`: they are the connection's own. */
  feed(connection: HttpConnection, bytes: Uint8Array, start: number, end: number, isRest: boolean): void {
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
      this.keepRest(connection, bytes, position, end);
    }
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
      this.#heads.refuse(connection, errorResponse(status));
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
    if (connection.isNew) this.#first.done(connection);
    if (connection.refusal !== null) {
      this.#shard.count(Counter.REFUSED);
      this.#heads.refuse(connection, refusalText(connection.refusal.status, head.method === 'HEAD'));
      return;
    }
    if (this.#hosts !== null && !this.#hosts.has(head.host)) {
      this.#shard.count(Counter.REFUSED);
      this.#heads.refuse(connection, hostRefusal(head.method === 'HEAD'));
      return;
    }
    // The last of the requests that came together says that it is the last; with a body it is.
    connection.isPersistent =
      head.keepAlive && (!this.#shard.isDraining || (isFollowed && !head.hasBody) || connection.hasRest);
    connection.isHttp10 = head.minorVersion === 0;
    if (head.hasBody && !this.#bodies.start(connection, head)) return;
    this.#dispatcher.dispatch(connection, head);
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
      this.goOn(connection);
    });
  }

  keepRest(connection: HttpConnection, bytes: Uint8Array, start: number, end: number): void {
    connection.keepRest(bytes, start, end);
    // Reading on is how the peer's end is noticed. Beyond, the kernel makes it wait.
    if (connection.isRestFull) connection.transport.pause();
  }

  /** What had to wait need not any more: takes up the bytes that came behind. */
  goOn(connection: HttpConnection): void {
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
      this.feed(connection, rest, restAt, restEnd, true);
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
      this.goOn(connection);
    });
  }

  /** The first bytes of a request came behind a response. */
  #awaitHead(connection: HttpConnection): void {
    connection.isIdle = false;
    connection.deadline = this.#heads.deadline;
    this.#deadlines.schedule(connection);
  }
}
