import { copyBytes } from './copy-bytes.ts';
import { headerLength, writeHeader, writeMaskedHeader } from './frame-header.ts';
import { applyMask, wordsOf } from './mask.ts';

/** Which end of the connection this is; a client masks what it sends (RFC 6455 §5.3). */
export type Role = 'server' | 'client';

/** Memory that frames are written into. A transport implements it over its cork buffer. */
export interface Output {
  /** Valid from `reserve` to `commit`. */
  readonly bytes: Uint8Array;
  /** Room for `size` bytes: returns the position in `bytes` to write from. */
  reserve(size: number): number;
  /** The first `size` bytes from the reserved position are to be sent. */
  commit(size: number): void;
  /** True while the kernel takes no more and bytes wait in user space. */
  readonly blocked: boolean;
}

/** UTF-8 encoding at native speed. */
export interface TextPort {
  /** Bytes `text` has in UTF-8. */
  byteLength(text: string): number;
  /** Encodes `text` at `position`, where it fits, and returns the bytes written. Lone surrogates become U+FFFD. */
  write(bytes: Uint8Array, text: string, position: number): number;
}

/** Up to this many bytes the header of a server's frame has two bytes. */
const SHORT_PAYLOAD = 125;

/** Up to this many characters even the longest encoding keeps the two-byte header. */
const SHORT_TEXT = 41;

/** Sender: message → header and payload, written once, into memory that goes to the kernel as it is. */
export class Sender {
  readonly #masked: boolean;
  readonly #text: TextPort;
  readonly #maskKey: () => number;

  constructor(role: Role, text: TextPort, maskKey: () => number = noMaskKey) {
    this.#masked = role === 'client';
    this.#text = text;
    this.#maskKey = maskKey;
  }

  /** Sends one frame. Returns its length on the wire in bytes. */
  bytes(output: Output, firstByte: number, payload: Uint8Array): number {
    const length = payload.length;
    if (length > SHORT_PAYLOAD || this.#masked) return this.#anyBytes(output, firstByte, payload);
    const at = output.reserve(length + 2);
    const out = output.bytes;
    out[at] = firstByte;
    out[at + 1] = length;
    copyBytes(payload, out, at + 2);
    output.commit(length + 2);
    return length + 2;
  }

  #anyBytes(output: Output, firstByte: number, payload: Uint8Array): number {
    const length = payload.length;
    const size = headerLength(length, this.#masked) + length;
    const at = output.reserve(size);
    const out = output.bytes;
    if (this.#masked) {
      const key = this.#maskKey();
      const start = writeMaskedHeader(out, at, firstByte, length, key);
      copyBytes(payload, out, start);
      applyMask(out, wordsOf(out), start, length, key);
    } else {
      copyBytes(payload, out, writeHeader(out, at, firstByte, length));
    }
    output.commit(size);
    return size;
  }

  /** Sends one frame whose payload is the UTF-8 of `text`. Returns its length on the wire in bytes. */
  text(output: Output, firstByte: number, text: string): number {
    const isShort = text.length <= SHORT_TEXT;
    const most = isShort ? text.length * 3 : this.#text.byteLength(text);
    const header = headerLength(most, this.#masked);
    const at = output.reserve(header + most);
    const out = output.bytes;
    const start = at + header;
    const length = isShort
      ? writeShortText(out, text, start, this.#text)
      : this.#text.write(out, text, start);
    if (this.#masked) {
      const key = this.#maskKey();
      writeMaskedHeader(out, at, firstByte, length, key);
      applyMask(out, wordsOf(out), start, length, key);
    } else {
      writeHeader(out, at, firstByte, length);
    }
    output.commit(header + length);
    return header + length;
  }
}

/** A short ASCII text costs less in a loop than in a native call (measured: up to about 50 characters). */
function writeShortText(out: Uint8Array, text: string, start: number, port: TextPort): number {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return port.write(out, text, start);
    out[start + i] = unit;
  }
  return length;
}

function noMaskKey(): number {
  throw new Error('the client role needs a maskKey port');
}
