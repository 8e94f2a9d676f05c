import { invalidArgument } from '../errors.ts';
import { CHUNKED } from '../http/response-writer.ts';
import { writeLatin1 } from '../net/native-ports.ts';
import type { Transport } from '../net/transport.ts';
import { tryWriteBytes, writeBytes, writeText } from '../net/write-bytes.ts';

/** Bytes one `tryWrite` takes at most, so that the other connections get their turn. */
const MAX_TRY = 4 * 1024 * 1024;

/**
 * BodyStream: the body of a response that is sent in parts, behind its head: as it is when its length was announced, or
 * when it ends with the connection, else in chunks (RFC 9112 §7.1).
 */
export class BodyStream {
  /** Bytes that were taken so far. */
  offset = 0;
  /** Bytes that were announced; or CHUNKED, or UNTIL_CLOSE. */
  readonly total: number;
  /** The head said that the connection ends behind the response. */
  readonly saidClose: boolean;
  readonly #transport: Transport;
  /** No bytes of a body are sent: HEAD, 204, 304. */
  readonly #isBodiless: boolean;

  constructor(transport: Transport, total: number, isBodiless: boolean, saidClose: boolean) {
    this.#transport = transport;
    this.total = total;
    this.#isBodiless = isBodiless;
    this.saidClose = saidClose;
  }

  get isChunked(): boolean {
    return this.total === CHUNKED;
  }

  /** The length of the body was announced. */
  get hasTotal(): boolean {
    return this.total >= 0;
  }

  /** Nothing is to follow. */
  get isComplete(): boolean {
    return this.offset === this.total || this.#isBodiless;
  }

  /** @param length bytes of the chunk, more than 0 */
  write(chunk: string | Uint8Array, length: number): void {
    const { isChunked } = this;
    if (this.hasTotal) this.#assertFits(length);
    if (!this.#isBodiless) {
      const transport = this.#transport;
      if (isChunked) writeLatin1(transport, `${length.toString(16)}\r\n`);
      if (typeof chunk === 'string') writeText(transport, chunk, length);
      else writeBytes(transport, chunk);
      if (isChunked) writeLatin1(transport, '\r\n');
    }
    this.offset += length;
  }

  /** Sends as much as the kernel takes now, and queues nothing. Returns how much that was. */
  tryWrite(bytes: Uint8Array): number {
    this.#assertFits(bytes.length);
    const taken = this.#isBodiless ? bytes.length : this.#send(bytes);
    this.offset += taken;
    return taken;
  }

  /**
   * Sends the last part.
   *
   * @param length its bytes
   */
  end(chunk: string | Uint8Array, length: number): void {
    if (this.hasTotal && this.offset + length !== this.total) {
      throw invalidArgument(
        `res.end: ${this.offset + length} bytes of a body were written, and ${this.total} were announced`,
      );
    }
    if (length > 0) this.write(chunk, length);
    if (this.isChunked && !this.#isBodiless) writeLatin1(this.#transport, '0\r\n\r\n');
  }

  #send(bytes: Uint8Array): number {
    const transport = this.#transport;
    const previous = transport.io.corked;
    transport.beginCork();
    const taken = tryWriteBytes(transport, bytes, MAX_TRY);
    transport.endCork(previous);
    if (taken < bytes.length && !transport.blocked) transport.io.wantWritable(transport);
    return taken;
  }

  #assertFits(length: number): void {
    if (this.offset + length <= this.total) return;
    throw invalidArgument(
      `res.write: ${this.offset + length} bytes are more than the ${this.total} of the body that were announced`,
    );
  }
}
