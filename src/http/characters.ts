/** Bytes with a name, and the character classes of RFC 9110 and RFC 3986 as tables of 256 (1 = member). */
export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const QUOTE = 0x22;
export const PERCENT = 0x25;
export const ASTERISK = 0x2a;
export const COMMA = 0x2c;
export const SLASH = 0x2f;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUESTION_MARK = 0x3f;
export const BACKSLASH = 0x5c;

const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

function tableOf(members: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < members.length; i++) table[members.charCodeAt(i)] = 1;
  return table;
}

function fill(table: Uint8Array, from: number, to: number): Uint8Array {
  return table.fill(1, from, to + 1);
}

/** tchar (RFC 9110 §5.6.2): methods and field names. */
export const TOKEN = tableOf(`${LETTERS_AND_DIGITS}!#$%&'*+-.^_\`|~`);

/** Bytes of a field value (RFC 9110 §5.5): visible ASCII, SP, HTAB and obs-text. */
export const FIELD_VALUE = fill(fill(tableOf('\t'), 0x20, 0x7e), 0x80, 0xff);

/** Those of them that are ASCII. */
export const ASCII_VALUE = fill(tableOf('\t'), 0x20, 0x7e);

/**
 * ASCII of a request target: everything but controls, SP, `#` (a fragment is never sent), `\` (some read it
 * as `/`) and DEL. `?` is left out so that the scan stops there once.
 */
export const TARGET = fill(new Uint8Array(256), 0x21, 0x7e);
TARGET[0x23] = 0;
TARGET[0x5c] = 0;
TARGET[QUESTION_MARK] = 0;

/** unreserved and sub-delims (RFC 3986 §3.2.2) but the comma: a host name. */
export const HOST = tableOf(`${LETTERS_AND_DIGITS}-._~!$&'()*+;=`);

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

export function isHexDigit(byte: number): boolean {
  return isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}
