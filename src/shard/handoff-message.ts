import type { TimeStamp } from '../metrics/monotonic-time.ts';

/**
 * What travels with a socket from the acceptor to a shard:
 *
 *     kind(1) route(2) address(4) accepted(4)   head   rest
 *                                               └ the request as it came ┘
 *
 * In latin1 text, one byte a character, because only text can be written together with a handle. Sockets that go by a
 * port are UNREAD, or UNREAD_IN_PLACE: they cannot be transferred any more when something was read from them.
 */
export const HandoffKind = {
  /** A good handshake for the route, to be answered 101: the request follows, and frames may; no other kind has a route. */
  WEBSOCKET: 0,
  /** The shard answers: the request and all bytes behind it follow. */
  HTTP: 1,
  /** Unread, as it was accepted: a request, or where the server does TLS its handshake, comes first. */
  UNREAD: 2,
  /** The same; there are as many connections as there may be, so the oldest that has not said what it wants gives way. */
  UNREAD_IN_PLACE: 3,
} as const;
export type HandoffKind = (typeof HandoffKind)[keyof typeof HandoffKind];

/** Bytes before the head. */
export const HANDOFF_PREFIX = 11;

/**
 * The prefix of a handoff message.
 *
 * @param address a row of the address table, -1 for none
 * @param acceptedAt when the connection was accepted
 */
export function handoffPrefix(
  kind: HandoffKind,
  route: number,
  address: number,
  acceptedAt: TimeStamp,
): string {
  return String.fromCharCode(
    kind,
    route & 255,
    route >>> 8,
    address & 255,
    (address >>> 8) & 255,
    (address >>> 16) & 255,
    (address >>> 24) & 255,
    acceptedAt & 255,
    (acceptedAt >>> 8) & 255,
    (acceptedAt >>> 16) & 255,
    (acceptedAt >>> 24) & 255,
  );
}

/** The row of the address table in a handoff message. */
export function addressIn(message: string): number {
  const byte = (at: number): number => message.charCodeAt(at);
  return byte(3) | (byte(4) << 8) | (byte(5) << 16) | (byte(6) << 24);
}

/** The routes an acceptor can tell apart. */
export const MAX_ROUTES = 65_535;
