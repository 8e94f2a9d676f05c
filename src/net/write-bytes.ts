import { textPort, writeLatin1 } from './native-ports.ts';
import type { Transport } from './transport.ts';
import { SLAB_SIZE } from './write-memory.ts';

/** Text up to this many bytes is encoded where it is sent from. */
const SHORT_TEXT = 16 * 1024;

/**
 * Copies bytes behind what was written, in pieces that fit the cork, so that the start leaves in one write with it,
 * and memory is used only for what the kernel does not take at once.
 */
export function writeBytes(transport: Transport, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writePiece(transport, bytes, at);
}

/** The same, until the kernel takes no more. Returns how many bytes were taken. */
export function tryWriteBytes(transport: Transport, bytes: Uint8Array, limit: number): number {
  const end = Math.min(bytes.length, limit);
  let at = 0;
  while (at < end && !transport.blocked) at += writePiece(transport, bytes.subarray(0, end), at);
  return at;
}

/** Writes a text as UTF-8. `length`: what `textPort.byteLength` says. */
export function writeText(transport: Transport, text: string, length: number): void {
  if (length === text.length) {
    writeAscii(transport, text);
  } else if (length <= SHORT_TEXT) {
    const at = transport.reserve(length);
    textPort.write(transport.bytes, text, at);
    transport.commit(length);
  } else {
    writeBytes(transport, Buffer.from(text));
  }
}

function writeAscii(transport: Transport, text: string): void {
  if (text.length <= SHORT_TEXT) writeLatin1(transport, text);
  else writeBytes(transport, Buffer.from(text, 'latin1'));
}

function writePiece(transport: Transport, bytes: Uint8Array, at: number): number {
  const size = Math.min(bytes.length - at, transport.corkRoom || SLAB_SIZE);
  const position = transport.reserve(size);
  transport.bytes.set(size === bytes.length ? bytes : bytes.subarray(at, at + size), position);
  transport.commit(size);
  return size;
}
