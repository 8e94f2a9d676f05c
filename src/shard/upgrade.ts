import { errorResponse, switchingProtocols } from '../http/response-writer.ts';
import { sha1Port } from '../net/native-ports.ts';
import { compressionSettings } from '../protocol/compression.ts';
import { formatExtensions, parseExtensions } from '../protocol/extension.ts';
import { acceptValue, checkUpgrade, type HandshakeRequest } from '../protocol/handshake.ts';
import { isOriginAllowed, type OriginPolicy } from '../protocol/origin.ts';
import { acceptDeflate, type DeflateAgreement } from '../protocol/permessage-deflate.ts';
import { parseSubprotocols, selectSubprotocol } from '../protocol/subprotocol.ts';

/** What a WebSocket route demands of a handshake. It crosses threads, so it is plain data. */
export interface UpgradeRules {
  readonly origins: OriginPolicy;
  /** Subprotocols the route speaks; undefined: the first one the client offers is chosen. */
  readonly protocols: readonly string[] | undefined;
  /** A mask of the constants of Compression. */
  readonly compression: number;
}

/**
 * The refusal of a handshake, as it goes on the wire, or undefined when it may be accepted.
 *
 * @param isSecure the client came by TLS, of our own or of a proxy in front
 */
export function refuseUpgrade(
  head: HandshakeRequest,
  rules: UpgradeRules,
  isSecure = false,
): string | undefined {
  const failure = checkUpgrade(head);
  if (failure !== undefined)
    return errorResponse(failure.status, failure.headers ?? [], `${failure.reason}\n`);
  if (
    head.headerCount('origin') > 1 ||
    !isOriginAllowed(rules.origins, head.header('origin'), head.header('host'), isSecure)
  ) {
    return errorResponse(403, [], 'This origin is not allowed here\n');
  }
  return undefined;
}

/** The subprotocol for a handshake that `refuseUpgrade` found good; '' for none. */
export function chooseProtocol(head: HandshakeRequest, rules: UpgradeRules): string {
  return selectSubprotocol(parseSubprotocols(head.header('sec-websocket-protocol')) ?? [], rules.protocols);
}

/**
 * What the two ends agree on about compression, in a handshake that `refuseUpgrade` found good; undefined: nothing
 * is compressed.
 */
export function agreeDeflate(head: HandshakeRequest, rules: UpgradeRules): DeflateAgreement | undefined {
  if (rules.compression === 0) return undefined;
  return chooseDeflate(head.header('sec-websocket-extensions'), head.header('user-agent'), rules);
}

/** The same by the two headers it depends on. */
export function chooseDeflate(
  extensions: string,
  userAgent: string,
  { compression }: UpgradeRules,
): DeflateAgreement | undefined {
  if (compression === 0 || extensions === '' || hasBrokenDeflate(userAgent)) return undefined;
  const known = agreements.get(extensions);
  if (known?.compression === compression) return known.agreement;
  const agreement = acceptDeflate(parseExtensions(extensions) ?? [], compressionSettings(compression)!);
  if (agreements.size === MAX_AGREEMENTS) agreements.clear();
  agreements.set(extensions, { compression, agreement });
  return agreement;
}

/** Agreements by the offers that led to them: clients of one kind all send the same. */
const agreements = new Map<string, { compression: number; agreement: DeflateAgreement | undefined }>();
const MAX_AGREEMENTS = 64;

/** The 101 for a handshake that `refuseUpgrade` found good. */
export function acceptUpgrade(
  head: HandshakeRequest,
  protocol: string,
  deflate: DeflateAgreement | undefined,
): string {
  return switchingProtocols({
    accept: acceptValue(head.header('sec-websocket-key'), sha1Port),
    protocol,
    extensions: extensionsText(deflate),
  });
}

/** The value of Sec-WebSocket-Extensions of a 101. */
export function extensionsText(deflate: DeflateAgreement | undefined): string {
  return deflate === undefined ? '' : formatExtensions([deflate.answer]);
}

const SAFARI_15 = 'Version/15.';

/** Safari 15.0 to 15.3 cannot read what it agrees to; uWebSockets.js does not compress for it either. */
function hasBrokenDeflate(userAgent: string): boolean {
  const at = userAgent.indexOf(SAFARI_15);
  if (at < 0 || !userAgent.includes(' Safari/', at)) return false;
  const minor = Number.parseInt(userAgent.slice(at + SAFARI_15.length), 10);
  return minor <= 3;
}
