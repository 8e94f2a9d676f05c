import {
  ASCII_VALUE,
  ASTERISK,
  COLON,
  CR,
  FIELD_VALUE,
  HTAB,
  isDigit,
  LF,
  QUESTION_MARK,
  SLASH,
  SP,
  TARGET,
  TOKEN,
} from './characters.ts';
import { isHost, trimEnd } from './field-value.ts';
import { checkHead, takeField } from './framing-fields.ts';
import { HeadMemo } from './head-memo.ts';
import { type Latin1Port, lowerCase, StringCache } from './latin1.ts';
import { RequestHead } from './request-head.ts';

/** What `feed()` returns, if it is not the HTTP status (400 or higher) to answer a bad head with. */
export const ParseStatus = {
  /** The bytes so far are the beginning of a valid head. */
  INCOMPLETE: 0,
  /** `head` is filled in. */
  COMPLETE: 1,
} as const;

export interface RequestParserOptions {
  /** Bytes of a whole head, an empty line before it included. Default 4096. More is answered 431, or 414 within the target. */
  maxHeadSize?: number;
  /** Bytes of the request target. Default: `maxHeadSize`. More is answered 414. */
  maxTargetSize?: number;
  /** Header lines. Default 100. More is answered 431. */
  maxHeaders?: number;
  /** How bytes become strings. Default: plain JavaScript. Not used when `strings` is given. */
  latin1?: Latin1Port;
  /** The cache of strings to share with the other parsers of the thread. Default: one of its own. */
  strings?: StringCache;
}

/** Bytes of a method; longer ones are answered 400. */
export const MAX_METHOD_SIZE = 32;

const State = {
  START: 0,
  EMPTY_LINE_LF: 1,
  METHOD: 2,
  TARGET_START: 3,
  SCHEME: 4,
  TARGET: 5,
  VERSION: 6,
  REQUEST_LINE_CR: 7,
  REQUEST_LINE_LF: 8,
  LINE_START: 9,
  NAME: 10,
  VALUE_START: 11,
  VALUE: 12,
  VALUE_LF: 13,
  END_LF: 14,
  COMPLETE: 15,
  FAILED: 16,
} as const;
type State = (typeof State)[keyof typeof State];

const VERSION = 'HTTP/1.1';
const VERSION_MAJOR = 5;
const VERSION_MINOR = 7;
const FIRST_COPY = 1024;

/**
 * Reads request heads (RFC 9112 §2 to §3, RFC 9110 §5), strictly: what two servers could read in two ways is
 * refused. It is incremental and linear: every byte is looked at once however the head was cut, and a head
 * that arrives in one chunk is not copied. After a complete head, `reset()` makes it ready for the next one.
 *
 * Refused with 400: line ends other than CRLF, folded lines, space around a name, controls in a value, a target
 * that is neither a path, an absolute http(s) URL whose authority equals Host, nor `*` for OPTIONS, anything but
 * exactly one valid Host (HTTP/1.0 may have none), a Content-Length that is repeated or not a plain number, Content-Length
 * beside Transfer-Encoding, and Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1). 417: an Expect other than `100-continue`.
 * 501: a Transfer-Encoding other than `chunked`. 505: another major version; a minor one above 1 is read as 1.1
 * (RFC 9110 §2.5).
 */
export class RequestParser {
  /** The head; valid when `feed()` returned COMPLETE and until `reset()`. */
  head: RequestHead;
  /** Where in the chunk of the last `feed()` the head ended: a body, the next request or frames follow there. */
  consumed = 0;
  /** Why the head was refused, in English, for logs; '' if it was not. */
  reason = '';

  readonly #maxHeadSize: number;
  readonly #maxTargetSize: number;
  readonly #maxHeaders: number;
  readonly #strings: StringCache;
  #state: State = State.START;
  #status = 0;
  /** Bytes of this head taken in by earlier calls; they are in `#copy`. */
  #length = 0;
  #copy: Uint8Array | undefined;
  /** Where the current token started, relative to the head's base. */
  #tokenAt = 0;
  #headStartAt = 0;
  readonly #memo = new HeadMemo();
  /** What is read into; `head` is this one, or the one that is remembered. */
  #fresh: RequestHead;

