import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TOKEN } from './characters.ts';
import { trimEnd } from './field-value.ts';
import { latin1Decoder } from './latin1.ts';
import { type Parameters, parseParameters } from './parameters.ts';

/** A part of a form: a field or a file. */
export interface MultipartField {
  /** The bytes of the part, in memory of their own. */
  data: ArrayBuffer;
  /**
   * The name of the field. As in uWebSockets.js it is absent, against this type, when the part has no
   * Content-Disposition, or one without it.
   */
  name: string;
  /** The Content-Type of the part, when it has one. */
  type?: string;
  /** The name of the file on the sender's side, when it is a file: never to be used as a path as it is. */
  filename?: string;
}

/** Header lines of a part. */
export const MAX_PART_HEADERS = 10;
/** Bytes of the header lines of a part, with their CRLF. */
export const MAX_PART_HEAD_SIZE = 8192;
/** Parts of a body. */
export const MAX_PARTS = 1000;

const MAX_BOUNDARY = 70;
const DASH = 0x2d;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * The parts of a `multipart/form-data` body (RFC 7578, RFC 2046 §5.1), or undefined: when the content type is another or
 * has no valid boundary, when the body is not well formed or not complete, and when it is over a limit. Text before the
 * first boundary and behind the last is ignored. It is linear in the size of the body.
 *
 * @param contentType the value of the request's Content-Type header
 */
export function parseMultipart(body: Uint8Array, contentType: string): MultipartField[] | undefined {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) return undefined;
  const delimiters = new Delimiters(body, boundary);
  const fields: MultipartField[] = [];
  if (!delimiters.next(0)) return undefined;
  while (!delimiters.isLast) {
    if (fields.length === MAX_PARTS) return undefined;
    const head = readPartHead(body, delimiters.end);
    if (head === undefined || !delimiters.next(head.emptyLine)) return undefined;
    // A part without data may share its empty line with the delimiter.
    const start = Math.min(head.emptyLine + 2, delimiters.start);
    fields.push(fieldOf(head, new Uint8Array(body.subarray(start, delimiters.start)).buffer));
  }
  return fields;
}

function fieldOf(head: PartHead, data: ArrayBuffer): MultipartField {
  const field: Partial<MultipartField> = { data };
  if (head.name !== undefined) field.name = head.name;
  if (head.type !== undefined) field.type = head.type;
  if (head.filename !== undefined) field.filename = head.filename;
  return field as MultipartField;
}

/** The boundary of the content type (RFC 2046 §5.1.1). */
function boundaryOf(contentType: string): string | undefined {
  const semicolon = contentType.indexOf(';');
  if (semicolon < 0) return undefined;
  if (contentType.slice(0, semicolon).trim().toLowerCase() !== 'multipart/form-data') return undefined;
  const boundary = parseParameters(contentType, semicolon)?.get('boundary');
  return boundary !== undefined && isBoundary(boundary) ? boundary : undefined;
}

function isBoundary(text: string): boolean {
  if (text.length === 0 || text.length > MAX_BOUNDARY || text.endsWith(' ')) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const isAllowed = code < 128 && (TOKEN[code] === 1 || '(),/:=? '.includes(text[i]!));
    if (!isAllowed) return false;
  }
  return true;
}

/** Finds the delimiters of a body one after the other: whole lines of `--boundary`, or `--boundary--` for the last. */
class Delimiters {
  /** Where the found delimiter begins: at the CRLF before its line, which belongs to it. */
  start = 0;
  /** Where the line behind it begins. */
  end = 0;
  isLast = false;
  readonly #body: Uint8Array;
  readonly #line: Uint8Array;

  constructor(body: Uint8Array, boundary: string) {
    this.#body = body;
    this.#line = encoder.encode(`--${boundary}`);
  }

  /** Looks for the next one from `from` on, where a CRLF or the body begins. Returns false when there is none. */
  next(from: number): boolean {
    const body = this.#body;
    if (from === 0 && this.#take(0, 0)) return true;
    // A match that fails is left where it failed: a boundary holds no CR, so that none is passed over.
    for (let i = body.indexOf(CR, from); i >= 0; i = body.indexOf(CR, i + 1)) {
      if (body[i + 1] === LF && this.#take(i, i + 2)) return true;
    }
    return false;
  }

  #take(start: number, lineStart: number): boolean {
    const body = this.#body;
    let i = lineStart;
    for (const byte of this.#line) if (body[i++] !== byte) return false;
    const isLast = body[i] === DASH && body[i + 1] === DASH;
    if (isLast) i += 2;
    while (body[i] === SP || body[i] === HTAB) i++;
    const isWhole = (body[i] === CR && body[i + 1] === LF) || (isLast && i === body.length);
    if (!isWhole) return false;
    this.start = start;
    this.end = Math.min(i + 2, body.length);
    this.isLast = isLast;
    return true;
  }
}

interface PartHead {
  name: string | undefined;
  type: string | undefined;
  filename: string | undefined;
  /** Where the CRLF of the empty line behind the head is. */
  emptyLine: number;
}

/** The header lines from `from` on, or undefined when they are malformed or too many. */
function readPartHead(body: Uint8Array, from: number): PartHead | undefined {
  let disposition: Parameters | undefined;
  let type: string | undefined;
  let at = from;
  for (let lines = 0; ; lines++) {
    const end = endOfLine(body, at, from + MAX_PART_HEAD_SIZE + 1);
    if (end < 0) return undefined;
    if (end === at) break;
    if (lines === MAX_PART_HEADERS) return undefined;
    const colon = endOfName(body, at, end);
    if (colon < 0) return undefined;
    const name = latin1Decoder.latin1(body, at, colon).toLowerCase();
    const value = valueOf(body, colon + 1, end);
    if (name === 'content-disposition') {
      if (disposition !== undefined) return undefined;
      disposition = dispositionOf(value);
      if (disposition === undefined) return undefined;
    } else if (name === 'content-type') {
      if (type !== undefined) return undefined;
      type = value;
    }
    at = end + 2;
  }
  const name = disposition?.get('name');
  return { name, type, filename: disposition?.get('filename'), emptyLine: at };
}

/** Where the CRLF of the line is, if all before it can be part of a header line; or -1. */
function endOfLine(body: Uint8Array, from: number, limit: number): number {
  const end = Math.min(body.length, limit);
  let i = from;
  while (i < end && FIELD_VALUE[body[i]!] === 1) i++;
  return i < end && body[i] === CR && body[i + 1] === LF ? i : -1;
}

function endOfName(body: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && TOKEN[body[i]!] === 1) i++;
  return i > start && i < end && body[i] === COLON ? i : -1;
}

function valueOf(body: Uint8Array, from: number, end: number): string {
  let start = from;
  while (start < end && (body[start] === SP || body[start] === HTAB)) start++;
  // A copy: shared memory cannot be decoded.
  return utf8.decode(new Uint8Array(body.subarray(start, trimEnd(body, start, end))));
}

/** Of any type, as in uWebSockets.js: what stands before the parameters is `form-data` by RFC 7578 §4.2. */
function dispositionOf(value: string): Parameters | undefined {
  const semicolon = value.indexOf(';');
  return parseParameters(value, semicolon < 0 ? value.length : semicolon);
}
