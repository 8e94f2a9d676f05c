/**
 * Lexical rules of HTTP header values (RFC 9110 §5.5, §5.6), shared by the headers of the handshake.
 * All of them look at each character once.
 */
import { MillraceError } from '../errors.ts';

const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DELETE = 0x7f;

const TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const IS_TOKEN_CHAR = new Uint8Array(128);
for (let i = 0; i < TOKEN_CHARS.length; i++) IS_TOKEN_CHAR[TOKEN_CHARS.charCodeAt(i)] = 1;

/** Whether a character may stand in a token (RFC 9110 §5.6.2; RFC 2616, which RFC 6455 cites, has the same set). */
export function isTokenChar(code: number): boolean {
  return code < 128 && IS_TOKEN_CHAR[code] === 1;
}

export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isTokenChar(text.charCodeAt(i))) return false;
  return text.length > 0;
}

/** Space or tab: the only whitespace within a header value (RFC 9110 §5.6.3). */
function isWhitespace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Whether the comma-separated `list` has `lowerCaseToken` as one of its elements, in any case. */
export function listHasToken(list: string, lowerCaseToken: string): boolean {
  let start = 0;
  for (let i = 0; i <= list.length; i++) {
    if (i < list.length && list.charCodeAt(i) !== COMMA) continue;
    if (isSameToken(list, start, i, lowerCaseToken)) return true;
    start = i + 1;
  }
  return false;
}

/** Whether `text[start, end)`, without the whitespace around it, is `lowerCaseToken` in any case. */
function isSameToken(text: string, start: number, end: number, lowerCaseToken: string): boolean {
  while (start < end && isWhitespace(text.charCodeAt(start))) start++;
  while (start < end && isWhitespace(text.charCodeAt(end - 1))) end--;
  if (end - start !== lowerCaseToken.length) return false;
  for (let i = 0; i < lowerCaseToken.length; i++) {
    if (lowerCase(text.charCodeAt(start + i)) !== lowerCaseToken.charCodeAt(i)) return false;
  }
  return true;
}

/** ASCII only: no other character is the same as a letter of a token, as the Kelvin sign is to toLowerCase(). */
function lowerCase(code: number): number {
  return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
}

/** Reads a structured header value from left to right, whitespace between its parts skipped. */
export class HeaderCursor {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether nothing but whitespace is left. */
  atEnd(): boolean {
    this.#skipWhitespace();
    return this.#position === this.#text.length;
  }

  /** Steps over the character `code` if it comes next. */
  take(code: number): boolean {
    this.#skipWhitespace();
    if (this.#text.charCodeAt(this.#position) !== code) return false;
    this.#position++;
    return true;
  }

  /** The token that comes next, '' if none does. */
  token(): string {
    this.#skipWhitespace();
    const start = this.#position;
    while (isTokenChar(this.#text.charCodeAt(this.#position))) this.#position++;
    return this.#text.slice(start, this.#position);
  }

  /** The token that comes next, bare or as a quoted-string (RFC 9110 §5.6.4); '' if none does. */
  tokenOrQuoted(): string {
    if (!this.take(QUOTE)) return this.token();
    let value = '';
    for (;;) {
      let code = this.#text.charCodeAt(this.#position++);
      if (code === QUOTE) return value;
      if (code === BACKSLASH) code = this.#text.charCodeAt(this.#position++);
      // NaN, the end of the text within the quotes, is no token character either.
      if (!isTokenChar(code)) return '';
      value += String.fromCharCode(code);
    }
  }

  #skipWhitespace(): void {
    while (isWhitespace(this.#text.charCodeAt(this.#position))) this.#position++;
  }
}

/**
 * Throws MILLRACE_INVALID_ARGUMENT unless `value` can be sent as a header value: no CR, LF, NUL or other
 * control character but tab. `what` names the value in the message.
 */
export function assertFieldValue(what: string, value: string): void {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code >= 0x20 && code !== DELETE) || code === 0x09) continue;
    const point = code.toString(16).toUpperCase().padStart(4, '0');
    throw new MillraceError('MILLRACE_INVALID_ARGUMENT', `${what} must not contain the character U+${point}`);
  }
}

/** Throws MILLRACE_INVALID_ARGUMENT unless `value` is a token. `what` names the value in the message. */
export function assertToken(what: string, value: string): void {
  if (isToken(value)) return;
  throw new MillraceError(
    'MILLRACE_INVALID_ARGUMENT',
    `${what} must be a token of RFC 9110: ${JSON.stringify(value)}`,
  );
}
