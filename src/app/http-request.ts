import { described } from '../caller-values.ts';
import { invalidArgument } from '../errors.ts';
import { queryValue } from '../http/query.ts';
import type { IncomingRequest } from '../serving/incoming-request.ts';
import { type RecognizedString, textOf } from '../serving/recognized-string.ts';
import { watch } from '../user-code.ts';

/**
 * A request, in the names of uWebSockets.js. Valid while its handler runs, with its microtasks and nextTicks, and when
 * the response was not sent by then, for as long as it is kept.
 */
export class HttpRequest {
  readonly #request: IncomingRequest;

  /** @internal */
  constructor(request: IncomingRequest) {
    this.#request = request;
  }

  /** The value of a header by its lower-case name; '' when absent, repeated ones joined with ', '. */
  getHeader(lowerCaseKey: RecognizedString): string {
    return this.#request.head.header(textOf(lowerCaseKey));
  }

  /**
   * A parameter of the route's pattern by position or name, not decoded; '' when there is none. (It is undefined in the
   * typings of uWebSockets.js alone.)
   */
  getParameter(index: number | RecognizedString): string | undefined {
    const { names, params } = readable(this.#request);
    // As in uWebSockets.js, where a position has 16 bits: what is no number is the first one.
    const at = typeof index === 'number' ? index & 0xffff : names.indexOf(textOf(index));
    return params[at] ?? '';
  }

  /** The path, not decoded, without the query. */
  getUrl(): string {
    return this.#request.head.path;
  }

  /** The method in lower case. */
  getMethod(): string {
    return this.#request.head.method.toLowerCase();
  }

  /** The method as it was sent. */
  getCaseSensitiveMethod(): string {
    return this.#request.head.method;
  }

  /** Without a key the raw query, '' when there is none; with a key its decoded value, undefined when absent. */
  getQuery(): string;
  getQuery(key: RecognizedString): string | undefined;
  getQuery(...keys: RecognizedString[]): string | undefined {
    const { query } = this.#request.head;
    // An undefined key is the empty one, as in uWebSockets.js: a look-up of a key never gets all of the query.
    return keys.length === 0 ? query : queryValue(query, textOf(keys[0]!));
  }

  /** Calls `visit` with each header line, in the order received, its name in lower case. */
  forEach(visit: (key: string, value: string) => void): void {
    const request = this.#request;
    const { head } = request;
    if (typeof visit !== 'function') {
      throw invalidArgument(`req.forEach: the callback must be a function; got ${described(visit)}`);
    }
    head.forEach((key, value) => {
      const result: unknown = visit(key, value);
      if (result !== undefined) watch(result, request.visitFailed);
    });
  }

  /** True hands the request on to the next matching route; also after an `await`, as long as nothing was sent. */
  setYield(yieldToNext: boolean): this {
    readable(this.#request).yieldToNext(yieldToNext);
    return this;
  }

  static {
    // What programs for uWebSockets.js look at.
    Object.defineProperty(this, 'name', { value: 'uWS.HttpRequest' });
  }
}

/** @throws MillraceError MILLRACE_STALE_ACCESS when it is over */
function readable(request: IncomingRequest): IncomingRequest {
  // For its error alone.
  void request.head;
  return request;
}
