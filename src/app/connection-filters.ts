import type { Transport } from '../net/transport.ts';
import type { HttpConnection } from './http-connection.ts';
import { HttpResponse } from './http-response.ts';

/** Told of each connection: 1 when it is made, -1 when it is over. */
export type ConnectionFilter = (res: HttpResponse, count: 1 | -1) => void;

/** The `filter` callbacks of an App, and what they are given for each connection. */
export class ConnectionFilters {
  readonly #filters: ConnectionFilter[] = [];
  readonly #responses = new Map<Transport, HttpResponse>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get isEmpty(): boolean {
    return this.#filters.length === 0;
  }

  add(filter: ConnectionFilter): void {
    this.#filters.push(filter);
  }

  connected(connection: HttpConnection): void {
    const response = new HttpResponse(connection.transport, connection, 'GET');
    this.#responses.set(connection.transport, response);
    this.#tell(response, 1);
  }

  /** Nothing happens for a connection that was there before the first filter. */
  disconnected(transport: Transport): void {
    const response = this.#responses.get(transport);
    if (response === undefined) return;
    this.#responses.delete(transport);
    this.#tell(response, -1);
  }

  #tell(response: HttpResponse, count: 1 | -1): void {
    for (const filter of this.#filters) {
      try {
        filter(response, count);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
