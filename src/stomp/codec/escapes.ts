import { StompVersion } from './frame.ts';

/** How header names and values are escaped (STOMP 1.2 and 1.1, "Value Encoding"). */
export const Escapes = {
  /** Not at all: STOMP 1.0, CONNECT and CONNECTED. */
  NONE: 0,
  /** `\n`, `\c` and `\\`: STOMP 1.1. */
  V1_1: 1,
  /** `\r`, too: STOMP 1.2. */
  V1_2: 2,
} as const;
export type Escapes = (typeof Escapes)[keyof typeof Escapes];

export function escapesOf(version: StompVersion): Escapes {
  if (version === StompVersion.V1_2) return Escapes.V1_2;
  return version === StompVersion.V1_1 ? Escapes.V1_1 : Escapes.NONE;
}

/** The text behind its escapes; null when there is one that is not defined. */
export function unescaped(text: string, escapes: Escapes): string | null {
  let at = escapes === Escapes.NONE ? -1 : text.indexOf('\\');
  if (at < 0) return text;
  let plain = '';
  let from = 0;
  for (; at >= 0; at = text.indexOf('\\', from)) {
    const character = meaningOf(text.charCodeAt(at + 1), escapes);
    if (character === '') return null;
    plain += text.slice(from, at) + character;
    from = at + 2;
  }
  return plain + text.slice(from);
}

/** NaN, behind the end of the text, has none either. */
function meaningOf(code: number, escapes: Escapes): string {
  if (code === 0x6e) return '\n';
  if (code === 0x63) return ':';
  if (code === 0x5c) return '\\';
  return code === 0x72 && escapes === Escapes.V1_2 ? '\r' : '';
}

/**
 * A value with its escapes. STOMP 1.0 and CONNECTED have none: a line feed, which would begin another header there, and
 * NUL, which would end the frame in any version, become spaces.
 */
export function escaped(text: string, escapes: Escapes): string {
  for (let i = 0; i < text.length; i++) {
    if (escapeOf(text.charCodeAt(i), escapes) !== '') return escapedFrom(text, i, escapes);
  }
  return text;
}

/** A name with its escapes. Where there are none, a colon, which would end it, becomes a space. */
export function escapedName(name: string, escapes: Escapes): string {
  const text = escaped(name, escapes);
  return escapes === Escapes.NONE && text.includes(':') ? text.replaceAll(':', ' ') : text;
}

function escapedFrom(text: string, start: number, escapes: Escapes): string {
  let result = text.slice(0, start);
  let from = start;
  for (let i = start; i < text.length; i++) {
    const escape = escapeOf(text.charCodeAt(i), escapes);
    if (escape === '') continue;
    result += text.slice(from, i) + escape;
    from = i + 1;
  }
  return result + text.slice(from);
}

/** What a character is written as; '' when as it is. */
function escapeOf(code: number, escapes: Escapes): string {
  if (code > 0x5c) return '';
  if (code === 0) return ' ';
  if (escapes === Escapes.NONE) return code === 0x0a ? ' ' : '';
  if (code === 0x0a) return '\\n';
  if (code === 0x3a) return '\\c';
  if (code === 0x5c) return '\\\\';
  // A bare CR at the end of a value would be taken for a part of the line's end by a lenient reader of 1.1.
  if (code === 0x0d) return escapes === Escapes.V1_2 ? '\\r' : ' ';
  return '';
}
