import { errorResponse, headOf } from '../http/response-writer.ts';

/** The refusal of a request that calls the server by a name that is not among its `allowedHosts`. */
const FOREIGN_HOST = errorResponse(403, [], 'This host is not allowed here\n');

/** What an answer that has no other lines says beside its status: to a 503 when it is worth another try, in seconds. */
const RETRY_AFTER = [['Retry-After', '1']] as const;

/**
 * The answer to a request that is refused.
 *
 * @param isForHead the request is HEAD
 */
export function refusalText(status: number, isForHead = false): string {
  const response = status === 503 ? errorResponse(503, RETRY_AFTER) : errorResponse(status);
  return isForHead ? headOf(response) : response;
}

/** The answer to a request that calls the server by a name it does not have. */
export function hostRefusal(isForHead = false): string {
  return isForHead ? headOf(FOREIGN_HOST) : FOREIGN_HOST;
}
