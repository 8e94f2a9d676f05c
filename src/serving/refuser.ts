import { errorResponse, headOf } from '../http/response-writer.ts';
import { FOREIGN_HOST } from '../shard/upgrade.ts';
import type { HttpConnection } from './http-connection.ts';

/** How the server ends a connection whose request cannot be answered by a handler. */
export interface Refuser {
  /** Sends the response, and FIN behind it. */
  refuse(connection: HttpConnection, response: string): void;
}

/** The answer to a request that calls the server by a name it does not have. */
export function hostRefusal(isForHead: boolean): string {
  return isForHead ? headOf(FOREIGN_HOST) : FOREIGN_HOST;
}

/** The answer to a request that is refused. */
export function refusalOf(status: number, isForHead: boolean): string {
  const response = errorResponse(status);
  return isForHead ? headOf(response) : response;
}
