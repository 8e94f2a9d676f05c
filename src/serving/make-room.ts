import type { HttpServer } from './http-server.ts';
import type { TlsServer } from './tls-server.ts';

/** Where connections are that may not have said yet what they want. */
export interface Rooms {
  readonly http: HttpServer;
  readonly tls: TlsServer | null;
}

/**
 * Makes room for one more connection: the oldest of those that have not said yet what they want is closed. Returns false
 * when there is none.
 */
export function makeRoom({ http, tls }: Rooms): boolean {
  return tls?.evictOldest() === true || http.evictOldest();
}
