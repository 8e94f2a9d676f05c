import { compileDeclarative, type DeclarativeProgram } from '../http/declarative-response.ts';
import type { HttpHandler } from './http-dispatcher.ts';
import type { HttpRequest } from './http-request.ts';
import type { HttpResponse } from './http-response.ts';

/** Bytes of a request's body that `writeBody()` takes; more is answered 413. */
const MAX_BODY = 1024 * 1024;

const NO_BYTES = new Uint8Array(0);

/**
 * The handler that does what a DeclarativeResponse says.
 *
 * @throws MillraceError MILLRACE_INVALID_ARGUMENT when the bytes are none
 */
export function declarativeHandler(code: Uint8Array): HttpHandler {
  const program = compileDeclarative(code);
  const only = program.parts.length === 1 ? program.parts[0] : undefined;
  if (program.parts.length === 0 || only?.kind === 'bytes') {
    const body = only?.kind === 'bytes' ? only.bytes : NO_BYTES;
    return (res) => {
      writeHead(res, program);
      res.end(body);
    };
  }
  return (res, req) => {
    const parts = partsOf(program, req);
    if (!program.needsBody) {
      writeHead(res, program);
      res.end(joined(parts, NO_BYTES));
      return;
    }
    res.onAborted(() => {});
    res.collectBody(MAX_BODY, (body) => {
      if (body === null) {
        res.writeStatus('413 Content Too Large').end();
        return;
      }
      writeHead(res, program);
      res.end(joined(parts, new Uint8Array(body)));
    });
  };
}

function writeHead(res: HttpResponse, { status, headers }: DeclarativeProgram): void {
  if (status !== '') res.writeStatus(status);
  for (const [name, value] of headers) res.writeHeader(name, value);
}

/** The parts of the body; null where the request's body goes. */
function partsOf({ parts }: DeclarativeProgram, req: HttpRequest): (Uint8Array | null)[] {
  return parts.map((part) => {
    if (part.kind === 'bytes') return part.bytes;
    if (part.kind === 'body') return null;
    if (part.kind === 'query') return Buffer.from(req.getQuery(part.key) ?? '');
    const text = part.kind === 'header' ? req.getHeader(part.key) : req.getParameter(part.key);
    return Buffer.from(text ?? '');
  });
}

function joined(parts: readonly (Uint8Array | null)[], body: Uint8Array): Uint8Array {
  return Buffer.concat(parts.map((part) => part ?? body));
}
