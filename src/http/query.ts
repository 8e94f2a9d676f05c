const PERCENT = 0x25;
const PLUS = 0x2b;

const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The value of the first `key` in a raw query string (without the `?`), or undefined. A key without `=` has the
 * value ''. The value is percent-decoded as UTF-8 and `+` becomes a space; a `%` that is not followed by two hex
 * digits stays as it is, and bytes that are not UTF-8 become U+FFFD. Keys are compared as sent. Linear.
 */
export function queryValue(query: string, key: string): string | undefined {
  if (key === '') return undefined;
  for (let start = 0; start < query.length; ) {
    let end = query.indexOf('&', start);
    if (end < 0) end = query.length;
    const keyEnd = start + key.length;
    if (keyEnd <= end && query.startsWith(key, start)) {
      if (keyEnd === end) return '';
      if (query.charCodeAt(keyEnd) === 0x3d) return decodeComponent(query.slice(keyEnd + 1, end));
    }
    start = end + 1;
  }
  return undefined;
}

/** Decodes one value of a query. */
function decodeComponent(text: string): string {
  let plain = true;
  for (let i = 0; i < text.length && plain; i++) {
    const c = text.charCodeAt(i);
    plain = c !== PERCENT && c !== PLUS && c < 0x80;
  }
  if (plain) return text;
  // What is decoded is no longer than what it was decoded from, so it takes its place.
  const bytes = encoder.encode(text);
  let size = 0;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i]!;
    const byte = c === PERCENT ? hexPair(bytes, i + 1) : -1;
    if (byte >= 0) i += 2;
    bytes[size++] = byte >= 0 ? byte : c === PLUS ? 0x20 : c;
  }
  return utf8.decode(bytes.subarray(0, size));
}

/** The byte written as two hex digits at `at`, or -1. */
function hexPair(bytes: Uint8Array, at: number): number {
  const high = hexValue(bytes[at] ?? 0);
  const low = hexValue(bytes[at + 1] ?? 0);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexValue(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const letter = c | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
