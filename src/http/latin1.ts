/** Turns bytes into a string, one character per byte. In Node.js `buffer.latin1Slice(start, end)` does it fastest. */
export interface Latin1Port {
  latin1(bytes: Uint8Array, start: number, end: number): string;
}

const PIECE = 4096;

/** The plain JavaScript decoder, used where no faster one is given. */
export const latin1Decoder: Latin1Port = {
  latin1(bytes, start, end) {
    let text = '';
    for (let i = start; i < end; i += PIECE) {
      const piece = bytes.subarray(i, Math.min(end, i + PIECE));
      text += String.fromCharCode.apply(null, piece as unknown as number[]);
    }
    return text;
  },
};

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The bytes as UTF-8; what is not well formed becomes U+FFFD, as browsers do it (WHATWG Encoding §4.1). */
export function unicodeText(bytes: Uint8Array, start: number, end: number): string {
  return utf8.decode(bytes.subarray(start, end));
}

const SLOTS = 256;
const MAX_CACHED = 48;

/**
 * Strings seen lately, so that a method, header name or path which comes again and again is neither decoded
 * nor hashed anew. A fixed number of slots, at most 48 characters each, newest wins: its size does not depend
 * on what peers send. One is enough for a thread.
 */
export class StringCache {
  readonly #port: Latin1Port;
  readonly #exact: string[] = emptySlots();
  readonly #lower: string[] = emptySlots();

  constructor(port: Latin1Port = latin1Decoder) {
    this.#port = port;
  }

  /** The bytes, which are ASCII, as text. */
  get(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length === 0) return '';
    if (length > MAX_CACHED) return this.#port.latin1(bytes, start, end);
    const slot = slotOf(bytes, start, end);
    const cached = this.#exact[slot]!;
    if (cached.length === length && equals(bytes, start, cached)) return cached;
    const text = this.#port.latin1(bytes, start, end);
    this.#exact[slot] = text;
    return text;
  }

  /** The bytes of a header name (ASCII) as lower-case text. */
  getLowerCase(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length > MAX_CACHED) return this.#port.latin1(bytes, start, end).toLowerCase();
    const slot = slotOf(bytes, start, end);
    const cached = this.#lower[slot]!;
    if (cached.length === length && equalsLowerCase(bytes, start, cached)) return cached;
    const text = this.#port.latin1(bytes, start, end).toLowerCase();
    this.#lower[slot] = text;
    return text;
  }

  /** The same, not remembered: for values that hardly come twice, or should not be kept. */
  once(bytes: Uint8Array, start: number, end: number): string {
    return start === end ? '' : this.#port.latin1(bytes, start, end);
  }
}

function emptySlots(): string[] {
  return Array.from({ length: SLOTS }, () => '');
}

function slotOf(bytes: Uint8Array, start: number, end: number): number {
  const middle = bytes[(start + end) >>> 1] ?? 0;
  return ((end - start) * 41 + bytes[start]! * 5 + middle * 11 + bytes[end - 1]! * 29) & (SLOTS - 1);
}

/** Whether the bytes from `start` on are exactly `text`. The caller has compared the lengths. */
export function equals(bytes: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (bytes[start + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** The same without regard to the case of ASCII letters; `text` is in lower case. */
export function equalsLowerCase(bytes: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (lowerCase(bytes[start + i]!) !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** ASCII upper case to lower case; every other byte stays as it is. */
export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
