import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import { HTTPParser } from 'http-parser-js';
import { BodyDecoder, BodyStatus } from '../../src/http/body-decoder.ts';
import { ParseStatus, RequestParser } from '../../src/http/request-parser.ts';

/** A whole request, as one reader of the bytes understands it. Text has one character a byte. */
export interface ReadRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case, and values. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** What a reader makes of the bytes of a connection. */
export interface Reading {
  readonly requests: readonly ReadRequest[];
  /** Bytes up to the end of the last whole request. */
  readonly wholeSize?: number;
  /** Its last request has `Connection: close`: what follows is not read. */
  readonly isOver?: boolean;
  /** '' when all bytes were taken in, be the last request complete or not. */
  readonly error: string;
}

/** Methods that the others know; they refuse others, which are as good. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set(HTTPParser.methods);

/** Our reading, of the pieces one after the other. It ends behind a request with `Connection: close`. */
export function ourReading(pieces: readonly Uint8Array[]): Reading {
  const connection = new OurConnection();
  for (const piece of pieces) connection.feed(piece);
  const { requests, wholeSize, error, isOver } = connection;
  return { requests, wholeSize, error, isOver };
}

class OurConnection {
  readonly requests: ReadRequest[] = [];
  wholeSize = 0;
  error = '';
  #before = 0;
  readonly #parser = new RequestParser();
  readonly #decoder = new BodyDecoder();
  /** The request whose body is being read. */
  #open: (ReadRequest & { body: string }) | null = null;
  #keepAlive = true;

  get isOver(): boolean {
    return !this.#keepAlive && this.#open === null;
  }

  feed(piece: Uint8Array): void {
    const bytes = new Uint8Array(piece);
    let position = 0;
    while (position < bytes.length && this.error === '' && !this.isOver) {
      position = this.#open === null ? this.#head(bytes, position) : this.#body(this.#open, bytes, position);
    }
    this.#before += bytes.length;
    // As the receive buffer is written over after each read.
    bytes.fill(0x5a);
  }

  #head(bytes: Uint8Array, position: number): number {
    const parser = this.#parser;
    const status = parser.feed(bytes, position, bytes.length);
    const { consumed, head } = parser;
    if (status >= 400) this.error = `${status} ${parser.reason}`;
    if (status !== ParseStatus.COMPLETE) return consumed;
    const headers: string[] = [];
    head.forEach((name, value) => headers.push(name, value));
    const request = { method: head.method, target: head.target, headers, body: '' };
    this.#keepAlive = head.keepAlive;
    this.#decoder.start(head.contentLength, head.chunked);
    if (this.#decoder.isComplete) this.#whole(request, consumed);
    else this.#open = request;
    parser.reset();
    return consumed;
  }

  #body(request: { body: string } & ReadRequest, bytes: Uint8Array, position: number): number {
    const decoder = this.#decoder;
    const status = decoder.feed(bytes, position, bytes.length);
    request.body += latin1(bytes.subarray(decoder.dataStart, decoder.dataEnd));
    if (status >= 400) this.error = `${status} ${decoder.reason}`;
    if (status === BodyStatus.COMPLETE) this.#whole(request, decoder.consumed);
    return decoder.consumed;
  }

  #whole(request: ReadRequest, end: number): void {
    this.requests.push(request);
    this.wholeSize = this.#before + end;
    this.#open = null;
  }
}

HTTPParser.encoding = 'latin1';

/** The reading of http-parser-js, a parser in JavaScript with the interface of Node's. */
export function javaScriptReading(bytes: Uint8Array): Reading {
  const requests: ReadRequest[] = [];
  const parser = new HTTPParser(HTTPParser.REQUEST);
  let open: (ReadRequest & { body: string }) | null = null;
  parser[HTTPParser.kOnHeadersComplete] = (info) => {
    const headers = headersOf(info.headers);
    open = { method: HTTPParser.methods[info.method] ?? '', target: info.url, headers, body: '' };
  };
  parser[HTTPParser.kOnBody] = (chunk, offset, length) => {
    open!.body += latin1(chunk.subarray(offset, offset + length));
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (open !== null) requests.push(open);
    open = null;
  };
  let error = '';
  try {
    const result: unknown = parser.execute(Buffer.from(bytes));
    if (result instanceof Error) error = result.message;
  } catch (thrown) {
    error = String(thrown);
  }
  return { requests, error };
}

/** The readings of Node's own server, whose parser is llhttp, over streams in memory. */
export class NodeReader {
  readonly #server: Server;

  constructor() {
    this.#server = createServer({ keepAlive: true, requireHostHeader: true });
    const take = (request: IncomingMessage, response: ServerResponse): void => {
      const connection = request.socket as unknown as MemorySocket;
      const parts: Buffer[] = [];
      request.on('data', (chunk: Buffer) => parts.push(chunk));
      request.on('end', () => {
        connection.requests.push(readOf(request, latin1(Buffer.concat(parts))));
        response.end();
      });
      request.on('error', () => {});
    };
    // An Expect without members goes elsewhere there.
    this.#server.on('request', take).on('checkExpectation', take);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      (socket as unknown as MemorySocket).error = error.code ?? error.message;
      socket.destroy();
    });
  }

  /** Reads all bytes; what is cut at their end is no error. */
  async read(bytes: Uint8Array): Promise<Reading> {
    const socket = new MemorySocket();
    this.#server.emit('connection', socket);
    socket.push(Buffer.from(bytes));
    // No real input or output: everything happens in the next turns of the event loop.
    let seen = -1;
    for (let quiet = 0; quiet < 3; quiet++) {
      if (socket.requests.length !== seen) quiet = 0;
      seen = socket.requests.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.destroy();
    return { requests: socket.requests, error: socket.error };
  }

  close(): void {
    this.#server.close();
  }
}

class MemorySocket extends Duplex {
  readonly requests: ReadRequest[] = [];
  error = '';
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
}

function readOf({ method = '', url = '', rawHeaders }: IncomingMessage, body: string): ReadRequest {
  return { method, target: url, headers: headersOf(rawHeaders), body };
}

/** Names in lower case, and values, which the others read as Latin-1, as UTF-8. */
function headersOf(raw: readonly string[]): string[] {
  return raw.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : Buffer.from(text, 'latin1').toString()));
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
