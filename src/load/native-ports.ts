import { isUtf8 } from 'node:buffer';
import { hash, randomBytes } from 'node:crypto';
import type { Sha1Port } from '../protocol/handshake.ts';
import type { TextPort } from '../protocol/sender.ts';
import type { Utf8Port } from '../protocol/utf8.ts';

/** What the sans-I/O core needs from Node.js. The load client has its own: it shares no fault with the server. */

export const utf8Port: Utf8Port = { isUtf8 };

export const sha1Port: Sha1Port = { sha1Base64: (text) => hash('sha1', text, 'base64') };

/** Messages are framed in advance; the protocol itself sends no text. */
export const textPort: TextPort = {
  byteLength: (text) => Buffer.byteLength(text),
  write: (bytes, text, position) => {
    const encoded = Buffer.from(text);
    bytes.set(encoded, position);
    return encoded.length;
  },
};

/** 16 random bytes in base64. */
export function handshakeKey(): string {
  return randomBytes(16).toString('base64');
}
