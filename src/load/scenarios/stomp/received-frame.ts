/**
 * A frame from a STOMP server as it lies in memory: valid while it is being handled. Names and values of headers are not
 * decoded unless somebody asks for the text: the load looks at a few bytes of most frames.
 */
export class ReceivedFrame {
  bytes: Uint8Array = NO_BYTES;
  command = '';
  bodyStart = 0;
  bodyEnd = 0;
  /** Headers, the first one of a name counts (STOMP 1.2, "Repeated Header Entries"). */
  count = 0;
  /** For each header: where its name begins and ends, and where its value ends; the value begins behind the colon. */
  readonly #places: number[] = [];

  /** Begins a frame. */
  reset(bytes: Uint8Array, command: string): void {
    this.bytes = bytes;
    this.command = command;
    this.count = 0;
  }

  addHeader(start: number, colon: number, end: number): void {
    const at = this.count++ * 3;
    this.#places[at] = start;
    this.#places[at + 1] = colon;
    this.#places[at + 2] = end;
  }

  /** Which header has the name; -1 for none. */
  find(name: Uint8Array): number {
    for (let i = 0; i < this.count; i++) {
      const start = this.#places[i * 3]!;
      if (this.#places[i * 3 + 1]! - start === name.length && isAt(this.bytes, start, name)) return i;
    }
    return -1;
  }

  /** Where the value of a header begins. */
  valueStart(header: number): number {
    return this.#places[header * 3 + 1]! + 1;
  }

  valueEnd(header: number): number {
    return this.#places[header * 3 + 2]!;
  }

  /** Whether there is such a header and its value is this. */
  has(name: Uint8Array, value: Uint8Array): boolean {
    const header = this.find(name);
    if (header < 0) return false;
    const start = this.valueStart(header);
    return this.valueEnd(header) - start === value.length && isAt(this.bytes, start, value);
  }

  /** The value as it was sent, escapes included; '' where there is none. */
  text(name: Uint8Array): string {
    const header = this.find(name);
    return header < 0 ? '' : textOf(this.bytes, this.valueStart(header), this.valueEnd(header));
  }

  body(): string {
    return textOf(this.bytes, this.bodyStart, this.bodyEnd);
  }
}

const NO_BYTES = new Uint8Array(0);

function isAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
  return true;
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
}
