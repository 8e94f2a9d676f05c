import { FIN, MAX_HEADER_LENGTH, writeMaskedHeader } from '../../../protocol/frame-header.ts';
import { applyMask } from '../../../protocol/mask.ts';

const MASK_KEY = 0x5a5a_a5a5;
const FIRST_SIZE = 64 * 1024;

/** MessageBatch: WebSocket messages that go out in one write. Each holds one frame of STOMP, as other clients send it. */
export class MessageBatch {
  bytes = Buffer.allocUnsafeSlow(FIRST_SIZE);
  readonly #firstByte: number;
  #words = new DataView(this.bytes.buffer);
  /** Of the message that is being written. */
  #start = 0;
  #end = 0;

  constructor(opcode: number) {
    this.#firstByte = FIN | opcode;
  }

  get length(): number {
    return this.#end;
  }

  /** Where `length` bytes of a message are to be written; {@link seal} follows. */
  reserve(length: number): number {
    if (this.#end + length + MAX_HEADER_LENGTH > this.bytes.length) this.#grow(length);
    this.#start = writeMaskedHeader(this.bytes, this.#end, this.#firstByte, length, MASK_KEY);
    this.#end = this.#start + length;
    return this.#start;
  }

  /** The message is written. */
  seal(): void {
    applyMask(this.bytes, this.#words, this.#start, this.#end - this.#start, MASK_KEY);
  }

  addText(text: string): void {
    const at = this.reserve(Buffer.byteLength(text));
    this.bytes.write(text, at);
    this.seal();
  }

  /** All of it, in memory of its own; the batch is empty. */
  take(): Uint8Array {
    const taken = Buffer.from(this.bytes.subarray(0, this.#end));
    this.#end = 0;
    return taken;
  }

  #grow(length: number): void {
    const { bytes } = this;
    this.bytes = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, this.#end + length + MAX_HEADER_LENGTH));
    bytes.copy(this.bytes, 0, 0, this.#end);
    this.#words = new DataView(this.bytes.buffer);
  }
}
