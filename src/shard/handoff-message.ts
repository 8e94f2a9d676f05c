import type { TimeStamp } from '../metrics/monotonic-time.ts';

/*
 * What travels with a socket from the acceptor to a shard:
 *
 *     kind(1) route(2) address(4) accepted(4)   head   rest
 *     └ the prefix ─────────────────────────┘   └ the request as it came: of WEBSOCKET and HTTP alone ┘
 *
 * The acceptor writes latin1 text, one byte a character, because only text can be written together with a handle. Sockets
 * that go by a port are UNREAD or RAW: a socket that was read from cannot be transferred any more.
 */

/** What the shard is to do with the socket. */
export const HandoffKind = {
  /** The acceptor found the handshake good for the route: the shard answers 101. Frames may follow the request. */
  WEBSOCKET: 0,
  /** The shard reads the request again, and answers it. The route is 0, here and below. */
  HTTP: 1,
  /** Nothing was read of the socket: a request, or where the server does TLS its handshake, comes first. */
  UNREAD: 2,
  /** Nothing was read of the socket either, and it is for the raw endpoint whose place among those of the App is the route. */
  RAW: 3,
} as const;
export type HandoffKind = (typeof HandoffKind)[keyof typeof HandoffKind];

/**
 * In the byte of the kind: there are as many connections as there may be. The shard's oldest that has not said yet what it
 * wants gives way.
 */
const IN_PLACE = 0x80;

/** Bytes before the head. */
export const HANDOFF_PREFIX = 11;

/**
 * The prefix of a handoff message.
 *
 * @param route place of the route, or of the raw endpoint, in the table that the shard reported
 * @param address row of the address table, -1 for none
 * @param acceptedAt when the connection was accepted
 * @param isInPlace another connection of the shard is to give way
 */
export function handoffPrefix(
  kind: HandoffKind,
  route: number,
  address: number,
  acceptedAt: TimeStamp,
  isInPlace = false,
): string {
  return String.fromCharCode(
    isInPlace ? kind | IN_PLACE : kind,
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

/** What the prefix of a handoff message says. */
export interface HandoffPrefix {
  readonly kind: HandoffKind;
  readonly route: number;
  readonly address: number;
  readonly acceptedAt: TimeStamp;
  readonly isInPlace: boolean;
}

/** Reads the prefix of a message that has arrived. */
export function readHandoffPrefix(message: Buffer): HandoffPrefix {
  const first = message[0]!;
  return {
    kind: (first & ~IN_PLACE) as HandoffKind,
    route: message.readUInt16LE(1),
    address: message.readInt32LE(3),
    acceptedAt: message.readInt32LE(7),
    isInPlace: (first & IN_PLACE) !== 0,
  };
}

/** The row of the address table in a message that is to be sent. */
export function addressIn(message: string): number {
  const byte = (at: number): number => message.charCodeAt(at);
  return byte(3) | (byte(4) << 8) | (byte(5) << 16) | (byte(6) << 24);
}

/** The routes an acceptor can tell apart. */
export const MAX_ROUTES = 65_535;
