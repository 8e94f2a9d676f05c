import { MIN_HEADWAY, WriteHeadway } from '../net/headway.ts';
import type { HttpConnection } from './http-connection.ts';

/** Whether bytes of the body can be taken in: somebody reads them, or nobody ever will. */
export function wantsBody({ response, isPaused, awaitsMicrotasks }: HttpConnection): boolean {
  return response === null || (!isPaused && !awaitsMicrotasks && response.reader !== null);
}

/**
 * Whether the peer takes too little of what waits for it.
 *
 * @param writeTimeout seconds; 0: never
 */
export function isStalled(connection: HttpConnection, now: number, writeTimeout: number): boolean {
  const { transport } = connection;
  if (writeTimeout === 0 || (!transport.blocked && connection.headway === null)) return false;
  connection.headway ??= new WriteHeadway();
  return connection.headway.look(transport, now) > writeTimeout;
}

/** Whether a body that is awaited makes no headway; single bytes do not renew its time. */
export function isBodyLate(connection: HttpConnection, now: number, bodyTimeout: number): boolean {
  const { decoder } = connection;
  if (decoder === null || connection.isLingering) return false;
  const { received } = decoder;
  const isProgress = received - connection.bodyReceived >= MIN_HEADWAY;
  if (!isProgress && wantsBody(connection)) return now - connection.bodySince > bodyTimeout;
  connection.bodySince = now;
  connection.bodyReceived = received;
  return false;
}
