import { invalidArgument, type MillraceError } from '../errors.ts';
import { ResponseHead } from './response-writer.ts';

/** The instructions of the byte code, as in uWebSockets.js. */
const Instruction = {
  END: 0,
  WRITE_HEADER: 1,
  WRITE_BODY: 2,
  WRITE_QUERY_VALUE: 3,
  WRITE_HEADER_VALUE: 4,
  WRITE: 5,
  WRITE_PARAMETER_VALUE: 6,
  WRITE_STATUS: 7,
} as const;

const MAX_SHORT = 255;
const MAX_LONG = 65_535;

const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Text (sent as UTF-8) or bytes. */
export type DeclarativeText = string | ArrayBuffer | Uint8Array;

/**
 * DeclarativeResponse: a response that is the same function of every request, written down instead of run:
 * `app.get('/hi/:name', new DeclarativeResponse().write('Hi ').writeParameterValue('name').end('!'))`.
 * Instructions are carried out in their order; the status and the headers may stand anywhere.
 */
export class DeclarativeResponse {
  readonly #code: number[] = [];

  /** The status line, such as '404 Not Found'. At most 255 bytes. Without it: '200 OK'. */
  writeStatus(status: DeclarativeText): this {
    return this.#short('writeStatus', Instruction.WRITE_STATUS, status);
  }

  /** A header line. At most 255 bytes for either. */
  writeHeader(key: DeclarativeText, value: DeclarativeText): this {
    return this.#short('writeHeader', Instruction.WRITE_HEADER, key, value);
  }

  /** Header lines by their names. */
  writeHeaders(headers: Readonly<Record<string, DeclarativeText>>): this {
    for (const [key, value] of Object.entries(headers)) this.writeHeader(key, value);
    return this;
  }

  /** Text of the body. At most 65,535 bytes. */
  write(value: DeclarativeText): this {
    return this.#long('write', Instruction.WRITE, value);
  }

  /** The body of the request. */
  writeBody(): this {
    this.#code.push(Instruction.WRITE_BODY);
    return this;
  }

  /** The decoded value of a key in the request's query; nothing when it is absent. At most 255 bytes. */
  writeQueryValue(key: DeclarativeText): this {
    return this.#short('writeQueryValue', Instruction.WRITE_QUERY_VALUE, key);
  }

  /** The value of a request header by its lower-case name; nothing when it is absent. At most 255 bytes. */
  writeHeaderValue(lowerCaseKey: DeclarativeText): this {
    return this.#short('writeHeaderValue', Instruction.WRITE_HEADER_VALUE, lowerCaseKey);
  }

  /** The value of a parameter of the route's pattern by its name; nothing when it has none such. At most 255 bytes. */
  writeParameterValue(name: DeclarativeText): this {
    return this.#short('writeParameterValue', Instruction.WRITE_PARAMETER_VALUE, name);
  }

  /** The end of the body, at most 65,535 bytes. Returns what is given to `app.get()` and its like. */
  end(value: DeclarativeText = ''): ArrayBuffer {
    this.#long('end', Instruction.END, value);
    return Uint8Array.from(this.#code).buffer;
  }

  #short(method: string, instruction: number, ...texts: DeclarativeText[]): this {
    const all = texts.map((text) => bytesOf(method, text, MAX_SHORT));
    this.#code.push(instruction);
    for (const bytes of all) this.#code.push(bytes.length, ...bytes);
    return this;
  }

  #long(method: string, instruction: number, text: DeclarativeText): this {
    const bytes = bytesOf(method, text, MAX_LONG);
    this.#code.push(instruction, bytes.length & 0xff, bytes.length >> 8);
    for (const byte of bytes) this.#code.push(byte);
    return this;
  }
}

/** A part of the body: bytes as they are, or what is taken from the request under a key. */
export type DeclarativePart =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'body' }
  | { readonly kind: 'query' | 'header' | 'parameter'; readonly key: string };

/** A response read from its byte code. */
export interface DeclarativeProgram {
  /** '' for '200 OK'. */
  readonly status: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body; neighbouring bytes are merged. */
  readonly parts: readonly DeclarativePart[];
  /** Whether the request's body is part of it. */
  readonly needsBody: boolean;
}

