import type { HttpConnection } from './http-connection.ts';

/** How the server ends a connection whose request cannot be answered by a handler. */
export interface Refuser {
  /** Sends the response, and FIN behind it. */
  refuse(connection: HttpConnection, response: string): void;
}
