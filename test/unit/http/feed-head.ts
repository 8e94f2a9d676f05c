import { ParseStatus, RequestParser, type RequestParserOptions } from '../../../src/http/request-parser.ts';

/** All that can be seen of a parse; two ways of feeding the same bytes must give the same. */
export interface Outcome {
  status: number;
  reason: string;
  head?: {
    method: string;
    minorVersion: number;
    target: string;
    path: string;
    query: string;
    headers: [string, string][];
    contentLength: number;
    chunked: boolean;
    hasBody: boolean;
    keepAlive: boolean;
    expectContinue: boolean;
    raw: string;
    consumed: number;
  };
}

/** Text with one character per byte. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

export function textOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

/** Feeds the pieces until a verdict, each through one shared buffer that is wiped after the call. */
export function feedPieces(pieces: readonly string[], options?: RequestParserOptions): Outcome {
  return feedPiecesTo(new RequestParser(options), pieces);
}

export function feedPiecesTo(parser: RequestParser, pieces: readonly string[]): Outcome {
  const offset = 7;
  const shared = new Uint8Array(offset + Math.max(0, ...pieces.map((piece) => piece.length)) + offset);
  let before = 0;
  let status: number = ParseStatus.INCOMPLETE;
  for (const piece of pieces) {
    shared.set(latin1(piece), offset);
    status = parser.feed(shared, offset, offset + piece.length);
    if (status !== ParseStatus.INCOMPLETE) break;
    before += piece.length;
    shared.fill(0xaa);
  }
  if (status !== ParseStatus.COMPLETE) return { status, reason: parser.reason };
  return { status, reason: parser.reason, head: headOf(parser, before + parser.consumed - offset) };
}

function headOf({ head }: RequestParser, consumed: number): NonNullable<Outcome['head']> {
  const headers: [string, string][] = [];
  head.forEach((name, value) => headers.push([name, value]));
  return {
    method: head.method,
    minorVersion: head.minorVersion,
    target: head.target,
    path: head.path,
    query: head.query,
    headers,
    contentLength: head.contentLength,
    chunked: head.chunked,
    hasBody: head.hasBody,
    keepAlive: head.keepAlive,
    expectContinue: head.expectContinue,
    raw: textOf(head.bytes.subarray(head.headStart, head.headEnd)),
    consumed,
  };
}

export function feedWhole(text: string, options?: RequestParserOptions): Outcome {
  return feedPieces([text], options);
}

export function feedByteByByte(text: string, options?: RequestParserOptions): Outcome {
  return feedPieces(text.split(''), options);
}

export function feedSplitAt(text: string, cut: number, options?: RequestParserOptions): Outcome {
  return feedPieces([text.slice(0, cut), text.slice(cut)], options);
}
