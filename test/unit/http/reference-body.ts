/** A slow and obvious reader of whole chunked bodies, with regular expressions, to compare the decoder with. */
export interface ReferenceBody {
  data: string;
  consumed: number;
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const TEXT = '[\\t\\x20-\\x7e\\x80-\\xff]';
const QUOTED = `"(?:[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\${TEXT})*"`;
const SIZE_LINE = new RegExp(`^([0-9a-fA-F]+)((?:;${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)*)$`);
const TRAILER = new RegExp(`^(${TOKEN}):${TEXT}*$`);

/** Enough of the forbidden fields to see that the list is looked at. */
export const FORBIDDEN_TRAILERS = ['content-length', 'transfer-encoding', 'host', 'authorization', 'te'];

/** The body at the beginning of `text`; 'short' when more must come; 'bad' when it is none. */
export function referenceBody(text: string): ReferenceBody | 'short' | 'bad' {
  let at = 0;
  let data = '';
  let extensions = 0;
  for (;;) {
    const end = text.indexOf('\r\n', at);
    if (end < 0) return SIZE_PREFIX.test(text.slice(at)) ? 'short' : 'bad';
    const match = SIZE_LINE.exec(text.slice(at, end));
    if (match === null || end - at > 64 || BigInt(`0x${match[1]}`) >= 2n ** 53n) return 'bad';
    extensions += match[2]!.length;
    if (extensions > 1024) return 'bad';
    const size = Number.parseInt(match[1]!, 16);
    at = end + 2;
    if (size === 0) return trailers(text, at, data);
    data += text.slice(at, at + size);
    at += size;
    const close = text.slice(at, at + 2);
    if (!'\r\n'.startsWith(close)) return 'bad';
    if (close.length < 2) return 'short';
    at += 2;
  }
}

/** What may be the start of a size line; looser than the decoder, so 'short' is only compared when it is kept whole. */
const SIZE_PREFIX = /^[^\n]*\r?$/;

function trailers(text: string, from: number, data: string): ReferenceBody | 'short' | 'bad' {
  let at = from;
  for (;;) {
    const end = text.indexOf('\r\n', at);
    if (end < 0) return /\n/.test(text.slice(at)) ? 'bad' : 'short';
    if (end === at) return { data, consumed: end + 2 };
    const match = TRAILER.exec(text.slice(at, end));
    if (match === null || FORBIDDEN_TRAILERS.includes(match[1]!.toLowerCase())) return 'bad';
    at = end + 2;
  }
}
