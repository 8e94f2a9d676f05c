import { described } from '../caller-values.ts';
import { invalidArgument, MillraceError } from '../errors.ts';
import { queryValue } from '../http/query.ts';
import type { RequestHead } from '../http/request-head.ts';
import { watch } from '../user-code.ts';
import { copyOf, type HeadSource } from './head-source.ts';
import { type RecognizedString, textOf } from './recognized-string.ts';

/** What is left of a request whose handler has returned. */
export interface KeptRequest {
  /** A copy of the head. */
  readonly bytes: Uint8Array;
  /** It can be read for as long as it is kept; else to the end of the turn. */
  readonly isLasting: boolean;
  /** The handler passes the request on after all. */
  yielded(): void;
}

class AnsweredRequest implements KeptRequest {
  readonly bytes: Uint8Array;
  readonly isLasting: boolean;

  constructor(bytes: Uint8Array, isLasting: boolean) {
    this.bytes = bytes;
    this.isLasting = isLasting;
  }

  yielded(): void {}
}

/** Whether the handler passed the request on. */
export let hasYielded: (request: HttpRequest) => boolean;
/**
 * The handler returned, and nothing more is to come of it: the request lives to the end of its microtasks.
 *
 * @param isRead it may be read later, too: by an async `open`
 */
export let settle: (request: HttpRequest, isRead?: boolean) => void;
/** The handler returned, and is to answer later: the request lives on from a copy of its head. */
export let keep: (request: HttpRequest, kept: KeptRequest) => void;

/**
 * A request, in the names of uWebSockets.js. Valid while its handler runs, with its microtasks and nextTicks, and when
 * the response was not sent by then, for as long as it is kept. The usual request reads the receive buffer, which the
 * next socket overwrites; a copy is made of those whose handlers returned without an answer.
 */
export class HttpRequest {
  readonly #source: HeadSource;
  /** Null when the handler has returned, until it is read anew. */
  #head: RequestHead | null;
  readonly #params: readonly string[];
  readonly #names: readonly string[];
  #yield = false;
  #kept: KeptRequest | null = null;
  /** Without a copy: where in the receive buffer the head lies. */
  #start = 0;
  /** Of the turn, and of what the receive buffer held, when the handler returned. */
  #stamp = 0;

  /** @internal */
  constructor(
    source: HeadSource,
    head: RequestHead,
    params: readonly string[] = [],
    names: readonly string[] = [],
  ) {
    this.#source = source;
    this.#head = head;
    this.#params = params;
    this.#names = names;
  }

  /** The value of a header by its lower-case name; '' when absent, repeated ones joined with ', '. */
  getHeader(lowerCaseKey: RecognizedString): string {
    return this.#live().header(textOf(lowerCaseKey));
  }

  /**
   * A parameter of the route's pattern by position or name, not decoded; '' when there is none. (It is undefined in the
   * typings of uWebSockets.js alone.)
   */
  getParameter(index: number | RecognizedString): string | undefined {
    this.#live();
    // As in uWebSockets.js, where a position has 16 bits: what is no number is the first one.
    const at = typeof index === 'number' ? index & 0xffff : this.#names.indexOf(textOf(index));
    return this.#params[at] ?? '';
  }

  /** The path, not decoded, without the query. */
  getUrl(): string {
    return this.#live().path;
  }

  /** The method in lower case. */
  getMethod(): string {
    return this.#live().method.toLowerCase();
  }

  /** The method as it was sent. */
  getCaseSensitiveMethod(): string {
    return this.#live().method;
  }

  /** Without a key the raw query, '' when there is none; with a key its decoded value, undefined when absent. */
  getQuery(): string;
  getQuery(key: RecognizedString): string | undefined;
  getQuery(...keys: RecognizedString[]): string | undefined {
    const { query } = this.#live();
    // An undefined key is the empty one, as in uWebSockets.js: whoever looks for a key never gets all of the query.
    return keys.length === 0 ? query : queryValue(query, textOf(keys[0]!));
  }

  /** Calls `visit` with each header line, in the order received, its name in lower case. */
  forEach(visit: (key: string, value: string) => void): void {
    const head = this.#live();
    if (typeof visit !== 'function') {
      throw invalidArgument(`req.forEach: the callback must be a function; got ${described(visit)}`);
    }
    head.forEach((key, value) => {
      const result: unknown = visit(key, value);
      if (result !== undefined) watch(result, this.#source.visitFailed);
    });
  }

  /** True hands the request on to the next matching route; also after an `await`, as long as nothing was sent. */
  setYield(yieldToNext: boolean): this {
    this.#live();
    this.#yield = yieldToNext;
    if (yieldToNext && this.#kept !== null) this.#kept.yielded();
    return this;
  }

  #live(): RequestHead {
    return this.#head ?? this.#readAgain();
  }

  #readAgain(): RequestHead {
    const source = this.#source;
    const kept = this.#kept;
    if (kept?.isLasting === true) return (this.#head = source.read(kept.bytes));
    // Read at each access, as it is over with the turn.
    if (this.#stamp === source.stamp)
      return kept === null ? source.read(source.received, this.#start) : source.read(kept.bytes);
    throw new MillraceError(
      'MILLRACE_STALE_ACCESS',
      'uWS.HttpRequest must not be accessed after await or route handler return, when the handler sent the response ' +
        'or passed the request on. Copy what you need from it first.',
    );
  }

  static {
    Object.defineProperty(this, 'name', { value: 'uWS.HttpRequest' });
    hasYielded = (request) => request.#yield;
    settle = (request, isRead = false) => {
      const head = request.#head!;
      const source = request.#source;
      request.#stamp = source.stamp;
      if (head.bytes === source.received && !isRead) {
        request.#head = null;
        request.#start = head.headStart;
      } else {
        // It came with the socket, had to wait, or came in pieces: nobody tells when such bytes are overwritten.
        keep(request, new AnsweredRequest(copyOf(head), isRead));
      }
    };
    keep = (request, kept) => {
      request.#head = null;
      request.#kept = kept;
    };
  }
}
