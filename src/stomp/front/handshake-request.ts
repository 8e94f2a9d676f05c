/** HandshakeRequest: what is kept of the request that a WebSocket client came with, for `authenticate`. */
export class HandshakeRequest {
  readonly url: string;
  /** Without the `?`; '' without one. */
  readonly query: string;
  readonly #headers: ReadonlyMap<string, string>;

  constructor(url: string, query: string, headers: ReadonlyMap<string, string>) {
    this.url = url;
    this.query = query;
    this.#headers = headers;
  }

  /** The value of a header, by its name in lower case; '' when there is none. */
  getHeader(lowerCaseKey: string): string {
    return this.#headers.get(lowerCaseKey) ?? '';
  }
}

/** What is read of a request; it is true during the `open` handler. */
interface Request {
  getUrl(): string;
  getQuery(): string | undefined;
  forEach(visit: (key: string, value: string) => void): void;
}

/** Copies a request. Of repeated headers the values stand one behind the other, with commas between them. */
export function keptRequest(request: Request): HandshakeRequest {
  const headers = new Map<string, string>();
  request.forEach((key, value) => {
    const first = headers.get(key);
    headers.set(key, first === undefined ? value : `${first}, ${value}`);
  });
  return new HandshakeRequest(request.getUrl(), request.getQuery() ?? '', headers);
}
