import { compileDeclarative, type DeclarativeProgram } from '../http/declarative-response.ts';
import { queryValue } from '../http/query.ts';
import { userCode } from '../user-code.ts';
import { BodyCollector } from './body-reader.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { OutgoingResponse } from './outgoing-response.ts';
import type { RequestHandler } from './request-handler.ts';

/** Bytes of a request's body that `writeBody()` takes; more is answered 413. */
const MAX_BODY = 1024 * 1024;

const NO_BYTES = new Uint8Array(0);
const NOTHING = userCode(() => {});

/**
 * The handler that does what a DeclarativeResponse says.
 *
 * @throws MillraceError MILLRACE_INVALID_ARGUMENT when the bytes are none
 */
export function declarativeHandler(code: Uint8Array): RequestHandler {
  const program = compileDeclarative(code);
  const only = program.parts.length === 1 ? program.parts[0] : undefined;
  if (program.parts.length === 0 || only?.kind === 'bytes') {
    const body = only?.kind === 'bytes' ? only.bytes : NO_BYTES;
    return (response) => {
      writeHead(response, program);
      response.end(body);
    };
  }
  return (response, request) => {
    const parts = partsOf(program, request);
    if (!program.needsBody) {
      writeHead(response, program);
      response.end(concatenated(parts, NO_BYTES));
      return;
    }
    response.onAborted = NOTHING;
    const answer = (body: ArrayBuffer | null): void => {
      if (body === null) {
        response.writeStatus('413 Content Too Large');
        response.end();
        return;
      }
      writeHead(response, program);
      response.end(concatenated(parts, new Uint8Array(body)));
    };
    response.read(new BodyCollector(MAX_BODY, userCode(answer)));
  };
}

function writeHead(response: OutgoingResponse, { status, headers }: DeclarativeProgram): void {
  if (status !== '') response.writeStatus(status);
  for (const [name, value] of headers) response.writeHeader(name, value);
}

/** The parts of the body; null where the request's body goes. */
function partsOf(
  { parts }: DeclarativeProgram,
  { head, params, names }: IncomingRequest,
): (Uint8Array | null)[] {
  return parts.map((part) => {
    if (part.kind === 'bytes') return part.bytes;
    if (part.kind === 'body') return null;
    if (part.kind === 'query') return Buffer.from(queryValue(head.query, part.key) ?? '');
    const text = part.kind === 'header' ? head.header(part.key) : params[names.indexOf(part.key)];
    return Buffer.from(text ?? '');
  });
}

function concatenated(parts: readonly (Uint8Array | null)[], body: Uint8Array): Uint8Array {
  return Buffer.concat(parts.map((part) => part ?? body));
}
