import { MillraceError } from '../errors.ts';
import { queryValue } from '../http/query.ts';
import type { RequestHead } from '../http/request-head.ts';
import { type RecognizedString, textOf } from './recognized-string.ts';

/** Whether the handler passed the request on. */
export let hasYielded: (request: HttpRequest) => boolean;
/** Ends the request's lifetime. */
export let expire: (request: HttpRequest) => void;
/** The bytes it was read from are gone; what `head` makes when it is asked for takes their place. */
export let keep: (request: HttpRequest, head: () => RequestHead) => void;

/**
 * A request, in the names of uWebSockets.js. Valid while its handler runs, as it reads the receive buffer, which the
 * next socket overwrites. A handler that returned a promise may read it until its response is sent or aborted.
 */
export class HttpRequest {
  #head: RequestHead | null;
  #kept: (() => RequestHead) | null = null;
  readonly #params: readonly string[];
  readonly #names: readonly string[];
  #yield = false;

  constructor(head: RequestHead, params: readonly string[] = [], names: readonly string[] = []) {
    this.#head = head;
    this.#params = params;
    this.#names = names;
  }

  /** The value of a header by its lower-case name; '' when absent, repeated ones joined with ', '. */
  getHeader(lowerCaseKey: RecognizedString): string {
    return this.#live().header(textOf(lowerCaseKey));
  }

  /** A parameter of the route's pattern by position or name, not decoded; undefined when there is none. */
  getParameter(index: number | RecognizedString): string | undefined {
    this.#live();
    return this.#params[typeof index === 'number' ? index : this.#names.indexOf(textOf(index))];
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
  getQuery(key?: RecognizedString): string | undefined {
    const { query } = this.#live();
    return key === undefined ? query : queryValue(query, textOf(key));
  }

  /** Calls `visit` with each header line, in the order received, its name in lower case. */
  forEach(visit: (key: string, value: string) => void): void {
    this.#live().forEach(visit);
  }

  /** True hands the request on to the next matching route. */
  setYield(yieldToNext: boolean): this {
    this.#live();
    this.#yield = yieldToNext;
    return this;
  }

  #live(): RequestHead {
    if (this.#head !== null) return this.#head;
    if (this.#kept !== null) return (this.#head = this.#kept());
    throw new MillraceError(
      'MILLRACE_STALE_ACCESS',
      'uWS.HttpRequest must not be accessed after await or route handler return. Copy what you need from it first.',
    );
  }

  static {
    hasYielded = (request) => request.#yield;
    expire = (request) => {
      request.#head = null;
      request.#kept = null;
    };
    keep = (request, head) => {
      request.#head = null;
      request.#kept = head;
    };
  }
}
