import { errorResponse, switchingProtocols } from '../http/response-writer.ts';
import { sha1Port } from '../net/native-ports.ts';
import { acceptValue, checkUpgrade, type HandshakeRequest } from '../protocol/handshake.ts';
import { isOriginAllowed, type OriginPolicy } from '../protocol/origin.ts';
import { parseSubprotocols, selectSubprotocol } from '../protocol/subprotocol.ts';

/** What a WebSocket route demands of a handshake. It crosses threads, so it is plain data. */
export interface UpgradeRules {
  readonly origins: OriginPolicy;
  /** Subprotocols the route speaks; undefined: the first one the client offers is chosen. */
  readonly protocols: readonly string[] | undefined;
}

/** The refusal of a handshake, as it goes on the wire, or undefined when it may be accepted. */
export function refuseUpgrade(head: HandshakeRequest, rules: UpgradeRules): string | undefined {
  const failure = checkUpgrade(head);
  if (failure !== undefined) return errorResponse(failure.status, failure.headers, `${failure.reason}\n`);
  if (
    head.headerCount('origin') > 1 ||
    !isOriginAllowed(rules.origins, head.header('origin'), head.header('host'))
  ) {
    return errorResponse(403, [], 'This origin is not allowed here\n');
  }
  return undefined;
}

/** The subprotocol for a handshake that `refuseUpgrade` found good; '' for none. */
export function chooseProtocol(head: HandshakeRequest, rules: UpgradeRules): string {
  return selectSubprotocol(parseSubprotocols(head.header('sec-websocket-protocol')) ?? [], rules.protocols);
}

/** The 101 for a handshake that `refuseUpgrade` found good. */
export function acceptUpgrade(head: HandshakeRequest, protocol: string): string {
  return switchingProtocols({ accept: acceptValue(head.header('sec-websocket-key'), sha1Port), protocol });
}
