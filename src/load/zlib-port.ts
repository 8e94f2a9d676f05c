import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { DeflatePort, Deflater, Inflater } from '../protocol/message-deflate.ts';
import type { DeflateOfferOptions, DeflateParams } from '../protocol/permessage-deflate.ts';

/**
 * permessage-deflate as the load uses it: no message refers to an earlier one, in either direction. So messages are
 * compressed once, before the clock starts, and what the server makes of a message is the same each time: a
 * compressed payload that was seen before is known without inflating it again.
 */

/** What is offered. Without client_max_window_bits the server cannot ask for another window than the largest. */
export const DEFLATE_OFFER: DeflateOfferOptions = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  clientMaxWindowBits: false,
};

/** What is agreed when the server accepts the offer. */
export const DEFLATE_PARAMS: DeflateParams = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};

/** RFC 7692 §7.2.1: the end of every message, which is not sent. */
const TAIL_LENGTH = 4;
/** More is not inflated: the message is larger than any that is taken. */
const LARGEST = 64 * 1024 * 1024 + 1;
/** Compressed payloads that are remembered, and what they may take inflated, in bytes. */
const KNOWN_PAYLOADS = 256;
const KNOWN_BYTES = 32 * 1024 * 1024;

/** The payload of a compressed message, or null: it is not shorter for it, and is to be sent as it is. */
export function compressedPayload(payload: Uint8Array): Uint8Array | null {
  if (payload.length === 0) return null;
  const bytes = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
  const length = bytes.length - TAIL_LENGTH;
  return length < payload.length ? bytes.subarray(0, length) : null;
}

/** Inflates whole messages, each by itself. */
class KnownInflater implements Inflater {
  readonly rest = 0;
  readonly #known = new Map<string, Uint8Array>();
  #knownBytes = 0;
  /** Input that is not complete yet. */
  #input: Buffer | null = null;
  /** The message, and how much of it was handed out. */
  #message: Uint8Array | null = null;
  #given = 0;

  inflate(
    bytes: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
    position: number,
    limit: number,
    mustEnd: boolean,
  ): number {
    if (this.#message === null) {
      const piece = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
      const input = this.#input === null ? piece : Buffer.concat([this.#input, piece]);
      if (!mustEnd) {
        // A copy: the memory is used again.
        this.#input = Buffer.from(input);
        return 0;
      }
      this.#message = this.#inflated(input);
      if (this.#message === null) return -1;
    }
    const count = Math.min(limit - position, this.#message.length - this.#given);
    out.set(this.#message.subarray(this.#given, this.#given + count), position);
    this.#given += count;
    return count;
  }

  reset(): void {
    this.#input = null;
    this.#message = null;
    this.#given = 0;
  }

  #inflated(input: Buffer): Uint8Array | null {
    const key = input.toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    try {
      return this.#remember(key, inflateRawSync(input, { maxOutputLength: LARGEST }));
    } catch {
      // Damaged, not complete, or too large.
      return null;
    }
  }

  #remember(key: string, message: Uint8Array): Uint8Array {
    if (this.#known.size >= KNOWN_PAYLOADS || this.#knownBytes + message.length > KNOWN_BYTES) {
      this.#known.clear();
      this.#knownBytes = 0;
    }
    this.#known.set(key, message);
    this.#knownBytes += message.length;
    return message;
  }
}

/** The contexts of one client thread: one inflater, as nobody keeps history. */
export class LoadDeflatePort implements DeflatePort {
  readonly #inflater = new KnownInflater();

  sharedInflater(): Inflater {
    return this.#inflater;
  }

  sharedDeflater(): Deflater {
    return unused();
  }

  takeDeflater(): Deflater {
    return unused();
  }

  takeInflater(): Inflater {
    return unused();
  }

  giveDeflater(): void {}
  giveInflater(): void {}
}

/** Messages are compressed in advance, and nobody keeps history. */
function unused(): never {
  throw new Error('The load keeps no DEFLATE context');
}
