import { Counter } from '../net/counter.ts';
import type { Shard } from '../shard/shard.ts';
import type { HttpConnection } from './http-connection.ts';
import { abort, type HttpResponse, hasBegun, isForHead } from './http-response.ts';
import { type Refuser, refusalOf } from './refuser.ts';
import type { WebSocketRoute } from './websocket-route.ts';

/** HandlerErrors: what handlers and callbacks of HTTP throw. It ends with them, and with the response it was about. */
export class HandlerErrors {
  readonly #shard: Shard;
  readonly #refuser: Refuser;

  constructor(shard: Shard, refuser: Refuser) {
    this.#shard = shard;
    this.#refuser = refuser;
  }

  /** Calls a callback of a response's user. */
  call(connection: HttpConnection, response: HttpResponse, callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.failed(connection, response, connection.upgradeRoute, error);
    }
  }

  /** Calls a callback that has no response to answer for. */
  guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.report(error);
    }
  }

  /** What a handler or callback of the user threw or rejected with: 500 when nothing is sent yet. */
  failed(
    connection: HttpConnection,
    response: HttpResponse,
    route: WebSocketRoute | null,
    error: unknown,
  ): void {
    if (route !== null) route.report(undefined, error);
    else this.report(error);
    if (connection.response !== response) return;
    connection.response = null;
    this.refuse(connection, response, 500);
  }

  /** Aborts a response, which its connection has forgotten, and answers in its place where that is possible still. */
  refuse(connection: HttpConnection, response: HttpResponse, status: number): void {
    const { transport } = connection;
    const isLate = hasBegun(response);
    this.guard(() => abort(response));
    if (isLate) transport.destroy();
    else if (!transport.isClosed) this.#refuser.refuse(connection, refusalOf(status, isForHead(response)));
  }

  report(error: unknown): void {
    this.#shard.count(Counter.HANDLER_ERRORS);
    try {
      console.error('millrace: an HTTP handler threw:', error);
    } catch (second) {
      // It may be anything, with an inspection of its own.
      console.error('millrace: an HTTP handler threw what cannot be printed:', second);
    }
  }
}
