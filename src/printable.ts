/**
 * What a peer, a file or a user's error says is shown by this function alone: a terminal obeys what it is sent, and a
 * log is read line by line. Imports nothing, so that every layer can use it.
 */

/** Characters that are shown of a text, unless its place says otherwise. */
const DEFAULT_LIMIT = 200;

/**
 * A text in a form that does nothing to a terminal and stays on its line: control characters (C0, DEL, C1), what changes
 * the direction of text or cannot be seen, line separators and lone surrogates are shown as escapes.
 *
 * @param limit characters of the result; what is beyond is cut, and said. Default 200
 */
export function printable(text: string, limit: number = DEFAULT_LIMIT): string {
  let shown = '';
  let at = 0;
  while (at < text.length) {
    const code = text.codePointAt(at)!;
    const character = isShown(code) ? String.fromCodePoint(code) : escapeOf(code);
    if (shown.length + character.length > limit) return `${shown}… (${text.length - at} more characters)`;
    shown += character;
    at += code > 0xffff ? 2 : 1;
  }
  return shown;
}

/** The same for a text of several lines, which are kept; each is cut at `limit`. */
export function printableLines(text: string, limit: number = DEFAULT_LIMIT): string {
  return text
    .split('\n')
    .map((line) => printable(line.endsWith('\r') ? line.slice(0, -1) : line, limit))
    .join('\n');
}

/** First and last code points of what is not shown as it is. */
const HIDDEN: readonly (readonly [number, number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x180e, 0x180e],
  // Without the two joiners (U+200C, U+200D), which scripts and emoji need.
  [0x200b, 0x200b],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfe00, 0xfe0e],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe0fff],
];

function isShown(code: number): boolean {
  if (code >= 0x20 && code < 0x7f) return true;
  return !HIDDEN.some(([first, last]) => code >= first && code <= last);
}

const SHORT_ESCAPES: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r' };

function escapeOf(code: number): string {
  const short = SHORT_ESCAPES[code];
  if (short !== undefined) return short;
  const digits = code.toString(16);
  if (code < 0x100) return `\\x${digits.padStart(2, '0')}`;
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`;
}

/** A URL, or what was meant to be one, without the user name and password in front of its host. */
export function withoutPassword(url: string): string {
  const scheme = url.indexOf('://');
  const start = scheme < 0 ? 0 : scheme + 3;
  const end = start + url.slice(start).search(/[/?#]|$/);
  const at = url.lastIndexOf('@', end);
  return at < start ? url : `${url.slice(0, start)}…@${url.slice(at + 1)}`;
}
