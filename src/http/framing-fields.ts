import { isHost, isToken, listHas, Members, membersOf, parseContentLength } from './field-value.ts';
import { equalsLowerCase, lowerCase } from './latin1.ts';
import type { RequestHead } from './request-head.ts';

/** Why a head is refused: the status of the answer, and a sentence for logs. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

const refusal = (status: number, reason: string): Refusal => ({ status, reason });

const REFUSED = {
  NO_HOST: refusal(400, 'there is no Host'),
  HOST_REPEATED: refusal(400, 'there is more than one Host'),
  HOST_INVALID: refusal(400, 'the Host is invalid'),
  HOST_DIFFERS: refusal(400, 'the Host is not the authority of the request target'),
  LENGTH_REPEATED: refusal(400, 'there is more than one Content-Length'),
  LENGTH_INVALID: refusal(400, 'the Content-Length is not a plain number'),
  LENGTH_AND_ENCODING: refusal(400, 'there is a Content-Length beside a Transfer-Encoding'),
  ENCODING_REPEATED: refusal(400, 'there is more than one Transfer-Encoding'),
  ENCODING_INVALID: refusal(400, 'the Transfer-Encoding is not exactly "chunked"'),
  ENCODING_IN_HTTP10: refusal(400, 'HTTP/1.0 has no Transfer-Encoding'),
  ENCODING_UNKNOWN: refusal(501, 'the Transfer-Encoding is not known'),
  EXPECTATION_UNKNOWN: refusal(417, 'the Expect is not "100-continue"'),
} as const;

/** Takes in a line that decides how the request is read; all other lines are plain data. */
export function takeField(head: RequestHead, line: number): Refusal | undefined {
  const { base, bytes, fields } = head;
  const name = base + fields[line * 4]!;
  switch (base + fields[line * 4 + 1]! - name) {
    case 4:
      return equalsLowerCase(bytes, name, 'host') ? takeHost(head, line) : undefined;
    case 6:
      return equalsLowerCase(bytes, name, 'expect') ? takeExpect(head, line) : undefined;
    case 10:
      if (equalsLowerCase(bytes, name, 'connection')) takeConnection(head, line);
      return undefined;
    case 14:
      return equalsLowerCase(bytes, name, 'content-length') ? takeContentLength(head, line) : undefined;
    case 17:
      return equalsLowerCase(bytes, name, 'transfer-encoding') ? takeTransferEncoding(head, line) : undefined;
    default:
      return undefined;
  }
}

/** What can be judged only when the head is complete. */
export function checkHead(head: RequestHead): Refusal | undefined {
  if (head.hostLine < 0) return head.minorVersion === 0 ? undefined : REFUSED.NO_HOST;
  if (head.authorityAt >= 0 && !hostIsAuthority(head)) return REFUSED.HOST_DIFFERS;
  return undefined;
}

function takeHost(head: RequestHead, line: number): Refusal | undefined {
  if (head.hostLine >= 0) return REFUSED.HOST_REPEATED;
  head.hostLine = line;
  return isHost(head.bytes, valueStart(head, line), valueEnd(head, line)) ? undefined : REFUSED.HOST_INVALID;
}

/** A list, in which empty members mean nothing (RFC 9110 §10.1.1, §5.6.1.2). HTTP/1.0 knows no 100. */
function takeExpect(head: RequestHead, line: number): Refusal | undefined {
  const members = membersOf(head.bytes, valueStart(head, line), valueEnd(head, line), '100-continue');
  if (members === Members.OTHER) return REFUSED.EXPECTATION_UNKNOWN;
  if (members === Members.ALL && head.minorVersion > 0) head.expectContinue = true;
  return undefined;
}

function takeConnection(head: RequestHead, line: number): void {
  const start = valueStart(head, line);
  const end = valueEnd(head, line);
  if (listHas(head.bytes, start, end, 'close')) {
    head.saysClose = true;
    head.keepAlive = false;
  } else if (head.minorVersion === 0 && !head.saysClose && listHas(head.bytes, start, end, 'keep-alive')) {
    head.keepAlive = true;
  }
}

function takeContentLength(head: RequestHead, line: number): Refusal | undefined {
  if (head.contentLength >= 0) return REFUSED.LENGTH_REPEATED;
  if (head.chunked) return REFUSED.LENGTH_AND_ENCODING;
  head.contentLength = parseContentLength(head.bytes, valueStart(head, line), valueEnd(head, line));
  return head.contentLength < 0 ? REFUSED.LENGTH_INVALID : undefined;
}

function takeTransferEncoding(head: RequestHead, line: number): Refusal | undefined {
  if (head.minorVersion === 0) return REFUSED.ENCODING_IN_HTTP10;
  if (head.chunked) return REFUSED.ENCODING_REPEATED;
  if (head.contentLength >= 0) return REFUSED.LENGTH_AND_ENCODING;
  const start = valueStart(head, line);
  const end = valueEnd(head, line);
  head.chunked = end - start === 'chunked'.length && equalsLowerCase(head.bytes, start, 'chunked');
  if (head.chunked) return undefined;
  return isToken(head.bytes, start, end) ? REFUSED.ENCODING_UNKNOWN : REFUSED.ENCODING_INVALID;
}

function hostIsAuthority(head: RequestHead): boolean {
  const { bytes, base, pathAt, authorityAt } = head;
  const host = valueStart(head, head.hostLine);
  const size = valueEnd(head, head.hostLine) - host;
  if (pathAt - authorityAt !== size) return false;
  for (let i = 0; i < size; i++) {
    if (lowerCase(bytes[host + i]!) !== lowerCase(bytes[base + authorityAt + i]!)) return false;
  }
  return true;
}

function valueStart(head: RequestHead, line: number): number {
  return head.base + head.fields[line * 4 + 2]!;
}

function valueEnd(head: RequestHead, line: number): number {
  return head.base + head.fields[line * 4 + 3]!;
}
