import { TOKEN } from './characters.ts';

/** Parameters by their names in lower case. */
export type Parameters = ReadonlyMap<string, string>;

/**
 * The parameters of a header value such as `form-data; name="a"; filename="b.txt"` (RFC 9110 §5.6.6) from the
 * semicolon at `from` on, or undefined when they are malformed or one comes twice.
 *
 * In a quoted value `\"` stands for `"`; every other backslash is one, as in the file names of Windows. Browsers escape
 * nothing with it: if the parameters cannot be read so, they are read once more with backslashes as plain characters.
 */
export function parseParameters(text: string, from: number): Parameters | undefined {
  return new ParameterReader(text, from, true).read() ?? new ParameterReader(text, from, false).read();
}

class ParameterReader {
  readonly #text: string;
  readonly #escapes: boolean;
  #at: number;

  constructor(text: string, from: number, escapes: boolean) {
    this.#text = text;
    this.#at = from;
    this.#escapes = escapes;
  }

  read(): Parameters | undefined {
    const parameters = new Map<string, string>();
    for (;;) {
      this.#space();
      if (this.#at === this.#text.length) return parameters;
      if (!this.#takes(';')) return undefined;
      this.#space();
      // An empty parameter is let pass (RFC 9110 §5.6.6).
      if (this.#at === this.#text.length || this.#text[this.#at] === ';') continue;
      const name = this.#token().toLowerCase();
      if (name === '' || !this.#takes('=') || parameters.has(name)) return undefined;
      const value = this.#takes('"') ? this.#quoted() : this.#plain();
      if (value === undefined) return undefined;
      parameters.set(name, value);
    }
  }

  #takes(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at++;
  }

  #token(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && TOKEN[this.#text.charCodeAt(this.#at)] === 1) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  /** A value without quotes: looser than a token, as boundaries with `=` or `/` are sent so. */
  #plain(): string | undefined {
    const start = this.#at;
    while (this.#at < this.#text.length && !' \t;",'.includes(this.#text[this.#at]!)) this.#at++;
    return this.#at > start ? this.#text.slice(start, this.#at) : undefined;
  }

  #quoted(): string | undefined {
    let value = '';
    for (;;) {
      const quote = this.#text.indexOf('"', this.#at);
      if (quote < 0) return undefined;
      const isEscaped = this.#escapes && quote > this.#at && this.#text[quote - 1] === '\\';
      value += this.#text.slice(this.#at, isEscaped ? quote - 1 : quote);
      this.#at = quote + 1;
      if (!isEscaped) return value;
      value += '"';
    }
  }
}