/**
 * Reads the byte code that `DeclarativeResponse.end()` returned.
 *
 * @throws MillraceError MILLRACE_INVALID_ARGUMENT when the bytes are no such code, or could not be sent
 */
export function compileDeclarative(code: Uint8Array): DeclarativeProgram {
  const reader = new CodeReader(code);
  const headers: [string, string][] = [];
  const parts: DeclarativePart[] = [];
  let status = '';
  for (;;) {
    const instruction = reader.byte();
    switch (instruction) {
      case Instruction.END:
        parts.push({ kind: 'bytes', bytes: reader.long() });
        reader.assertEnd();
        return checked({ status, headers, parts: merged(parts), needsBody: hasBody(parts) });
      case Instruction.WRITE:
        parts.push({ kind: 'bytes', bytes: reader.long() });
        break;
      case Instruction.WRITE_STATUS:
        status = reader.text();
        break;
      case Instruction.WRITE_HEADER:
        headers.push([reader.text(), reader.text()]);
        break;
      case Instruction.WRITE_BODY:
        parts.push({ kind: 'body' });
        break;
      case Instruction.WRITE_QUERY_VALUE:
        parts.push({ kind: 'query', key: reader.text() });
        break;
      case Instruction.WRITE_HEADER_VALUE:
        parts.push({ kind: 'header', key: reader.text() });
        break;
      case Instruction.WRITE_PARAMETER_VALUE:
        parts.push({ kind: 'parameter', key: reader.text() });
        break;
      default:
        throw malformed();
    }
  }
}

class CodeReader {
  readonly #code: Uint8Array;
  #at = 0;

  constructor(code: Uint8Array) {
    this.#code = code;
  }

  byte(): number {
    const byte = this.#code[this.#at++];
    if (byte === undefined) throw malformed();
    return byte;
  }

  text(): string {
    return utf8.decode(this.#bytes(this.byte()));
  }

  long(): Uint8Array {
    const low = this.byte();
    return this.#bytes(low | (this.byte() << 8));
  }

  assertEnd(): void {
    if (this.#at !== this.#code.length) throw malformed();
  }

  /** Copied: the caller may change its buffer. */
  #bytes(size: number): Uint8Array {
    const start = this.#at;
    this.#at += size;
    if (this.#at > this.#code.length) throw malformed();
    return new Uint8Array(this.#code.subarray(start, this.#at));
  }
}

function hasBody(parts: readonly DeclarativePart[]): boolean {
  return parts.some((part) => part.kind === 'body');
}

function merged(parts: readonly DeclarativePart[]): DeclarativePart[] {
  const result: DeclarativePart[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (part.kind === 'bytes' && part.bytes.length === 0) continue;
    if (part.kind === 'bytes' && last?.kind === 'bytes') {
      const bytes = new Uint8Array(last.bytes.length + part.bytes.length);
      bytes.set(last.bytes);
      bytes.set(part.bytes, last.bytes.length);
      result[result.length - 1] = { kind: 'bytes', bytes };
    } else {
      result.push(part);
    }
  }
  return result;
}

/** Throws now what would otherwise throw at every request. */
function checked(program: DeclarativeProgram): DeclarativeProgram {
  const head = new ResponseHead();
  if (program.status !== '') head.writeStatus(program.status);
  for (const [name, value] of program.headers) {
    head.writeHeader(name, value);
    if (name.toLowerCase() !== 'content-length') continue;
    throw invalidArgument('DeclarativeResponse: leave out Content-Length; the server counts the bytes');
  }
  return program;
}

function bytesOf(method: string, text: DeclarativeText, max: number): Uint8Array {
  let bytes: Uint8Array;
  if (typeof text === 'string') bytes = encoder.encode(text);
  else if (text instanceof Uint8Array) bytes = text;
  else if (text instanceof ArrayBuffer) bytes = new Uint8Array(text);
  else {
    throw invalidArgument(`DeclarativeResponse.${method}: pass a string, an ArrayBuffer or a Uint8Array`);
  }
  if (bytes.length <= max) return bytes;
  throw invalidArgument(
    `DeclarativeResponse.${method}: at most ${max} bytes, not ${bytes.length}; use a handler for more`,
  );
}

function malformed(): MillraceError {
  return invalidArgument(
    'The bytes given instead of a handler are not what DeclarativeResponse.end() returns',
  );
}
