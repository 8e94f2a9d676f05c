import { Escapes, escapesOf, unescaped } from './escapes.ts';
import {
  CLIENT_COMMANDS,
  hasBody,
  SERVER_COMMANDS,
  type StompCommand,
  StompError,
  StompFault,
  type StompFrame,
  StompHeaders,
  StompVersion,
} from './frame.ts';
import type { StompTextPort } from './text-port.ts';

/** Limits of what a peer may send. Crossing one is a StompError of the kind `limit`. */
export interface FrameLimits {
  /** Headers of a frame. */
  maxHeaders: number;
  /** Bytes of a header line without its end. */
  maxLineLength: number;
  /** Bytes of a body. */
  maxBodyLength: number;
  /** Bytes of a frame from its command to its NUL. */
  maxFrameLength: number;
}

export interface FrameHandler {
  /** A frame is whole. What the handler throws comes out of `read`. */
  onFrame(frame: StompFrame): void;
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
/** The longest command is UNSUBSCRIBE; a CR may follow. */
const MAX_COMMAND = 12;
/** Digits of the longest length that is a safe integer. */
const MAX_DIGITS = 15;

const Phase = {
  /** Between two frames: line ends only. */
  BETWEEN: 0,
  COMMAND: 1,
  HEADERS: 2,
  BODY: 3,
} as const;
type Phase = (typeof Phase)[keyof typeof Phase];

const NO_BYTES = new Uint8Array(0);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * FrameParser: reads the frames of STOMP 1.0, 1.1 and 1.2 out of bytes in any split (STOMP 1.2, "Augmented BNF"). It goes on
 * where it stopped, so no byte of a frame that comes in pieces is looked at twice. Over WebSocket the bounds of messages
 * mean nothing: a message may hold several frames, and a frame may take several messages.
 *
 * Line ends are LF, and CRLF in 1.2, in CONNECT and STOMP, and between two frames. After an error it must not be used.
 */
export class FrameParser {
  /** The version that was agreed on; null before CONNECTED. May be set in `onFrame`, and holds from the next frame on. */
  version: StompVersion | null = null;
  limits: FrameLimits;
  readonly #commands: readonly StompCommand[];
  readonly #port: StompTextPort;
  readonly #handler: FrameHandler;
  #phase: Phase = Phase.BETWEEN;
  /** The start of a frame that is not whole; its length. */
  #memory: Uint8Array = NO_BYTES;
  #held = 0;
  // Positions in the frame, from its first byte on.
  #at = 0;
  #line = 0;
  /** A byte of the line is not ASCII. */
  #isWide = false;
  /** The first CR in the line; -1: none. */
  #cr = -1;
  #body = 0;
  #command: StompCommand = 'SEND';
  #headers = new StompHeaders();
  /** -1: the body ends at its first NUL. */
  #length = -1;
  #isStopped = false;

  /** @param side whose frames are read: those of clients, or of a server */
  constructor(side: 'client' | 'server', limits: FrameLimits, port: StompTextPort, handler: FrameHandler) {
    this.#commands = side === 'client' ? CLIENT_COMMANDS : SERVER_COMMANDS;
    this.limits = limits;
    this.#port = port;
    this.#handler = handler;
  }

  /** Whether a frame has begun that is not whole. */
  get isInFrame(): boolean {
    return this.#phase !== Phase.BETWEEN;
  }

