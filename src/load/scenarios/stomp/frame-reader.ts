import { ReceivedFrame } from './received-frame.ts';

/** Bytes of one frame that are taken. */
const MAX_FRAME = 64 * 1024 * 1024;
/** Bytes of a command and its headers that are taken. */
const MAX_HEAD = 64 * 1024;

const NUL = 0;
const LF = 10;
const CR = 13;
const COLON = 58;
const ZERO = 48;

const CONTENT_LENGTH = Buffer.from('content-length');

/** What servers send (STOMP 1.2, "Server Frames"). */
const COMMANDS = ['MESSAGE', 'RECEIPT', 'ERROR', 'CONNECTED'] as const;

/** What is found at a position that does not hold a whole frame. */
const INCOMPLETE = -1;
const BROKEN = -2;

/**
 * FrameReader: the frames of a STOMP server out of the messages of a WebSocket. A message may hold several of them, and a
 * frame may come in several messages; EOLs between them are heart-beats.
 *
 * The load client has a reader of its own: it shares no fault with the server that it measures.
 */
export class FrameReader {
  readonly #onFrame: (frame: ReceivedFrame) => void;
  readonly #frame = new ReceivedFrame();
  /** The start of a frame whose end has not come. */
  #rest: Buffer = NOTHING;
  #problem = '';

  /** @param onFrame the frame is valid until it returns */
  constructor(onFrame: (frame: ReceivedFrame) => void) {
    this.#onFrame = onFrame;
  }

  /** Reads bytes, which are free again afterwards. Returns what is wrong with them; '' for nothing. */
  push(bytes: Uint8Array, start: number, end: number): string {
    if (this.#problem !== '') return this.#problem;
    if (this.#rest.length === 0) return this.#read(bytes, start, end);
    const all = Buffer.concat([this.#rest, bytes.subarray(start, end)]);
    this.#rest = NOTHING;
    return this.#read(all, 0, all.length);
  }

  #read(bytes: Uint8Array, start: number, end: number): string {
    let at = start;
    for (;;) {
      at = skipEols(bytes, at, end);
      if (at === end) return '';
      const next = this.#readFrame(bytes, at, end);
      if (next === BROKEN) return this.#problem;
      if (next === INCOMPLETE) return this.#keep(bytes, at, end);
      this.#onFrame(this.#frame);
      at = next;
    }
  }

  #keep(bytes: Uint8Array, at: number, end: number): string {
    if (end - at > MAX_FRAME) this.#fail(`a frame is longer than ${MAX_FRAME} bytes`);
    else this.#rest = Buffer.from(bytes.subarray(at, end));
    return this.#problem;
  }

  /** Returns where the frame ends, or why there is none. */
  #readFrame(bytes: Uint8Array, start: number, end: number): number {
    const frame = this.#frame;
    let at = lineEnd(bytes, start, end);
    if (at === INCOMPLETE) return this.#short(end - start);
    const command = commandOf(bytes, start, withoutCr(bytes, start, at));
    if (command === '') return this.#fail('a frame begins with no command of a server');
    frame.reset(bytes, command);
    for (;;) {
      const from = at + 1;
      at = lineEnd(bytes, from, end);
      if (at === INCOMPLETE) return this.#short(end - start);
      const to = withoutCr(bytes, from, at);
      if (to === from) return this.#readBody(bytes, at + 1, end);
      const colon = colonIn(bytes, from, to);
      if (colon < 0) return this.#fail('a header has no colon');
      frame.addHeader(from, colon, to);
    }
  }

  #readBody(bytes: Uint8Array, start: number, end: number): number {
    const frame = this.#frame;
    const header = frame.find(CONTENT_LENGTH);
    let bodyEnd: number;
    if (header < 0) {
      bodyEnd = bytes.indexOf(NUL, start);
      if (bodyEnd < 0 || bodyEnd >= end) return INCOMPLETE;
    } else {
      const length = digitsIn(bytes, frame.valueStart(header), frame.valueEnd(header));
      if (length < 0) return this.#fail('content-length is no number');
      bodyEnd = start + length;
      if (bodyEnd >= end) return INCOMPLETE;
      if (bytes[bodyEnd] !== NUL) return this.#fail('no NUL follows the body of content-length');
    }
    frame.bodyStart = start;
    frame.bodyEnd = bodyEnd;
    return bodyEnd + 1;
  }

  /** The head of a frame has not come to its end. */
  #short(length: number): number {
    return length > MAX_HEAD ? this.#fail(`the headers of a frame exceed ${MAX_HEAD} bytes`) : INCOMPLETE;
  }

  #fail(problem: string): number {
    this.#problem = problem;
    return BROKEN;
  }
}

const NOTHING = Buffer.alloc(0);

function skipEols(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === LF || (bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF))) at++;
  return at;
}

/** Where the next LF is. */
function lineEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === LF) return i;
  return INCOMPLETE;
}

/** 1.2 allows a CR before the LF. */
function withoutCr(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[end - 1] === CR ? end - 1 : end;
}

function colonIn(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === COLON) return i;
  return -1;
}

function commandOf(bytes: Uint8Array, start: number, end: number): string {
  for (const command of COMMANDS) {
    if (command.length !== end - start) continue;
    let i = 0;
    while (i < command.length && bytes[start + i] === command.charCodeAt(i)) i++;
    if (i === command.length) return command;
  }
  return '';
}

/** -1 when it is no number, or larger than any frame. */
function digitsIn(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
    if (value > MAX_FRAME) return -1;
  }
  return start === end ? -1 : value;
}
