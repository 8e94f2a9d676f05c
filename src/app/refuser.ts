import { errorResponse, headOf } from '../http/response-writer.ts';
import type { HttpConnection } from './http-connection.ts';

/** How the server ends a connection whose request cannot be answered by a handler. */
export interface Refuser {
  /** Sends the response, and FIN behind it. */
  refuse(connection: HttpConnection, response: string): void;
}

/** The answer to a request that is refused. */
export function refusalOf(status: number, isForHead: boolean): string {
  const response = errorResponse(status);
  return isForHead ? headOf(response) : response;
}
