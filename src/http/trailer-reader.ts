import { COLON, CR, FIELD_VALUE, LF, TOKEN } from './characters.ts';
import { equals, lowerCase } from './latin1.ts';

/**
 * Fields that must not come behind a body (RFC 9110 §6.5.1): they frame, route, authenticate or describe the message,
 * and a peer behind or before us that merges trailers into the head would obey them.
 */
const FORBIDDEN: readonly string[] = [
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'max-forwards',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

const MAX_FORBIDDEN_SIZE = Math.max(...FORBIDDEN.map((name) => name.length));

const State = { LINE_START: 0, NAME: 1, VALUE: 2, VALUE_LF: 3, END_LF: 4, COMPLETE: 5 } as const;
type State = (typeof State)[keyof typeof State];

/** Reads the trailer section behind a chunked body (RFC 9112 §7.1.2) up to its empty line, checks and forgets it. */
export class TrailerReader {
  /** 0, or the status to answer. */
  status = 0;
  /** Why the trailers were refused. */
  reason = '';

  readonly #maxSize: number;
  readonly #name = new Uint8Array(MAX_FORBIDDEN_SIZE);
  #nameSize = 0;
  #size = 0;
  #state: State = State.LINE_START;

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  get isComplete(): boolean {
    return this.#state === State.COMPLETE;
  }

  reset(): void {
    this.status = 0;
    this.reason = '';
    this.#nameSize = 0;
    this.#size = 0;
    this.#state = State.LINE_START;
  }

  /** Returns the position behind the section, of the byte that is refused, or `to`. */
  read(bytes: Uint8Array, from: number, to: number): number {
    for (let i = from; i < to; i++) {
      this.#byte(bytes[i]!);
      if (this.status !== 0) return i;
      if (this.#state === State.COMPLETE) return i + 1;
    }
    return to;
  }

  #byte(byte: number): void {
    switch (this.#state) {
      case State.LINE_START:
        if (byte === CR) this.#state = State.END_LF;
        else this.#nameByte(byte);
        break;
      case State.NAME:
        this.#nameByte(byte);
        break;
      case State.VALUE:
        if (byte === CR) this.#state = State.VALUE_LF;
        else if (FIELD_VALUE[byte] !== 1) this.#fail(400, 'a byte is not allowed in a trailer');
        else this.#count();
        break;
      case State.VALUE_LF:
      case State.END_LF:
        if (byte !== LF) this.#fail(400, 'a line of the trailers does not end in CRLF');
        else if (this.#state === State.END_LF) this.#state = State.COMPLETE;
        else this.#beginLine();
        break;
      case State.COMPLETE:
    }
  }

  #beginLine(): void {
    this.#state = State.LINE_START;
    this.#nameSize = 0;
  }

  #nameByte(byte: number): void {
    if (byte === COLON && this.#nameSize > 0) {
      this.#state = State.VALUE;
      if (this.#isForbidden()) this.#fail(400, 'a field is not allowed in the trailers');
    } else if (TOKEN[byte] === 1) {
      this.#state = State.NAME;
      if (this.#nameSize < MAX_FORBIDDEN_SIZE) this.#name[this.#nameSize] = lowerCase(byte);
      this.#nameSize++;
    } else {
      this.#fail(400, 'the name of a trailer is not a token, or a line is folded');
    }
    if (this.status === 0) this.#count();
  }

  #isForbidden(): boolean {
    return FORBIDDEN.some((name) => name.length === this.#nameSize && equals(this.#name, 0, name));
  }

  /** Line ends are not counted; there are no more of them than names. */
  #count(): void {
    if (++this.#size > this.#maxSize) this.#fail(431, 'the trailers are too long');
  }

  #fail(status: number, reason: string): void {
    this.status = status;
    this.reason = reason;
  }
}