  constructor(options: RequestParserOptions = {}) {
    this.#maxHeadSize = options.maxHeadSize ?? 4096;
    this.#maxTargetSize = options.maxTargetSize ?? this.#maxHeadSize;
    this.#maxHeaders = options.maxHeaders ?? 100;
    this.#strings = options.strings ?? new StringCache(options.latin1);
    this.head = new RequestHead(this.#strings);
    this.#fresh = this.head;
  }

  /** Whether bytes of an unfinished head are held. */
  get pending(): boolean {
    return this.#state !== State.START && this.#state < State.COMPLETE;
  }

  /** Forgets the head, so that the next one can be read, of this connection or of another. */
  reset(): void {
    if (this.head === this.#fresh) {
      this.head.reset();
    } else {
      this.head.release();
      this.head = this.#fresh;
    }
    this.consumed = 0;
    this.reason = '';
    this.#state = State.START;
    this.#status = 0;
    this.#length = 0;
  }

  /**
   * Takes in `chunk[start, end)`. Returns `ParseStatus.INCOMPLETE`, `ParseStatus.COMPLETE`, or the status to answer
   * before closing the connection. The chunk may be overwritten after the call, unless the head is complete:
   * then `head` may point into it. After COMPLETE or a failure it must be `reset()` before it is fed again.
   */
  feed(chunk: Uint8Array, start: number, end: number): number {
    this.consumed = start;
    if (this.#state >= State.COMPLETE) return this.#result();
    const before = this.#length;
    if (this.#state === State.START && this.#recall(chunk, start, end)) return ParseStatus.COMPLETE;
    const size = Math.min(end - start, this.#maxHeadSize - before);
    const bytes = before === 0 ? chunk : this.#keep(chunk, start, size);
    const base = before === 0 ? start : 0;
    this.head.bytes = bytes;
    this.head.base = base;
    const position = this.#scan(bytes, base + before, base + before + size);
    if (this.#state >= State.COMPLETE) {
      this.consumed = start + (position - base - before);
      if (before === 0 && this.#state === State.COMPLETE && this.#headStartAt === 0) this.#remember();
      return this.#result();
    }
    if (before + size >= this.#maxHeadSize) {
      this.#tooLong();
      return this.#status;
    }
    if (before === 0) this.#keep(chunk, start, size);
    this.#length = before + size;
    this.consumed = end;
    return ParseStatus.INCOMPLETE;
  }

  /** Whether the chunk starts with the head that is remembered, which is then the one that was read. */
  #recall(chunk: Uint8Array, start: number, end: number): boolean {
    const size = this.#memo.match(chunk, start, end);
    if (size === 0) return false;
    this.head = this.#memo.head!;
    this.head.lieIn(chunk, start, size);
    this.#state = State.COMPLETE;
    this.consumed = start + size;
    return true;
  }

  #remember(): void {
    const known = this.#memo.head;
    if (!this.#memo.keep(this.head)) return;
    this.#fresh = known ?? new RequestHead(this.#strings);
    this.#fresh.reset();
  }

  #result(): number {
    return this.#state === State.COMPLETE ? ParseStatus.COMPLETE : this.#status;
  }

  #tooLong(): void {
    const inTarget = this.#state >= State.TARGET_START && this.#state <= State.TARGET;
    if (inTarget) this.#fail(0, 414, 'the request target is too long');
    else this.#fail(0, 431, 'the request head is too long');
  }

  /** Appends to the parser's own copy, which doubles as needed. */
  #keep(chunk: Uint8Array, start: number, size: number): Uint8Array {
    const needed = this.#length + size;
    let copy = this.#copy;
    if (copy === undefined || copy.length < needed) {
      let capacity = copy === undefined ? FIRST_COPY : copy.length;
      while (capacity < needed) capacity *= 2;
      const larger = new Uint8Array(Math.min(capacity, this.#maxHeadSize));
      if (copy !== undefined) larger.set(copy.subarray(0, this.#length));
      copy = larger;
      this.#copy = copy;
    }
    copy.set(chunk.subarray(start, start + size), this.#length);
    return copy;
  }

  /** Ends the parse; returns `position`, so that a state can leave with `return this.#fail(…)`. */
  #fail(position: number, status: number, reason: string): number {
    this.#state = State.FAILED;
    this.#status = status;
    this.reason = reason;
    return position;
  }

  /** Every state takes bytes up to the last one that is its own, and returns the position behind it. */
  #scan(bytes: Uint8Array, from: number, to: number): number {
    let i = from;
    if (this.#state === State.START && i < to) i = this.#start(bytes, i);
    if (this.#state === State.EMPTY_LINE_LF && i < to) i = this.#emptyLineEnd(bytes, i);
    if (this.#state === State.METHOD) i = this.#method(bytes, i, to);
    if (this.#state === State.TARGET_START && i < to) i = this.#targetStart(bytes, i);
    if (this.#state === State.SCHEME) i = this.#scheme(bytes, i, to);
    if (this.#state === State.TARGET) i = this.#target(bytes, i, to);
    if (this.#state === State.VERSION) i = this.#version(bytes, i, to);
    if (this.#state === State.REQUEST_LINE_CR && i < to)
      i = this.#expect(bytes, i, CR, State.REQUEST_LINE_LF);
    if (this.#state === State.REQUEST_LINE_LF && i < to) i = this.#expect(bytes, i, LF, State.LINE_START);
    if (this.#state >= State.LINE_START && this.#state <= State.END_LF) i = this.#fieldLines(bytes, i, to);
    return i;
  }

  #expect(bytes: Uint8Array, i: number, byte: number, next: State): number {
    if (bytes[i] !== byte) return this.#fail(i, 400, 'a line does not end in CRLF');
    this.#state = next;
    return i + 1;
  }

  /** One empty line before the request line is let pass (RFC 9112 §2.2). */
  #start(bytes: Uint8Array, i: number): number {
    if (bytes[i] === CR) {
      this.#state = State.EMPTY_LINE_LF;
      return i + 1;
    }
    this.#beginMethod(i);
    return i;
  }

  #emptyLineEnd(bytes: Uint8Array, i: number): number {
    const next = this.#expect(bytes, i, LF, State.METHOD);
    if (this.#state === State.METHOD) this.#beginMethod(next);
    return next;
  }

  #beginMethod(i: number): void {
    this.#state = State.METHOD;
    this.#headStartAt = i - this.head.base;
    this.#tokenAt = this.#headStartAt;
  }

  #method(bytes: Uint8Array, from: number, to: number): number {
    const start = this.head.base + this.#tokenAt;
    let i = from;
    while (i < to && TOKEN[bytes[i]!] === 1) i++;
    if (i - start > MAX_METHOD_SIZE) return this.#fail(i, 400, 'the method is too long');
    if (i === to) return i;
    if (bytes[i] !== SP || i === start) return this.#fail(i, 400, 'the method is not a token');
    this.head.method = this.#strings.get(bytes, start, i);
    this.#state = State.TARGET_START;
    return i + 1;
  }

  #targetStart(bytes: Uint8Array, i: number): number {
    const byte = bytes[i]!;
    const head = this.head;
    head.targetAt = i - head.base;
    head.pathAt = head.targetAt;
    this.#tokenAt = head.targetAt;
    if (byte === SLASH || (byte === ASTERISK && head.method === 'OPTIONS')) {
      this.#state = State.TARGET;
      return i;
    }
    if (lowerCase(byte) === 0x68 && head.method !== 'CONNECT') {
      this.#state = State.SCHEME;
      return i;
    }
    return this.#fail(i, 400, 'the request target is not a path or an absolute URL');
  }

  /** `http://` or `https://`, in any case. */
  #scheme(bytes: Uint8Array, from: number, to: number): number {
    const start = this.head.base + this.#tokenAt;
    for (let i = from; i < to; i++) {
      const secure = i - start > 4 && lowerCase(bytes[start + 4]!) === 0x73;
      const expected = secure ? 'https://' : 'http://';
      const byte = lowerCase(bytes[i]!);
      const fits = byte === expected.charCodeAt(i - start) || (i - start === 4 && byte === 0x73);
      if (!fits) return this.#fail(i, 400, 'the request target is not a path or an absolute URL');
      if (i - start === expected.length - 1) {
        this.#state = State.TARGET;
        this.head.authorityAt = i + 1 - this.head.base;
        return i + 1;
      }
    }
    return to;
  }

  #target(bytes: Uint8Array, from: number, to: number): number {
    const head = this.head;
    const start = head.base + this.#tokenAt;
    let i = from;
    for (;;) {
      while (i < to && TARGET[bytes[i]!] === 1) i++;
      if (i === to) break;
      // Beyond ASCII all bytes pass, as they do in uWebSockets.js: people paste paths as they read them.
      if (bytes[i]! > 0x7f) head.isAscii = false;
      else if (bytes[i] !== QUESTION_MARK) break;
      else if (head.queryAt < 0) head.queryAt = i - head.base;
      i++;
    }
    if (i - start > this.#maxTargetSize) return this.#fail(i, 414, 'the request target is too long');
    if (i === to) return i;
    if (bytes[i] !== SP) return this.#fail(i, 400, 'a byte is not allowed in the request target');
    head.targetEndAt = i - head.base;
    if (head.authorityAt >= 0) this.#authority(bytes, i);
    else if (bytes[start] === ASTERISK && i - start > 1)
      this.#fail(i, 400, 'the request target is not a path');
    if (this.#state === State.FAILED) return i;
    this.#tokenAt = i + 1 - head.base;
    this.#state = State.VERSION;
    return i + 1;
  }

  /** Finds where the authority of an absolute-form target ends and the path starts. */
  #authority(bytes: Uint8Array, end: number): void {
    const start = this.head.base + this.head.authorityAt;
    let i = start;
    while (i < end && bytes[i] !== SLASH && bytes[i] !== QUESTION_MARK) i++;
    if (!isHost(bytes, start, i)) this.#fail(i, 400, 'the authority of the request target is invalid');
    this.head.pathAt = i - this.head.base;
  }

  #version(bytes: Uint8Array, from: number, to: number): number {
    const start = this.head.base + this.#tokenAt;
    const end = start + VERSION.length;
    let i = from;
    for (; i < to && i < end; i++) {
      const at = i - start;
      const digit = at === VERSION_MAJOR || at === VERSION_MINOR;
      const fits = digit ? isDigit(bytes[i]!) : bytes[i] === VERSION.charCodeAt(at);
      if (!fits) return this.#fail(i, 400, 'the request line has no valid HTTP version');
    }
    if (i < end) return i;
    if (bytes[start + VERSION_MAJOR] !== 0x31) return this.#fail(i, 505, 'only HTTP/1.x is spoken here');
    if (bytes[start + VERSION_MINOR] === 0x30) {
      this.head.minorVersion = 0;
      this.head.keepAlive = false;
    }
    this.#state = State.REQUEST_LINE_CR;
    return i;
  }

  /** The header lines and the empty line behind them: the hot loop. */
  #fieldLines(bytes: Uint8Array, from: number, to: number): number {
    const head = this.head;
    const base = head.base;
    // An imported name is loaded anew at every use; a local is not.
    const tokens = TOKEN;
    const ascii = ASCII_VALUE;
    let state: State = this.#state;
    let i = from;
    while (i < to) {
      const line = head.size * 4;
      if (state === State.LINE_START) {
        if (bytes[i] === CR) {
          state = State.END_LF;
          i++;
          continue;
        }
        if (head.size === this.#maxHeaders) return this.#fail(i, 431, 'there are too many header lines');
        if (line === head.fields.length) head.grow();
        head.fields[line] = i - base;
        state = State.NAME;
      }
      if (state === State.NAME) {
        while (i < to && tokens[bytes[i]!] === 1) i++;
        if (i === to) break;
        if (bytes[i] !== COLON || i - base === head.fields[line]) {
          return this.#fail(i, 400, 'a header name is not a token, or a line is folded');
        }
        head.fields[line + 1] = i - base;
        i++;
        state = State.VALUE_START;
      }
      if (state === State.VALUE_START) {
        while (i < to && (bytes[i] === SP || bytes[i] === HTAB)) i++;
        if (i === to) break;
        head.fields[line + 2] = i - base;
        state = State.VALUE;
      }
      if (state === State.VALUE) {
        while (i < to && ascii[bytes[i]!] === 1) i++;
        if (i === to) break;
        if (bytes[i]! > 0x7f) {
          head.isAscii = false;
          i = endOfText(bytes, i, to);
          if (i === to) break;
        }
        if (bytes[i] !== CR) return this.#fail(i, 400, 'a byte is not allowed in a header value');
        head.fields[line + 3] = trimEnd(bytes, base + head.fields[line + 2]!, i) - base;
        i++;
        state = State.VALUE_LF;
        if (i === to) break;
      }
      if (bytes[i] !== LF) return this.#fail(i, 400, 'a line does not end in CRLF');
      i++;
      if (state === State.END_LF) return this.#end(i);
      const refusal = takeField(head, head.size++);
      if (refusal !== undefined) return this.#fail(i, refusal.status, refusal.reason);
      state = State.LINE_START;
    }
    this.#state = state;
    return i;
  }

  #end(i: number): number {
    const head = this.head;
    const refusal = checkHead(head);
    if (refusal !== undefined) return this.#fail(i, refusal.status, refusal.reason);
    head.headStart = head.base + this.#headStartAt;
    head.headEnd = i;
    this.#state = State.COMPLETE;
    return i;
  }
}

/** Where a text that goes beyond ASCII ends. */
function endOfText(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && FIELD_VALUE[bytes[i]!] === 1) i++;
  return i;
}
