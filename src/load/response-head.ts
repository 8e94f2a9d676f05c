import type { HandshakeResponse } from '../protocol/client-handshake.ts';

/** A head that is longer is no answer to a handshake. */
export const MAX_RESPONSE_HEAD = 16 * 1024;

/** The head of an HTTP/1.1 response (RFC 9112 §4, §5). */
export class ResponseHead implements HandshakeResponse {
  readonly status: number;
  /** The reason phrase, '' if absent. */
  readonly reason: string;
  readonly #fields: (readonly [name: string, value: string])[];

  private constructor(status: number, reason: string, fields: (readonly [string, string])[]) {
    this.status = status;
    this.reason = reason;
    this.#fields = fields;
  }

  /**
   * Parses a whole head, Latin-1, without the empty line that ends it. Returns undefined for what is not HTTP/1.1,
   * or has a line that is no header.
   */
  static parse(text: string): ResponseHead | undefined {
    const [first = '', ...lines] = text.split('\r\n');
    const [, status, reason = ''] = /^HTTP\/1\.1 (\d{3})(?: ([^\r\n]*))?$/.exec(first) ?? [];
    if (status === undefined) return undefined;
    const fields: [string, string][] = [];
    for (const line of lines) {
      const colon = line.indexOf(':');
      if (colon <= 0 || /\s/.test(line.slice(0, colon))) return undefined;
      fields.push([line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]);
    }
    return new ResponseHead(Number(status), reason, fields);
  }

  header(lowerCaseName: string): string {
    return this.#fields
      .filter(([name]) => name === lowerCaseName)
      .map(([, value]) => value)
      .join(', ');
  }

  headerCount(lowerCaseName: string): number {
    return this.#fields.filter(([name]) => name === lowerCaseName).length;
  }
}
