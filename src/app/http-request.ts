import { MillraceError } from '../errors.ts';
import { queryValue } from '../http/query.ts';
import type { RequestHead } from '../http/request-head.ts';

/** Whether the handler passed the request on. */
export let hasYielded: (request: HttpRequest) => boolean;
/** Ends the request's lifetime. */
export let expire: (request: HttpRequest) => void;
/**
 * A request, in the names of uWebSockets.js. Valid during the synchronous part of the handler only: it reads the
 * receive buffer, which the next socket overwrites.
 */
export class HttpRequest {
  #head: RequestHead | null;
  readonly #params: readonly string[];
  readonly #names: readonly string[];
  #yield = false;

  constructor(head: RequestHead, params: readonly string[] = [], names: readonly string[] = []) {
    this.#head = head;
    this.#params = params;
    this.#names = names;
  }

  /** The value of a header by its lower-case name; '' when absent, repeated ones joined with ', '. */
  getHeader(lowerCaseKey: string): string {
    return this.#live().header(lowerCaseKey);
  }

  /** A parameter of the route's pattern by position or name. */
  getParameter(key: number | string): string | undefined {
    this.#live();
    return this.#params[typeof key === 'number' ? key : this.#names.indexOf(key)];
  }

  /** The path, not decoded, without the query. */
  getUrl(): string {
    return this.#live().path;
  }

  /** The method in lower case. */
  getMethod(): string {
    return this.#live().method.toLowerCase();
  }

  getCaseSensitiveMethod(): string {
    return this.#live().method;
  }

  /** Without a key the raw query, '' when there is none; with a key its decoded value, undefined when absent. */
  getQuery(): string;
  getQuery(key: string): string | undefined;
  getQuery(key?: string): string | undefined {
    const { query } = this.#live();
    return key === undefined ? query : queryValue(query, key);
  }

  /** Every header line in the order received. */
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
    throw new MillraceError(
      'MILLRACE_STALE_ACCESS',
      'uWS.HttpRequest must not be accessed after await or route handler return. Copy what you need from it first.',
    );
  }

  static {
    hasYielded = (request) => request.#yield;
    expire = (request) => {
      request.#head = null;
    };
  }
}
