import { equalsLowerCase, StringCache, unicodeText } from './latin1.ts';

const NO_BYTES = new Uint8Array(0);
const FIRST_CAPACITY = 32;
const MAX_COMMON_VALUE = 22;

/**
 * The head of one request, as offsets into its bytes; text is made when asked for. The parser fills it and
 * uses it again: it is valid until the parser's next `reset()`, and no longer than the bytes behind it.
 * Names that end in `At`, and `fields`, are offsets from `base`, the first byte the parser was fed.
 */
export class RequestHead {
  /** What the head was read from: the caller's chunk, or the parser's own copy if the head came in pieces. */
  bytes: Uint8Array = NO_BYTES;
  /** First byte of the request line, in `bytes`. `bytes.subarray(headStart, headEnd)` can be parsed anew elsewhere. */
  headStart = 0;
  /** The byte after the empty line that ends the head, in `bytes`. */
  headEnd = 0;
  /** The method as sent: case matters. */
  method = '';
  /** n of HTTP/1.n: 0, or 1 for all others, which are read as 1.1 (RFC 9110 §2.5). */
  minorVersion = 1;
  /** -1 when the request has no Content-Length. */
  contentLength = -1;
  /** `Transfer-Encoding: chunked`. Never together with a Content-Length. */
  chunked = false;
  /** False when the peer sent `Connection: close`, or in HTTP/1.0 no `Connection: keep-alive`. */
  keepAlive = true;
  /** The peer waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1). */
  expectContinue = false;
  /** All of it is ASCII; otherwise its texts are UTF-8, and what is none becomes U+FFFD. */
  isAscii = true;
  /** Header lines, repeated ones counted each. */
  size = 0;

  /** @internal Position of the first fed byte in `bytes`. */
  base = 0;
  /** @internal */
  targetAt = 0;
  /** @internal */
  targetEndAt = 0;
  /** @internal The first `?` of the target, or -1. */
  queryAt = -1;
  /** @internal Where the path starts: behind the authority in absolute-form. */
  pathAt = 0;
  /** @internal Where the authority of an absolute-form target starts, or -1. It ends at `pathAt`. */
  authorityAt = -1;
  /** @internal Connection holds `close`, whatever else it holds. */
  saysClose = false;
  /** @internal The line of Host, or -1. */
  hostLine = -1;
  /** @internal Four numbers a line: start and end of the name, start and end of the value. */
  fields = new Int32Array(FIRST_CAPACITY * 4);

  readonly #strings: StringCache;
  /** '' until it is asked for. */
  #path = '';

  constructor(strings: StringCache = new StringCache()) {
    this.#strings = strings;
  }

  /** The request target as sent (RFC 9112 §3.2). */
  get target(): string {
    return this.#once(this.base + this.targetAt, this.base + this.targetEndAt);
  }

  /** The path of the target, not decoded, without the query. `*` for `OPTIONS *`. */
  get path(): string {
    if (this.#path === '') this.#path = this.#readPath();
    return this.#path;
  }

  /** What follows the first `?`, not decoded; '' when there is none. */
  get query(): string {
    if (this.queryAt < 0) return '';
    return this.#once(this.base + this.queryAt + 1, this.base + this.targetEndAt);
  }

  /** The host that is asked for, with its port if it has one; '' where HTTP/1.0 names none. */
  get host(): string {
    if (this.hostLine >= 0) return this.#value(this.hostLine);
    if (this.authorityAt < 0) return '';
    return this.#strings.get(this.bytes, this.base + this.authorityAt, this.base + this.pathAt);
  }

  /** Whether a body follows the head. */
  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0;
  }

  /**
   * The value of a header by its lower-case name: '' when absent, repeated ones joined with `, ` (RFC 9110 §5.3), those of
   * Cookie, whose value is no list, with `; ` (RFC 6265 §4.2.1).
   */
  header(lowerCaseName: string): string {
    let i = this.#next(lowerCaseName, 0);
    if (i < 0) return '';
    let value = this.#value(i);
    for (i = this.#next(lowerCaseName, i + 1); i >= 0; i = this.#next(lowerCaseName, i + 1)) {
      value += `${lowerCaseName === 'cookie' ? '; ' : ', '}${this.#value(i)}`;
    }
    return value;
  }

  /** How many lines have this lower-case name. */
  headerCount(lowerCaseName: string): number {
    let count = 0;
    for (let i = this.#next(lowerCaseName, 0); i >= 0; i = this.#next(lowerCaseName, i + 1)) count++;
    return count;
  }

  /** Every header line in the order received, its name in lower case. */
  forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.size; i++) {
      const start = this.base + this.fields[i * 4]!;
      const end = this.base + this.fields[i * 4 + 1]!;
      visit(this.#strings.getLowerCase(this.bytes, start, end), this.#value(i));
    }
  }

  /** @internal Makes room for one more line. */
  grow(): void {
    const larger = new Int32Array(this.fields.length * 2);
    larger.set(this.fields);
    this.fields = larger;
  }

  /** @internal The same head as before, in another place. */
  lieIn(bytes: Uint8Array, start: number, size: number): void {
    this.bytes = bytes;
    this.base = start;
    this.headStart = start;
    this.headEnd = start + size;
  }

  /** @internal Lets go of the bytes. */
  release(): void {
    this.bytes = NO_BYTES;
  }

  /** @internal */
  reset(): void {
    this.bytes = NO_BYTES;
    this.#path = '';
    this.headStart = 0;
    this.headEnd = 0;
    this.method = '';
    this.minorVersion = 1;
    this.contentLength = -1;
    this.chunked = false;
    this.keepAlive = true;
    this.expectContinue = false;
    this.isAscii = true;
    this.size = 0;
    this.base = 0;
    this.targetAt = 0;
    this.targetEndAt = 0;
    this.queryAt = -1;
    this.pathAt = 0;
    this.authorityAt = -1;
    this.saysClose = false;
    this.hostLine = -1;
  }

  #readPath(): string {
    const end = this.queryAt < 0 ? this.targetEndAt : this.queryAt;
    if (this.pathAt >= end) return '/';
    return this.#get(this.base + this.pathAt, this.base + end);
  }

  #value(i: number): string {
    const start = this.base + this.fields[i * 4 + 2]!;
    const end = this.base + this.fields[i * 4 + 3]!;
    // Short values ('websocket', '13', 'keep-alive') come back; longer ones are mostly keys, cookies and tokens.
    return end - start > MAX_COMMON_VALUE ? this.#once(start, end) : this.#get(start, end);
  }

  #once(start: number, end: number): string {
    if (!this.isAscii) return unicodeText(this.bytes, start, end);
    return this.#strings.once(this.bytes, start, end);
  }

  #get(start: number, end: number): string {
    // The cache compares bytes with characters, which only of ASCII are the same.
    if (!this.isAscii) return unicodeText(this.bytes, start, end);
    return this.#strings.get(this.bytes, start, end);
  }

  #next(lowerCaseName: string, from: number): number {
    const { fields, size } = this;
    for (let i = from; i < size; i++) {
      const start = fields[i * 4]!;
      if (fields[i * 4 + 1]! - start !== lowerCaseName.length) continue;
      if (equalsLowerCase(this.bytes, this.base + start, lowerCaseName)) return i;
    }
    return -1;
  }
}
