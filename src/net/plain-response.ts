import { isWorthKeeping, NOTHING_KEPT } from '../http/memo-policy.ts';
import { httpDate, latin1Port, textPort } from './native-ports.ts';
import type { Transport } from './transport.ts';

/** Bodies up to this many bytes are copied here, behind their head. */
export const MAX_PLAIN_BODY = 8 * 1024;

/** Short ASCII costs less in a loop than in a native call. */
const SHORT_TEXT = 64;

/** Decimal digits of the longest Content-Length here, and the empty line. */
const MAX_TAIL = 4 + 4;

let prefix: Uint8Array = new Uint8Array(0);
let prefixDate = '';

/** A whole response with a short body, which is often the same again; and what it was made from. */
let image: Uint8Array = new Uint8Array(0);
let imageBody = '';
let imageDate = '';
let misses = NOTHING_KEPT;

/**
 * Writes a whole response with status 200 and no header lines but the server's own: what most small answers are. Its
 * head is made once a second, and only the length is new.
 */
export function writePlainText(transport: Transport, body: string): void {
  if (body === imageBody && httpDate() === imageDate) {
    misses = 0;
    const at = transport.reserve(image.length);
    transport.bytes.set(image, at);
    transport.commit(image.length);
  } else if (body.length <= SHORT_TEXT && isAscii(body)) {
    writeShortText(transport, body);
  } else {
    const length = textPort.byteLength(body);
    const start = reserve(transport, length);
    const at = writeHead(transport.bytes, start, length);
    textPort.write(transport.bytes, body, at);
    transport.commit(at + length - start);
  }
}

function writeShortText(transport: Transport, body: string): void {
  const start = reserve(transport, body.length);
  const { bytes } = transport;
  const at = writeHead(bytes, start, body.length);
  for (let i = 0; i < body.length; i++) bytes[at + i] = body.charCodeAt(i);
  const end = at + body.length;
  if (isWorthKeeping(misses++)) keepImage(bytes, start, at, end);
  transport.commit(end - start);
}

function keepImage(bytes: Uint8Array, start: number, bodyAt: number, end: number): void {
  image = new Uint8Array(bytes.subarray(start, end));
  // Not the caller's own, which may be a small part of a large text.
  imageBody = latin1Port.latin1(bytes, bodyAt, end);
  imageDate = prefixDate;
}

/** The same with a body of bytes. */
export function writePlainBytes(transport: Transport, body: Uint8Array): void {
  const start = reserve(transport, body.length);
  const at = writeHead(transport.bytes, start, body.length);
  transport.bytes.set(body, at);
  transport.commit(at + body.length - start);
}

/** Makes room for a head of now and `length` bytes of a body, and returns where it starts. */
function reserve(transport: Transport, length: number): number {
  const date = httpDate();
  if (date !== prefixDate) {
    prefixDate = date;
    prefix = Buffer.from(`HTTP/1.1 200 OK\r\nDate: ${date}\r\nContent-Length: `, 'latin1');
  }
  return transport.reserve(prefix.length + MAX_TAIL + length);
}

/** Returns the position behind the head. */
function writeHead(bytes: Uint8Array, start: number, length: number): number {
  bytes.set(prefix, start);
  let at = start + prefix.length;
  if (length >= 1000) bytes[at++] = 0x30 + Math.floor(length / 1000);
  if (length >= 100) bytes[at++] = 0x30 + (Math.floor(length / 100) % 10);
  if (length >= 10) bytes[at++] = 0x30 + (Math.floor(length / 10) % 10);
  bytes[at++] = 0x30 + (length % 10);
  bytes[at++] = 0x0d;
  bytes[at++] = 0x0a;
  bytes[at++] = 0x0d;
  bytes[at++] = 0x0a;
  return at;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}
