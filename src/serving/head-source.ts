import { reportError } from '../error-report.ts';
import type { RequestHead } from '../http/request-head.ts';
import { RequestParser, type RequestParserOptions } from '../http/request-parser.ts';
import { Counter } from '../metrics/counter.ts';
import type { IoLoop } from '../net/io-loop.ts';

/** HeadSource: reads heads of requests, for the first time and anew when their handlers have returned. */
export class HeadSource {
  /** What all sockets of the thread are read into. */
  readonly received: Uint8Array;
  readonly #io: IoLoop;
  readonly #options: RequestParserOptions;

  constructor(io: IoLoop, options: RequestParserOptions) {
    this.#io = io;
    this.#options = options;
    this.received = io.receiveBuffer;
  }

  /** As long as it is the same, `received` holds the same bytes, and the turn of the event loop is the same. */
  get stamp(): number {
    return this.#io.received.stamp;
  }

  /** A promise of a callback that went through a head rejected. Whose request it was is not known any more. */
  readonly visitFailed = (error: unknown): void => {
    this.#io.counters[Counter.HANDLER_ERRORS]!++;
    reportError('the callback of req.forEach', error);
  };

  newParser(): RequestParser {
    return new RequestParser(this.#options);
  }

  /** Reads a head that was read before, from there on. */
  read(bytes: Uint8Array, start = 0): RequestHead {
    const parser = this.newParser();
    parser.feed(bytes, start, bytes.length);
    return parser.head;
  }
}

/** The head's bytes in memory of their own. */
export function copyOf({ bytes, headStart, headEnd }: RequestHead): Uint8Array {
  const at = bytes.byteOffset;
  return new Uint8Array(bytes.buffer.slice(at + headStart, at + headEnd));
}
