/**
 * Origin check of the upgrade request (RFC 6455 §10.2). Browsers do not stop a page of another site from
 * opening a WebSocket with the user's cookies; this check does.
 */
import { described } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';

/**
 * Which pages may connect. A request without Origin comes from something other than a browser and is allowed
 * by every policy: such a client could send any Origin it likes, so the check would prove nothing.
 *
 * - `undefined` or `'*'`: all.
 * - `'same-origin'`: pages of the host and port that the request itself names in Host; https pages alone when the
 *   server does TLS itself, or a proxy in front does (`behindTls`). Whether Host is a name of this server is `allowedHosts`'
 *   to say.
 * - a list of origins as browsers serialize them, such as `https://example.com` or `http://localhost:3000`:
 *   these and no others. Scheme, host and port must be equal; there are no wildcards, and subdomains are
 *   hosts of their own. `'null'`, the origin of sandboxed frames and local files, has to be listed to be allowed.
 */
export type OriginPolicy = undefined | '*' | 'same-origin' | readonly string[];

const DOT = 0x2e;
const COLON = 0x3a;
const OPENING_BRACKET = 0x5b;

/**
 * Whether a request with these values of Origin ('' if absent) and Host may be upgraded.
 *
 * `isSecure`: whether the client came by TLS, of our own or of a proxy that is known. If so, `'same-origin'` demands an
 * https page; otherwise an unknown proxy may have ended TLS, and http and https pages of the host are both its own.
 */
export function isOriginAllowed(
  policy: OriginPolicy,
  originHeader: string,
  hostHeader: string,
  isSecure = false,
): boolean {
  if (policy === undefined || policy === '*' || originHeader === '') return true;
  const origin = canonicalOrigin(originHeader);
  if (origin === undefined) return false;
  if (policy === 'same-origin') return isSameOrigin(origin, hostHeader, isSecure);
  return policy.some((entry) => canonicalOrigin(entry) === origin);
}

/** Throws MILLRACE_INVALID_OPTION, with the remedy, unless `policy` is an OriginPolicy. Call it at set-up. */
export function validateOriginPolicy(policy: unknown): asserts policy is OriginPolicy {
  if (policy === undefined || policy === '*' || policy === 'same-origin') return;
  if (!Array.isArray(policy)) {
    throw invalidPolicy(
      `must be '*', 'same-origin' or a list of origins such as ['https://example.com']; got ${described(policy)}`,
    );
  }
  for (const entry of policy as unknown[]) {
    if (entry === '*' || entry === 'same-origin') {
      throw invalidPolicy(`must be '${entry}' itself, not a list with it`);
    }
    if (typeof entry === 'string' && canonicalOrigin(entry) !== undefined) continue;
    throw invalidPolicy(
      `has the entry ${described(entry)}, which is no origin: write scheme://host or scheme://host:port, ` +
        'without path or wildcard, international names in their xn-- form',
    );
  }
}

function invalidPolicy(message: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `origins ${message}`);
}

function isSameOrigin(origin: string, hostHeader: string, isSecure: boolean): boolean {
  const scheme = origin.startsWith('https:') ? 'https' : 'http';
  if (isSecure && scheme !== 'https') return false;
  const authority = canonicalAuthority(hostHeader, scheme);
  return authority !== undefined && origin === `${scheme}://${authority}`;
}

/**
 * The one spelling of a serialized origin (RFC 6454 §6.2): scheme and host in lower case, no default port.
 * undefined if `text` is no single origin, which includes anything behind the port.
 */
function canonicalOrigin(text: string): string | undefined {
  if (text === 'null') return text;
  const schemeEnd = text.indexOf('://');
  if (schemeEnd <= 0) return undefined;
  for (let i = 0; i < schemeEnd; i++) if (!isSchemeChar(text.charCodeAt(i), i)) return undefined;
  const scheme = text.slice(0, schemeEnd).toLowerCase();
  const authority = canonicalAuthority(text.slice(schemeEnd + 3), scheme);
  return authority === undefined ? undefined : `${scheme}://${authority}`;
}

/** `host` or `host:port` in its one spelling, undefined if malformed. */
function canonicalAuthority(text: string, scheme: string): string | undefined {
  const hostEnd = text.charCodeAt(0) === OPENING_BRACKET ? endOfIpLiteral(text) : endOfName(text);
  if (hostEnd <= 0) return undefined;
  const host = text.slice(0, hostEnd).toLowerCase();
  if (hostEnd === text.length) return host;
  if (text.charCodeAt(hostEnd) !== COLON) return undefined;
  const port = parsePort(text, hostEnd + 1);
  if (port === undefined) return undefined;
  return port === defaultPort(scheme) ? host : `${host}:${port}`;
}

/** End of the name or IPv4 address that `text` starts with. */
function endOfName(text: string): number {
  let i = 0;
  while (isNameChar(text.charCodeAt(i))) i++;
  return i;
}

/** End of the IPv6 address in brackets that `text` starts with, 0 if it has none. */
function endOfIpLiteral(text: string): number {
  let i = 1;
  while (isIpv6Char(text.charCodeAt(i))) i++;
  return i > 1 && text[i] === ']' ? i + 1 : 0;
}

/** The decimal port that fills `text` from `start` on: 1 to 65535, without leading zeros. */
function parsePort(text: string, start: number): number | undefined {
  let port = 0;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isDigit(code)) return undefined;
    port = port * 10 + code - 0x30;
    if (port === 0 || port > 65535) return undefined;
  }
  return port === 0 ? undefined : port;
}

function defaultPort(scheme: string): number {
  if (scheme === 'http') return 80;
  return scheme === 'https' ? 443 : 0;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

/** RFC 3986 §3.1: a letter, then letters, digits, `+`, `-`, `.`. */
function isSchemeChar(code: number, index: number): boolean {
  if (isLetter(code)) return true;
  return index > 0 && (isDigit(code) || code === 0x2b || code === 0x2d || code === DOT);
}

/** Letters, digits, `-`, `.`, and `_`, which some internal names have. Browsers send all else as xn--. */
function isNameChar(code: number): boolean {
  return isLetter(code) || isDigit(code) || code === 0x2d || code === DOT || code === 0x5f;
}

function isIpv6Char(code: number): boolean {
  const lower = code | 0x20;
  return isDigit(code) || (lower >= 0x61 && lower <= 0x66) || code === COLON || code === DOT;
}
