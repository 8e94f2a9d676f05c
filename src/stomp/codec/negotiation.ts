import { StompVersion } from './frame.ts';

/** Best first. */
const VERSIONS: readonly StompVersion[] = [StompVersion.V1_2, StompVersion.V1_1, StompVersion.V1_0];

/** The versions this package speaks, as a refusal tells them. */
export const SUPPORTED_VERSIONS = '1.0,1.1,1.2';

/** WebSocket subprotocols of STOMP, best first. */
export const STOMP_PROTOCOLS: readonly string[] = ['v12.stomp', 'v11.stomp', 'v10.stomp'];

/**
 * The version to speak with a client; null when there is none in common (STOMP 1.2, "Protocol Negotiation").
 *
 * @param accepted its `accept-version`; without one it speaks 1.0
 * @param protocol the subprotocol of its WebSocket, whose version is taken if the client accepts it
 */
export function agreedVersion(accepted: string | undefined, protocol = ''): StompVersion | null {
  const known =
    accepted === undefined ? [StompVersion.V1_0] : accepted.split(',').map((version) => version.trim());
  const wanted = VERSIONS[STOMP_PROTOCOLS.indexOf(protocol)];
  if (wanted !== undefined && known.includes(wanted)) return wanted;
  return VERSIONS.find((version) => known.includes(version)) ?? null;
}

/** Ms between two signs of life in each direction; 0: none are asked for. */
export interface HeartBeat {
  /** This side sends something at least this often. */
  readonly send: number;
  /** The peer sends something at least this often. */
  readonly receive: number;
}

/** The longest interval that is a sensible one: a day. */
const MAX_INTERVAL = 86_400_000;

/**
 * What both sides together make of their `heart-beat` headers (STOMP 1.2, "Heart-beating"). Null: the header is malformed.
 *
 * @param own what this side can do and would like; 0: cannot, and does not want
 */
export function agreedHeartBeat(header: string | undefined, own: HeartBeat): HeartBeat | null {
  if (header === undefined) return { send: 0, receive: 0 };
  const comma = header.indexOf(',');
  const can = comma < 0 ? -1 : intervalOf(header.slice(0, comma));
  const wants = comma < 0 ? -1 : intervalOf(header.slice(comma + 1));
  if (can < 0 || wants < 0) return null;
  return {
    send: own.send === 0 || wants === 0 ? 0 : Math.max(own.send, wants),
    receive: own.receive === 0 || can === 0 ? 0 : Math.max(own.receive, can),
  };
}

/** -1: it is not a number of ms. One longer than a day is a day. */
function intervalOf(text: string): number {
  const trimmed = text.trim();
  if (trimmed.length === 0 || trimmed.length > 15) return -1;
  let value = 0;
  for (let i = 0; i < trimmed.length; i++) {
    const digit = trimmed.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return Math.min(value, MAX_INTERVAL);
}
