import { httpDate, textPort } from './native-ports.ts';
import type { Transport } from './transport.ts';

/** Bodies up to this many bytes are copied here, behind their head. */
export const MAX_PLAIN_BODY = 8 * 1024;

/** Short ASCII costs less in a loop than in a native call. */
const SHORT_TEXT = 64;

/** Decimal digits of the longest Content-Length here, and the empty line. */
const MAX_TAIL = 4 + 4;

let prefix: Uint8Array = new Uint8Array(0);
let prefixDate = '';

/**
 * Writes a whole response with status 200 and no header lines but the server's own: what most small answers are. Its
 * head is made once a second, and only the length is new.
 */
export function writePlainText(transport: Transport, body: string): void {
  if (body.length <= SHORT_TEXT && isAscii(body)) {
    const at = writeHead(transport, body.length);
    const { bytes } = transport;
    for (let i = 0; i < body.length; i++) bytes[at + i] = body.charCodeAt(i);
    transport.commit(at + body.length - start);
  } else {
    const length = textPort.byteLength(body);
    const at = writeHead(transport, length);
    textPort.write(transport.bytes, body, at);
    transport.commit(at + length - start);
  }
}

/** The same with a body of bytes. */
export function writePlainBytes(transport: Transport, body: Uint8Array): void {
  const at = writeHead(transport, body.length);
  transport.bytes.set(body, at);
  transport.commit(at + body.length - start);
}

/** Where the response that is being written starts. */
let start = 0;

/** Returns the position behind the head; there is room for the body. */
function writeHead(transport: Transport, length: number): number {
  const date = httpDate();
  if (date !== prefixDate) {
    prefixDate = date;
    prefix = Buffer.from(`HTTP/1.1 200 OK\r\nDate: ${date}\r\nContent-Length: `, 'latin1');
  }
  start = transport.reserve(prefix.length + MAX_TAIL + length);
  const { bytes } = transport;
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
