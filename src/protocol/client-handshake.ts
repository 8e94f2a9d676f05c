/** The client's side of the opening handshake (RFC 6455 §4.1). */
import { MillraceError } from '../errors.ts';
import { type ExtensionOffer, formatExtensions, parseExtensions } from './extension.ts';
import { type HeaderPair, isHandshakeKey, WEBSOCKET_VERSION } from './handshake.ts';
import { assertFieldValue, assertToken, listHasToken } from './header-value.ts';

export interface ClientRequest {
  /** Value of Host: the server's name, with `:port` unless that is the scheme's default. */
  host: string;
  /** Path and query, from the `/` on. */
  target: string;
  /** 16 random bytes in base64, new ones for each connection. */
  key: string;
  /** Subprotocols, the preferred one first. */
  protocols?: readonly string[];
  extensions?: readonly ExtensionOffer[];
  origin?: string;
  /** More headers (cookies, authorization), sent in this order. */
  headers?: readonly HeaderPair[];
}

/** The head of the server's answer. Header names are asked for in lower case. */
export interface HandshakeResponse {
  /** HTTP status code. */
  status: number;
  /** The value of a header without the whitespace around it, '' if absent, ', ' between repeated ones. */
  header(lowerCaseName: string): string;
  /** How many header lines have this name. */
  headerCount(lowerCaseName: string): number;
}

/** What checkServerResponse compares the answer with: the accept value of the key sent, and the offers made. */
export interface ExpectedResponse {
  accept: string;
  protocols?: readonly string[];
  extensions?: readonly ExtensionOffer[];
}

/** Headers that clientRequest itself writes, and those that announce a body. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'upgrade',
  'connection',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
  'origin',
  'content-length',
  'transfer-encoding',
]);

/**
 * The upgrade request as text, to be sent as UTF-8. Throws MILLRACE_INVALID_ARGUMENT rather than send
 * something else than meant: a control character in a value, a name that is no token, a header that this
 * function writes itself.
 */
export function clientRequest(request: ClientRequest): string {
  assertTarget(request.target);
  if (!isHandshakeKey(request.key)) throw invalid('key must be 16 bytes in base64');
  if (request.host === '') throw invalid('host must not be empty');
  let text =
    `GET ${request.target} HTTP/1.1\r\n${line('Host', request.host)}Upgrade: websocket\r\n` +
    `Connection: Upgrade\r\nSec-WebSocket-Key: ${request.key}\r\nSec-WebSocket-Version: ${WEBSOCKET_VERSION}\r\n`;
  text += protocolLine(request.protocols ?? []);
  if (request.extensions !== undefined && request.extensions.length > 0) {
    text += line('Sec-WebSocket-Extensions', formatExtensions(request.extensions));
  }
  if (request.origin !== undefined) text += line('Origin', request.origin);
  for (const [name, value] of request.headers ?? []) text += extraLine(name, value);
  return `${text}\r\n`;
}

/** Origin-form (RFC 9112 §3.2.1): a space would end it, and a `#` is never sent. */
function assertTarget(target: string): void {
  if (!target.startsWith('/')) throw invalid("target must start with '/'");
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || code === 0x23) {
      throw invalid('target must be printable ASCII without spaces and "#": percent-encode it');
    }
  }
}

function protocolLine(protocols: readonly string[]): string {
  if (protocols.length === 0) return '';
  for (const name of protocols) assertToken('A subprotocol', name);
  if (new Set(protocols).size !== protocols.length) throw invalid('protocols must not repeat a name');
  return line('Sec-WebSocket-Protocol', protocols.join(', '));
}

function extraLine(name: string, value: string): string {
  assertToken('The name of a header', name);
  if (RESERVED_HEADERS.has(name.toLowerCase())) throw invalid(`headers must not contain ${name}`);
  return line(name, value);
}

function line(name: string, value: string): string {
  assertFieldValue(`The value of ${name}`, value);
  return `${name}: ${value}\r\n`;
}

function invalid(message: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_ARGUMENT', message);
}

/**
 * Checks the answer to clientRequest. Returns undefined if the connection is open, otherwise what is wrong with
 * the answer, in words. The subprotocol in use is then the value of Sec-WebSocket-Protocol, '' for none.
 */
export function checkServerResponse(
  response: HandshakeResponse,
  expected: ExpectedResponse,
): string | undefined {
  if (response.status !== 101) return `The server answered ${response.status} instead of 101`;
  const upgrade = response.header('upgrade');
  if (upgrade.includes(',') || !listHasToken(upgrade, 'websocket')) return 'Upgrade is not "websocket"';
  if (!listHasToken(response.header('connection'), 'upgrade')) return 'Connection does not contain "Upgrade"';
  if (response.header('sec-websocket-accept') !== expected.accept) return 'Sec-WebSocket-Accept is wrong';
  return (
    protocolError(response, expected.protocols ?? []) ?? extensionError(response, expected.extensions ?? [])
  );
}

/** None, or exactly one of those offered. */
function protocolError(response: HandshakeResponse, offered: readonly string[]): string | undefined {
  if (response.headerCount('sec-websocket-protocol') === 0) return undefined;
  if (offered.includes(response.header('sec-websocket-protocol'))) return undefined;
  return 'Sec-WebSocket-Protocol is not one of the subprotocols offered';
}

/** Each one offered. Whether the parameters fit is for the extension's negotiation to say. */
function extensionError(response: HandshakeResponse, offered: readonly ExtensionOffer[]): string | undefined {
  const answer = parseExtensions(response.header('sec-websocket-extensions'));
  if (answer === undefined) return 'Sec-WebSocket-Extensions is malformed';
  for (const { name } of answer) {
    if (!offered.some((offer) => offer.name === name)) {
      return 'Sec-WebSocket-Extensions has an extension that was not offered';
    }
  }
  return undefined;
}
