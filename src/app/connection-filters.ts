import { MillraceError } from '../errors.ts';
import type { Transport } from '../net/transport.ts';
import type { HttpConnection } from '../serving/http-connection.ts';
import type { ConnectionWatcher } from '../serving/http-server.ts';
import { OutgoingResponse } from '../serving/outgoing-response.ts';
import { callUser, type OnFailure, type UserCode, userCode } from '../user-code.ts';
import { HttpResponse } from './http-response.ts';

/** Told of each connection: 1 when it is made, -1 when it is over. */
export type ConnectionFilter = (res: HttpResponse, count: 1 | -1) => void;

/** What a response can do only for a request. */
const ANSWERS = [
  'writeStatus',
  'writeHeader',
  'write',
  'end',
  'endWithoutBody',
  'tryEnd',
  'getWriteOffset',
  'onWritable',
  'onAborted',
  'onData',
  'onDataV2',
  'collectBody',
  'pause',
  'resume',
  'upgrade',
] as const satisfies readonly (keyof HttpResponse)[];

/** Stands for a connection: what it wrote would be taken for the answer to a request that comes later. */
class FilterResponse extends HttpResponse {
  static {
    for (const name of ANSWERS) {
      this.prototype[name] = (): never => {
        throw new MillraceError(
          'MILLRACE_APP_STATE',
          `res.${name}: the response of a filter answers no request; look at its address, or close() it`,
        );
      };
    }
  }
}

/** The `filter` callbacks of an App, and what they are given for each connection. */
export class ConnectionFilters implements ConnectionWatcher {
  readonly #filters: UserCode<ConnectionFilter>[] = [];
  readonly #responses = new Map<Transport, HttpResponse>();
  readonly #failed: OnFailure;

  constructor(failed: OnFailure) {
    this.#failed = failed;
  }

  add(filter: ConnectionFilter): void {
    this.#filters.push(userCode(filter));
  }

  connected(connection: HttpConnection): void {
    const { transport } = connection;
    const response = new FilterResponse(new OutgoingResponse(transport, connection, 'GET'));
    this.#tell(response, 1);
    // Behind the last of them, when the first has closed it.
    if (transport.isClosed) this.#tell(response, -1);
    else this.#responses.set(transport, response);
  }

  /** Nothing happens for a connection that was there before the first filter. */
  disconnected(transport: Transport): void {
    const response = this.#responses.get(transport);
    if (response === undefined) return;
    this.#responses.delete(transport);
    this.#tell(response, -1);
  }

  #tell(response: HttpResponse, count: 1 | -1): void {
    for (const filter of this.#filters) callUser(filter, this.#failed, response, count);
  }
}
