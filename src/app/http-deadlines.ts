import type { HttpConnection } from './http-connection.ts';
import { readerOf } from './http-response.ts';

/** Bytes of a body that must arrive in each `bodyTimeout`. */
const MIN_BODY_PROGRESS = 16 * 1024;

/** Whether bytes of the body can be taken in: somebody reads them, or nobody ever will. */
export function wantsBody({ response, isPaused }: HttpConnection): boolean {
  return response === null || (!isPaused && readerOf(response) !== null);
}

/**
 * Whether the peer has taken no byte of what waits for it for too long.
 *
 * @param writeTimeout seconds; 0: never
 */
export function isStalled(connection: HttpConnection, now: number, writeTimeout: number): boolean {
  const { transport } = connection;
  if (!transport.blocked) return false;
  const amount = transport.bufferedAmount;
  if (connection.stalledSince === 0 || amount < connection.stalledAmount) connection.stalledSince = now;
  connection.stalledAmount = amount;
  return writeTimeout !== 0 && now - connection.stalledSince > writeTimeout;
}

/** Whether a body that is awaited makes no headway; single bytes do not renew its time. */
export function isBodyLate(connection: HttpConnection, now: number, bodyTimeout: number): boolean {
  const { decoder } = connection;
  if (decoder === null || connection.isLingering) return false;
  const { received } = decoder;
  const isProgress = received - connection.bodyReceived >= MIN_BODY_PROGRESS;
  if (!isProgress && wantsBody(connection)) return now - connection.bodySince > bodyTimeout;
  connection.bodySince = now;
  connection.bodyReceived = received;
  return false;
}
