import { Buffer } from 'node:buffer';

const FIRST_SIZE = 1024;
/** What has grown beyond it is given back when it is empty again. */
const KEPT_SIZE = 256 * 1024;

/** RecordBuffer: bytes of a record that is being written; numbers are little-endian. The memory is used again. */
export class RecordBuffer {
  #bytes = Buffer.allocUnsafe(FIRST_SIZE);
  length = 0;

  /** What was written; valid until the next write. */
  get view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
    if (this.#bytes.length > KEPT_SIZE) this.#bytes = Buffer.allocUnsafe(FIRST_SIZE);
  }

  uint8(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  uint32(value: number): void {
    const at = this.#take(4);
    this.#bytes.writeUInt32LE(value, at);
  }

  float64(value: number): void {
    const at = this.#take(8);
    this.#bytes.writeDoubleLE(value, at);
  }

  /** With its length before it. */
  bytes(value: Uint8Array): void {
    const at = this.#take(4 + value.length);
    this.#bytes.writeUInt32LE(value.length, at);
    this.#bytes.set(value, at + 4);
  }

  /** With its length before it. */
  text(value: string): void {
    const length = Buffer.byteLength(value);
    const at = this.#take(4 + length);
    this.#bytes.writeUInt32LE(length, at);
    this.#bytes.write(value, at + 4);
  }

  /** Writes over what is there. */
  setUint32(at: number, value: number): void {
    this.#bytes.writeUInt32LE(value, at);
  }

  #take(length: number): number {
    const at = this.length;
    this.length += length;
    if (this.length > this.#bytes.length) {
      const bytes = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.length));
      bytes.set(this.#bytes.subarray(0, at));
      this.#bytes = bytes;
    }
    return at;
  }
}

/** RecordReader: reads what a RecordBuffer has written. It throws a RangeError behind the end. */
export class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  uint8(): number {
    this.#at += 1;
    return this.#bytes.readUInt8(this.#at - 1);
  }

  uint32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  float64(): number {
    this.#at += 8;
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  /** A view of them. */
  bytes(): Uint8Array {
    const length = this.uint32();
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new RangeError('a record ends too early');
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Memory that nobody else has. */
  copy(): Uint8Array {
    return new Uint8Array(this.bytes());
  }

  text(): string {
    const length = this.uint32();
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new RangeError('a record ends too early');
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }
}
