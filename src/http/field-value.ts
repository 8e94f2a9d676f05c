import { COLON, COMMA, HOST, HTAB, isDigit, isHexDigit, PERCENT, SP, TOKEN } from './characters.ts';
import { equalsLowerCase } from './latin1.ts';

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const DOT = 0x2e;
const ZERO = 0x30;

/**
 * The number of a Content-Length value, or -1 if it is none: digits alone, without leading zeros (some read
 * them as octal), at most 2^53 - 1.
 */
export function parseContentLength(bytes: Uint8Array, start: number, end: number): number {
  if (start === end || end - start > 16) return -1;
  if (bytes[start] === ZERO && end - start > 1) return -1;
  let length = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (!isDigit(byte)) return -1;
    length = length * 10 + (byte - ZERO);
  }
  return length > Number.MAX_SAFE_INTEGER ? -1 : length;
}

/** Whether the value is one host with an optional port (RFC 9110 §7.2), without userinfo, path or list. */
export function isHost(bytes: Uint8Array, start: number, end: number): boolean {
  const colon = bytes[start] === OPEN_BRACKET ? endOfIpv6(bytes, start, end) : endOfName(bytes, start, end);
  if (colon <= start) return false;
  if (colon === end) return true;
  return bytes[colon] === COLON && isPort(bytes, colon + 1, end);
}

function endOfName(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end) {
    if (HOST[bytes[i]!] === 1) i++;
    else if (bytes[i] === PERCENT && i + 2 < end && isHexDigit(bytes[i + 1]!) && isHexDigit(bytes[i + 2]!))
      i += 3;
    else break;
  }
  return i;
}

function endOfIpv6(bytes: Uint8Array, start: number, end: number): number {
  let colons = 0;
  for (let i = start + 1; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === CLOSE_BRACKET) return colons >= 2 ? i + 1 : -1;
    if (byte === COLON) colons++;
    else if (byte !== DOT && !isHexDigit(byte)) return -1;
  }
  return -1;
}

function isPort(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 5) return false;
  let port = 0;
  for (let i = start; i < end; i++) {
    if (!isDigit(bytes[i]!)) return false;
    port = port * 10 + (bytes[i]! - ZERO);
  }
  return port <= 65_535;
}

/** Whether a comma-separated list holds `token` (lower case), in any case of its letters. */
export function listHas(bytes: Uint8Array, start: number, end: number, token: string): boolean {
  let i = start;
  while (i < end) {
    while (i < end && (bytes[i] === COMMA || bytes[i] === SP || bytes[i] === HTAB)) i++;
    const from = i;
    while (i < end && bytes[i] !== COMMA) i++;
    const to = trimEnd(bytes, from, i);
    if (to - from === token.length && equalsLowerCase(bytes, from, token)) return true;
  }
  return false;
}

/** What a comma-separated list holds. */
export const Members = { NONE: 0, ALL: 1, OTHER: 2 } as const;

/** Whether the members of a list are all `token` (lower case), in any case of its letters; empty ones do not count. */
export function membersOf(bytes: Uint8Array, start: number, end: number, token: string): number {
  let members: number = Members.NONE;
  let i = start;
  while (i < end) {
    while (i < end && (bytes[i] === COMMA || bytes[i] === SP || bytes[i] === HTAB)) i++;
    const from = i;
    while (i < end && bytes[i] !== COMMA) i++;
    const size = trimEnd(bytes, from, i) - from;
    if (size === 0) continue;
    if (size !== token.length || !equalsLowerCase(bytes, from, token)) return Members.OTHER;
    members = Members.ALL;
  }
  return members;
}

/** Where the value ends when spaces and tabs behind it are left out. */
export function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let i = end;
  while (i > start && (bytes[i - 1] === SP || bytes[i - 1] === HTAB)) i--;
  return i;
}

export function isToken(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (TOKEN[bytes[i]!] !== 1) return false;
  return end > start;
}
