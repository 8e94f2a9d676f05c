/**
 * The server's side of the opening handshake (RFC 6455 §4.2.1, §4.2.2) over a request head that the HTTP
 * parser has accepted: its grammar, its limits and its single Host header have been checked there.
 */
import { parseExtensions } from './extension.ts';
import { listHasToken } from './header-value.ts';
import { parseSubprotocols } from './subprotocol.ts';

/** A request head. Header names are asked for in lower case. */
export interface HandshakeRequest {
  /** As sent, in upper case. */
  method: string;
  /** n of HTTP/1.n. */
  minorVersion: number;
  /** The value of a header without the whitespace around it, '' if absent, ', ' between repeated ones. */
  header(lowerCaseName: string): string;
  /** How many header lines have this name. */
  headerCount(lowerCaseName: string): number;
}

export type HeaderPair = readonly [name: string, value: string];

/** The answer to a request that is refused. */
export interface HandshakeFailure {
  /** HTTP status code. */
  readonly status: number;
  /** What is wrong, in words for the client's developer. Never holds anything the client sent. */
  readonly reason: string;
  /** Headers the answer must carry. */
  readonly headers?: readonly HeaderPair[];
}

/** SHA-1 of an ASCII text, in base64. */
export interface Sha1Port {
  sha1Base64(text: string): string;
}

export const WEBSOCKET_VERSION = '13';

/** RFC 6455 §1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const NOT_GET: HandshakeFailure = {
  status: 405,
  reason: 'A WebSocket handshake must be a GET request',
  headers: [['Allow', 'GET']],
};
/** A 426 says which version is spoken here (RFC 6455 §4.4), and what to upgrade to (RFC 9110 §15.5.22). */
const WRONG_VERSION: HandshakeFailure = {
  status: 426,
  reason: 'Sec-WebSocket-Version must be 13',
  headers: [
    ['Sec-WebSocket-Version', WEBSOCKET_VERSION],
    ['Upgrade', 'websocket'],
  ],
};
const OLD_HTTP = badRequest('A WebSocket handshake needs HTTP/1.1');
const BAD_UPGRADE = badRequest('Upgrade must be "websocket" and nothing else');
const BAD_CONNECTION = badRequest('Connection must contain "Upgrade"');
const HAS_BODY = badRequest('A WebSocket handshake must not have a body');
const BAD_KEY = badRequest('Sec-WebSocket-Key must be given once, with 16 bytes in base64');
const BAD_SUBPROTOCOLS = badRequest('Sec-WebSocket-Protocol is malformed');
const BAD_EXTENSIONS = badRequest('Sec-WebSocket-Extensions is malformed');

function badRequest(reason: string): HandshakeFailure {
  return { status: 400, reason };
}

/** Whether the client asks for a WebSocket at all, well or badly. All other requests are plain HTTP. */
export function isUpgradeRequest(request: HandshakeRequest): boolean {
  return listHasToken(request.header('upgrade'), 'websocket');
}

/**
 * Whether an upgrade request is a handshake, good or bad: a GET with a key of 24 characters, not of HTTP/1.0, whose
 * Upgrade is ignored (RFC 9110 §7.8). A WebSocket route passes
 * anything else on to the routes of HTTP, as in uWebSockets.js; it is refused when none of them takes it.
 */
export function isHandshake(request: HandshakeRequest): boolean {
  if (request.method !== 'GET' || request.minorVersion < 1) return false;
  return request.header('sec-websocket-key').length === 24;
}

/** Checks an upgrade request. Returns undefined if it may be answered with 101. */
export function checkUpgrade(request: HandshakeRequest): HandshakeFailure | undefined {
  if (request.method !== 'GET') return NOT_GET;
  if (request.minorVersion < 1) return OLD_HTTP;
  if (!isWebSocketUpgrade(request.header('upgrade'))) return BAD_UPGRADE;
  if (!listHasToken(request.header('connection'), 'upgrade')) return BAD_CONNECTION;
  if (announcesBody(request)) return HAS_BODY;
  // Before the key: a client of an old draft has another key, and should learn which version is spoken here.
  if (request.header('sec-websocket-version') !== WEBSOCKET_VERSION) return WRONG_VERSION;
  if (request.headerCount('sec-websocket-key') !== 1) return BAD_KEY;
  if (!isHandshakeKey(request.header('sec-websocket-key'))) return BAD_KEY;
  if (parseSubprotocols(request.header('sec-websocket-protocol')) === undefined) return BAD_SUBPROTOCOLS;
  if (parseExtensions(request.header('sec-websocket-extensions')) === undefined) return BAD_EXTENSIONS;
  return undefined;
}

/** Stricter than the RFC, which lets other protocols stand beside it: nobody sends those but attackers. */
function isWebSocketUpgrade(upgrade: string): boolean {
  return !upgrade.includes(',') && listHasToken(upgrade, 'websocket');
}

/** Body bytes behind the head would be taken for frames, or smuggled past a proxy as another request. */
function announcesBody(request: HandshakeRequest): boolean {
  if (request.headerCount('transfer-encoding') !== 0) return true;
  return request.headerCount('content-length') !== 0 && request.header('content-length') !== '0';
}

/**
 * Whether `key` is 16 bytes in base64: 22 characters and `==`. The four unused bits of the last character may
 * have any value, which RFC 4648 §3.5 leaves to the decoder: some clients draw 22 random characters.
 */
export function isHandshakeKey(key: string): boolean {
  if (key.length !== 24 || !key.endsWith('==')) return false;
  for (let i = 0; i < 22; i++) if (!isBase64Char(key.charCodeAt(i))) return false;
  return true;
}

function isBase64Char(code: number): boolean {
  const lower = code | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2f;
}

/** The value of Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2, step 5). */
export function acceptValue(key: string, port: Sha1Port): string {
  return port.sha1Base64(key + ACCEPT_GUID);
}
