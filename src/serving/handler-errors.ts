import { refusalText } from '../admission/refusal-text.ts';
import { reportError } from '../error-report.ts';
import { Counter } from '../metrics/counter.ts';
import type { Shard } from '../shard/shard.ts';
import { type OnFailure, watch } from '../user-code.ts';
import type { HttpConnection } from './http-connection.ts';
import type { OutgoingResponse } from './outgoing-response.ts';
import type { Refuser } from './refuser.ts';
import type { UpgradeTarget } from './upgrade-target.ts';

/**
 * HandlerErrors: what handlers and callbacks of HTTP throw, and what their promises reject with. It ends with them, and
 * with the response it was about.
 */
export class HandlerErrors {
  readonly #shard: Shard;
  readonly #refuser: Refuser;

  constructor(shard: Shard, refuser: Refuser) {
    this.#shard = shard;
    this.#refuser = refuser;
  }

  /** Runs what calls a callback of a response's user, for whose failures it is given a function. */
  call(connection: HttpConnection, response: OutgoingResponse, callback: (failed: OnFailure) => void): void {
    const failed = this.#failing(connection, response);
    try {
      callback(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Runs what calls a callback that has no response to answer for. */
  guard(callback: (failed: OnFailure) => void): void {
    try {
      callback(this.report);
    } catch (error) {
      this.report(error);
    }
  }

  /** Watches what a callback returned that a response's user has called himself, by way of the response. */
  watch(connection: HttpConnection, response: OutgoingResponse, result: unknown): void {
    watch(result, this.#failing(connection, response));
  }

  /** What a handler or callback of the user threw or rejected with: 500 when nothing is sent yet. */
  failed(
    connection: HttpConnection,
    response: OutgoingResponse,
    target: UpgradeTarget | null,
    error: unknown,
  ): void {
    if (target !== null) target.upgradeFailed(error);
    else this.report(error);
    if (connection.response !== response) return;
    connection.response = null;
    this.refuse(connection, response, 500);
  }

  /** Aborts a response, which its connection has forgotten, and answers in its place where that is possible still. */
  refuse(connection: HttpConnection, response: OutgoingResponse, status: number): void {
    const { transport } = connection;
    const isLate = response.hasBegun;
    this.guard((failed) => {
      response.abort(failed);
    });
    if (isLate) transport.destroy();
    else if (!transport.isClosed)
      this.#refuser.refuse(connection, refusalText(status, response.method === 'HEAD'));
  }

  readonly report = (error: unknown): void => {
    this.#shard.count(Counter.HANDLER_ERRORS);
    reportError('an HTTP handler', error);
  };

  /** The target is that of now: a promise may reject when the response is long forgotten. */
  #failing(connection: HttpConnection, response: OutgoingResponse): OnFailure {
    const { upgradeTarget } = connection;
    return (error) => {
      this.failed(connection, response, upgradeTarget, error);
    };
  }
}
