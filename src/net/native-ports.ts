import { isUtf8 } from 'node:buffer';
import { hash, randomFillSync } from 'node:crypto';
import type { Sha1Port } from '../protocol/handshake.ts';
import type { Output, TextPort } from '../protocol/sender.ts';
import type { Utf8Port } from '../protocol/utf8.ts';

/** What the sans-I/O core needs from Node.js, at native speed. */

export const utf8Port: Utf8Port = { isUtf8 };

export const textPort: TextPort = {
  byteLength: (text) => Buffer.byteLength(text),
  // Cork memory and blocks are Buffers; other memory gets one laid over it.
  write: (bytes, text, position) => asBuffer(bytes).write(text, position),
};

export const sha1Port: Sha1Port = {
  sha1Base64: (text) => hash('sha1', text, 'base64'),
};

export const latin1Port = {
  latin1: (bytes: Uint8Array, start: number, end: number): string =>
    asBuffer(bytes).toString('latin1', start, end),
};

/** Writes a text of one byte a character. */
export function writeLatin1(output: Output, text: string): void {
  const at = output.reserve(text.length);
  asBuffer(output.bytes).write(text, at, 'latin1');
  output.commit(text.length);
}

/** Writes a text as UTF-8. A lone surrogate becomes U+FFFD. */
export function writeUtf8(output: Output, text: string): void {
  const length = Buffer.byteLength(text);
  const at = output.reserve(length);
  asBuffer(output.bytes).write(text, at);
  output.commit(length);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const keys = new Int32Array(1024);
let nextKey = keys.length;

/** A masking key from the system's random source, drawn in batches (RFC 6455 §5.3). */
export function randomMaskKey(): number {
  if (nextKey === keys.length) {
    randomFillSync(keys);
    nextKey = 0;
  }
  return keys[nextKey++]!;
}

let dateText = '';

/** The value of a Date header (RFC 9110 §6.6.1), made once a second. */
export function httpDate(): string {
  return dateText === '' ? newDate() : dateText;
}

/** Asking the clock costs more than all else of a small response: a timer says when the second is over. */
function newDate(): string {
  const now = Date.now();
  dateText = new Date(now).toUTCString();
  setTimeout(forgetDate, 1000 - (now % 1000)).unref();
  return dateText;
}

function forgetDate(): void {
  dateText = '';
}
