import { HeaderCursor } from './header-value.ts';

const COMMA = 0x2c;

/**
 * Parses Sec-WebSocket-Protocol as a client sends it (RFC 6455 §4.1): names in the client's order of
 * preference, case-sensitive. Returns none for '', which is how an absent header reads, and undefined for a
 * malformed header: an empty element, a name that is no token, or the same name twice.
 */
export function parseSubprotocols(header: string): string[] | undefined {
  if (header === '') return [];
  const names = new Set<string>();
  const cursor = new HeaderCursor(header);
  do {
    const name = cursor.token();
    if (name === '' || names.has(name)) return undefined;
    names.add(name);
  } while (cursor.take(COMMA));
  return cursor.atEnd() ? [...names] : undefined;
}

/**
 * The subprotocol to answer with, '' for none: the first offered one that is in `supported`. Without
 * `supported` it is the first offered one, as in uWebSockets.js.
 */
export function selectSubprotocol(
  offered: readonly string[],
  supported: readonly string[] | undefined,
): string {
  if (supported === undefined) return offered[0] ?? '';
  return offered.find((name) => supported.includes(name)) ?? '';
}