  /** `read` returns behind the frame whose handler calls this. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Reads what came. Returns how many of the bytes it took: all of them, unless the handler stopped it.
   *
   * @throws StompError the bytes are no STOMP, or cross a limit
   */
  read(chunk: Uint8Array): number {
    this.#isStopped = false;
    const held = this.#held;
    const bytes = held === 0 ? chunk : this.#joined(chunk);
    const end = held + chunk.length;
    let start = 0;
    while (!this.#isStopped) {
      if (this.#phase === Phase.BETWEEN) start = this.#skipLineEnds(bytes, start, end);
      const size = this.#phase === Phase.BETWEEN ? -1 : this.#readFrame(bytes, start, end);
      if (size < 0) {
        this.#keep(bytes, start, end);
        return chunk.length;
      }
      start += size;
    }
    this.#held = 0;
    this.#memory = NO_BYTES;
    return start - held;
  }

  /** The bytes so far with those that came. */
  #joined(chunk: Uint8Array): Uint8Array {
    const size = this.#held + chunk.length;
    if (size > this.#memory.length) {
      const larger = new Uint8Array(
        Math.max(size, Math.min(2 * this.#memory.length, this.limits.maxFrameLength), 256),
      );
      larger.set(this.#memory.subarray(0, this.#held));
      this.#memory = larger;
    }
    this.#memory.set(chunk, this.#held);
    return this.#memory;
  }

  /** Keeps the start of a frame until more comes. */
  #keep(bytes: Uint8Array, start: number, end: number): void {
    this.#held = end - start;
    if (this.#held === 0) this.#memory = NO_BYTES;
    // Not moved within a memory that a frame before it may have made large.
    else if (bytes !== this.#memory || start > 0) this.#memory = bytes.slice(start, end);
  }

  /** Reads one frame. Returns its size; -1 when it is not whole. */
  #readFrame(bytes: Uint8Array, start: number, end: number): number {
    if (this.#phase === Phase.COMMAND && !this.#readCommand(bytes, start, end)) return -1;
    while (this.#phase === Phase.HEADERS) if (!this.#readLine(bytes, start, end)) return -1;
    const bodyEnd = this.#length < 0 ? this.#findEnd(bytes, start, end) : this.#expectEnd(bytes, start, end);
    if (bodyEnd < 0) return -1;
    const from = start + this.#body;
    const body = bodyEnd === from ? NO_BYTES : bytes.subarray(from, bodyEnd);
    const frame: StompFrame = { command: this.#command, headers: this.#headers, body };
    this.#phase = Phase.BETWEEN;
    this.#headers = new StompHeaders();
    this.#handler.onFrame(frame);
    return bodyEnd + 1 - start;
  }

  /** Returns where a frame begins, or what may be half a line end. */
  #skipLineEnds(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === LF) continue;
      if (byte !== CR) {
        this.#phase = Phase.COMMAND;
        this.#at = 0;
        this.#line = 0;
        return at;
      }
      if (at + 1 === end) return at;
      if (bytes[at + 1] !== LF) throw this.#error(StompFault.COMMAND, 'a CR without LF between two frames');
    }
    return at;
  }

  #readCommand(bytes: Uint8Array, start: number, end: number): boolean {
    const line = start + this.#line;
    const limit = Math.min(end, line + MAX_COMMAND + 1);
    let at = start + this.#at;
    while (at < limit && bytes[at] !== LF) {
      // As behind a body with a NUL in it and no length: nothing else need come.
      if (bytes[at] === 0) throw this.#error(StompFault.COMMAND, 'unknown command');
      at++;
    }
    this.#at = at - start;
    if (at === limit) {
      if (at < line + MAX_COMMAND + 1) return false;
      throw this.#error(StompFault.COMMAND, 'unknown command');
    }
    const lineEnd = at > line && bytes[at - 1] === CR && this.#takesCrLf(null) ? at - 1 : at;
    const command = this.#commands.find((name) => isText(bytes, line, lineEnd, name));
    if (command === undefined) throw this.#error(StompFault.COMMAND, 'unknown command');
    this.#command = command;
    this.#length = -1;
    this.#phase = Phase.HEADERS;
    this.#nextLine();
    return true;
  }

  #nextLine(): void {
    this.#at++;
    this.#line = this.#at;
    this.#isWide = false;
    this.#cr = -1;
  }

  /** Reads a header, or the empty line behind them. Returns false when it is not whole. */
  #readLine(bytes: Uint8Array, start: number, end: number): boolean {
    const line = start + this.#line;
    let at = start + this.#at;
    let isWide = this.#isWide;
    let byte = LF;
    // A line may be followed by CRLF; what crosses a limit is found at the same byte in any split.
    const longest = Math.min(line + this.limits.maxLineLength + 2, start + this.limits.maxFrameLength);
    const limit = Math.min(end, longest);
    for (; at < limit; at++) {
      byte = bytes[at]!;
      if (byte === LF) break;
      if (byte === 0) throw this.#error(StompFault.HEADER, 'NUL in the headers');
      if (byte > 0x7f) isWide = true;
      else if (byte === CR && this.#cr < 0) this.#cr = at - start;
    }
    this.#isWide = isWide;
    this.#at = at - start;
    if (at === longest) throw this.#tooLongLine(line, at);
    if (at === end) return false;
    const lineEnd = at > line && bytes[at - 1] === CR && this.#takesCrLf(this.#command) ? at - 1 : at;
    if (lineEnd - line > this.limits.maxLineLength) throw this.#tooLongLine(line, lineEnd);
    if (this.#cr >= 0 && this.#cr < lineEnd - start && this.#takesCrLf(this.#command)) {
      throw this.#error(StompFault.HEADER, 'a CR in a header');
    }
    if (lineEnd === line) this.#endHeaders();
    else this.#takeHeader(bytes, line, lineEnd);
    this.#nextLine();
    if (this.#phase === Phase.BODY) {
      this.#body = this.#at;
      this.#limitFrame(this.#at + 1);
    }
    return true;
  }

  /** @param command null: it is not known yet */
  #takesCrLf(command: StompCommand | null): boolean {
    if (this.version === null || this.version === StompVersion.V1_2) return true;
    return command === 'CONNECT' || command === 'STOMP' || command === 'CONNECTED';
  }

  #takeHeader(bytes: Uint8Array, line: number, end: number): void {
    if (this.#headers.size === this.limits.maxHeaders) {
      throw this.#error(StompFault.LIMIT, `more than ${this.limits.maxHeaders} headers`);
    }
    let colon = line;
    while (colon < end && bytes[colon] !== COLON) colon++;
    if (colon === end) throw this.#error(StompFault.HEADER, 'a header without a colon');
    if (colon === line) throw this.#error(StompFault.HEADER, 'a header without a name');
    const escapes = this.#escapes();
    const name = unescaped(this.#text(bytes, line, colon), escapes);
    const value = unescaped(this.#text(bytes, colon + 1, end), escapes);
    if (name === null || value === null) {
      throw this.#error(StompFault.HEADER, 'an escape that is not defined in a header');
    }
    this.#headers.append(name, value);
  }

  /** CONNECT and CONNECTED are never escaped; STOMP is, before a version is agreed on (STOMP 1.2, "Value Encoding"). */
  #escapes(): Escapes {
    if (this.#command === 'CONNECT' || this.#command === 'CONNECTED') return Escapes.NONE;
    return this.version === null ? Escapes.V1_2 : escapesOf(this.version);
  }

  #text(bytes: Uint8Array, start: number, end: number): string {
    if (!this.#isWide) return this.#port.latin1(bytes, start, end);
    try {
      return utf8.decode(bytes.subarray(start, end));
    } catch {
      throw this.#error(StompFault.HEADER, 'a header that is not UTF-8');
    }
  }

  #endHeaders(): void {
    const headers = this.#headers;
    // Frames of 1.0 may pad what they say, and one that names no version is of 1.0.
    const isOld =
      this.version === StompVersion.V1_0 ||
      (this.version === null &&
        headers.get('accept-version') === undefined &&
        headers.get('version') === undefined);
    if (isOld) headers.trim();
    this.#phase = Phase.BODY;
    const length = headers.get('content-length');
    if (length === undefined) return;
    this.#length = lengthOf(length);
    if (this.#length < 0) throw this.#error(StompFault.LENGTH, 'content-length is not a number of bytes');
    if (this.#length > 0 && !this.#takesBody()) throw this.#noBody();
    if (this.#length > this.limits.maxBodyLength) throw this.#tooLong();
  }

  /** The position of the NUL behind as many bytes as `content-length` says; -1 when they are not all there. */
  #expectEnd(bytes: Uint8Array, start: number, end: number): number {
    const at = start + this.#body + this.#length;
    this.#limitFrame(at + 1 - start);
    if (at >= end) return -1;
    if (bytes[at] !== 0)
      throw this.#error(StompFault.LENGTH, 'no NUL behind as many bytes as content-length says');
    return at;
  }

  /** The position of the first NUL; -1 when there is none yet. */
  #findEnd(bytes: Uint8Array, start: number, end: number): number {
    const body = start + this.#body;
    const found = bytes.indexOf(0, start + this.#at);
    const at = found < 0 || found >= end ? end : found;
    if (at > body && !this.#takesBody()) throw this.#noBody();
    if (at - body > this.limits.maxBodyLength) throw this.#tooLong();
    this.#limitFrame(at + 1 - start);
    this.#at = at - start;
    return at === end ? -1 : at;
  }

  /** Frames of 1.0 may all have a body (STOMP 1.0, "Augmented BNF"; that of SUBSCRIBE is to be ignored). */
  #takesBody(): boolean {
    return hasBody(this.#command) || this.version === StompVersion.V1_0;
  }

  #tooLongLine(line: number, at: number): StompError {
    const { maxLineLength, maxFrameLength } = this.limits;
    const what =
      at - line > maxLineLength
        ? `a header line is longer than ${maxLineLength}`
        : `a frame is longer than ${maxFrameLength}`;
    return this.#error(StompFault.LIMIT, `${what} bytes`);
  }

  #limitFrame(size: number): void {
    if (size > this.limits.maxFrameLength) {
      throw this.#error(StompFault.LIMIT, `a frame is longer than ${this.limits.maxFrameLength} bytes`);
    }
  }

  #noBody(): StompError {
    return this.#error(StompFault.BODY, `${this.#command} has no body`);
  }

  #tooLong(): StompError {
    return this.#error(StompFault.LIMIT, `a body is longer than ${this.limits.maxBodyLength} bytes`);
  }

  #error(fault: StompFault, message: string): StompError {
    const isInHeaders = this.#phase === Phase.HEADERS || this.#phase === Phase.BODY;
    return new StompError(fault, message, isInHeaders ? this.#headers.get('receipt') : undefined);
  }
}

function isText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** A number of decimal digits and nothing else; -1 for anything else. */
function lengthOf(text: string): number {
  if (text.length === 0 || text.length > MAX_DIGITS) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
