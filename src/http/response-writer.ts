import { invalidArgument } from '../errors.ts';
import { ASCII_VALUE, TOKEN } from './characters.ts';

/** Header lines in the order they are sent; a name may come more than once. */
export type HeaderLines = readonly (readonly [name: string, value: string])[];

const NO_LINES: HeaderLines = [];

/** Reason phrases (RFC 9110 §15, RFC 6585). */
export const REASON_PHRASES: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  418: "I'm a teapot",
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  511: 'Network Authentication Required',
};

/** The interim answer to `Expect: 100-continue`. */
export const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/**
 * One header line with its CRLF, to be sent as UTF-8. Throws MILLRACE_INVALID_ARGUMENT if name or value could not be sent
 * as they are.
 */
export function headerLine(name: string, value: string): string {
  checkField(name, value);
  return `${name}: ${value}\r\n`;
}

/** Throws if name or value could not be sent as they are. Returns whether both are ASCII. */
function checkField(name: string, value: string): boolean {
  if (!isToken(name)) {
    throw invalidArgument(`The header name ${quote(name)} is not a token: use letters, digits and "-".`);
  }
  const text = kindOf(value);
  if (text === INVALID) {
    throw invalidArgument(
      `The value of header ${quote(name)} holds a line break, NUL or another control: encode or remove it.`,
    );
  }
  return text === ASCII;
}

/**
 * A whole response that refuses a request and closes the connection, as text with one byte per character. An Upgrade
 * among the headers is named in Connection too (RFC 9110 §7.8).
 * The body, by default the reason phrase, is plain text; characters above U+00FF throw MILLRACE_INVALID_ARGUMENT.
 */
export function errorResponse(status: number, extraHeaders: HeaderLines = NO_LINES, body?: string): string {
  const reason = REASON_PHRASES[status] ?? 'Error';
  const text = body ?? `${reason}\n`;
  const hasUpgrade = extraHeaders.some(([name]) => name.toLowerCase() === 'upgrade');
  const connection = hasUpgrade ? 'Upgrade, close' : 'close';
  const lines = linesOf(extraHeaders, ['connection', 'content-length', 'transfer-encoding']);
  // What is cut to a byte could become a line end.
  if (!isLatin1(text) || !isLatin1(lines))
    throw invalidArgument('An error response holds a character above U+00FF: remove it.');
  return `${statusLine(`${status} ${reason}`)}Connection: ${connection}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n${lines}\r\n${text}`;
}

/** An error response with the time it is sent at, which all but those with 5xx must have (RFC 9110 §6.6.1). */
export function dated(response: string, date: string): string {
  const lines = response.indexOf('\r\n') + 2;
  return `${response.slice(0, lines)}Date: ${date}\r\n${response.slice(lines)}`;
}

/** An error response without its body, as an answer to HEAD must be (RFC 9110 §9.3.2). */
export function headOf(response: string): string {
  return response.slice(0, response.indexOf('\r\n\r\n') + 4);
}

export interface SwitchingProtocols {
  /** Sec-WebSocket-Accept. */
  accept: string;
  /** The subprotocol chosen; '' for none. */
  protocol?: string;
  /** Sec-WebSocket-Extensions; '' for none. */
  extensions?: string;
  extraHeaders?: HeaderLines;
}

const OWN_IN_101 = ['sec-websocket-accept', 'content-length', 'transfer-encoding'];

/**
 * The response that ends a WebSocket handshake (RFC 6455 §4.2.2), to be sent as UTF-8. Upgrade and Connection among the
 * further headers are left out: they can say nothing but what is said here.
 */
export function switchingProtocols(fields: SwitchingProtocols): string {
  const { accept, protocol = '', extensions = '', extraHeaders = NO_LINES } = fields;
  let own = OWN_IN_101;
  let lines = headerLine('Sec-WebSocket-Accept', accept);
  if (protocol !== '') {
    lines += headerLine('Sec-WebSocket-Protocol', protocol);
    own = [...own, 'sec-websocket-protocol'];
  }
  if (extensions !== '') {
    lines += headerLine('Sec-WebSocket-Extensions', extensions);
    own = [...own, 'sec-websocket-extensions'];
  }
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${lines}${linesOf(extraHeaders.filter(isNotSaid), own)}\r\n`;
}

function isNotSaid([name]: readonly [name: string, value: string]): boolean {
  const lower = name.toLowerCase();
  return lower !== 'upgrade' && lower !== 'connection';
}

const OK_LINE = 'HTTP/1.1 200 OK\r\n';

/** In place of a length: the body comes in chunks (RFC 9112 §7.1). */
export const CHUNKED = -2;

/** In place of a length: the body ends with the connection (RFC 9112 §6.3). Not even the app's Content-Length is sent. */
export const UNTIL_CLOSE = -3;

/** Whether a response to this method with this status carries a body (RFC 9110 §6.4.1, §15.3.6). */
export function allowsBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status >= 200 && status !== 204 && status !== 205 && status !== 304;
}

/**
 * The head of one response, in the order of calls: `writeStatus`, `writeHeader`…, `finish`. After `finish` it is
 * empty and can be used for the next one.
 */
export class ResponseHead {
  #text = '';
  #status = 0;
  #length = -1;
  #lengthLine = '';
  #hasDate = false;
  #isAscii = true;
  /** The app's Connection: its name as it was written, and the options of all its lines. */
  #connectionName = '';
  #connection = '';
  #close = false;

  /** The status code: 200 unless `writeStatus` said otherwise. */
  get status(): number {
    return this.#status === 0 ? 200 : this.#status;
  }

  /** Whether anything was written since the last `finish`. */
  get started(): boolean {
    return this.#status !== 0;
  }

  /** Whether `Connection: close` was written: the connection ends after this response. */
  get close(): boolean {
    return this.#close;
  }

  /** The Content-Length the app wrote, or -1. A body of another size must not follow it. */
  get contentLength(): number {
    return this.#length;
  }

  /** Whether all that was written is ASCII; otherwise it must be sent as UTF-8. */
  get isAscii(): boolean {
    return this.#isAscii;
  }

  /**
   * Sets the status line, such as '200 OK'; a known code may stand alone. Only the first call counts, and none after
   * a header, as in uWebSockets.js.
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when it is not a code and a phrase
   */
  writeStatus(status: string): this {
    if (this.#status !== 0) return this;
    this.#text = statusLine(status);
    if (kindOf(status) !== ASCII) this.#isAscii = false;
    this.#status = Number(status.slice(0, 3));
    return this;
  }

  /**
   * Adds a header line. The body's framing is the server's: Content-Length must be a number, and is not added to 204 and
   * 205; a Transfer-Encoding of `chunked` is left out, as the server says it where it is so. Lines of Connection are
   * joined into one, which `finish` makes true; of Date the first one counts.
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT naming the header
   */
  writeHeader(name: string, value: string): this {
    const isAscii = checkField(name, value);
    if (this.#status === 0) this.#writeOk();
    if (this.#isOfServer(name, value)) return this;
    if (!isAscii) this.#isAscii = false;
    this.#text += `${name}: ${value}\r\n`;
    return this;
  }

  /**
   * The whole head. Adds `Date` (skipped when `date` is ''), `Connection: close` when `close` is true, and
   * `Content-Length`, unless the app wrote them.
   *
   * @param contentLength the size of the body in bytes, also where no body is sent (HEAD, 304); -1 leaves it out, CHUNKED
   *   announces a body in chunks, and UNTIL_CLOSE leaves out the app's, too. 1xx and 204 never have either (RFC 9110 §8.6, RFC 9112 §6.1),
   *   205 has 0, and 304 no 0: caches take it for the length of what they have stored
   * @param close the connection ends behind the response
   * @param saysKeepAlive it does not, which the peer (HTTP/1.0) must be told
   */
  finish(contentLength: number, date: string, close = false, saysKeepAlive = false): string {
    if (this.#status === 0) this.#writeOk();
    let text = this.#text;
    if (date !== '' && !this.#hasDate) text += `Date: ${date}\r\n`;
    if (this.#connectionName !== '') text += this.#ownConnection(close, saysKeepAlive);
    else if (close) text += 'Connection: close\r\n';
    else if (saysKeepAlive) text += 'Connection: keep-alive\r\n';
    text += this.#framing(contentLength);
    this.reset();
    return `${text}\r\n`;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#text = '';
    this.#status = 0;
    this.#length = -1;
    this.#lengthLine = '';
    this.#hasDate = false;
    this.#isAscii = true;
    this.#connectionName = '';
    this.#connection = '';
    this.#close = false;
  }

  #writeOk(): void {
    this.#text = OK_LINE;
    this.#status = 200;
  }

  /** Takes note of what the server must know. Returns whether the line is not to be sent, or not from here. */
  #isOfServer(name: string, value: string): boolean {
    const size = name.length;
    if (size !== 4 && size !== 10 && size !== 14 && size !== 17) return false;
    switch (size) {
      case 4: {
        if (name.toLowerCase() !== 'date') return false;
        const isSecond = this.#hasDate;
        this.#hasDate = true;
        return isSecond;
      }
      case 10:
        return name.toLowerCase() === 'connection' && this.#takeConnection(name, value);
      case 14:
        return name.toLowerCase() === 'content-length' && this.#takeLength(name, value);
      case 17:
        return name.toLowerCase() === 'transfer-encoding' && isSaidByServer(value);
      default:
        return false;
    }
  }

  #takeConnection(name: string, value: string): true {
    if (this.#connectionName === '') this.#connectionName = name;
    this.#connection += this.#connection === '' ? value : `, ${value}`;
    if (optionsOf(value).some(isClose)) this.#close = true;
    return true;
  }

  #takeLength(name: string, value: string): true {
    if (!isDecimal(value))
      throw invalidArgument('The value of header "Content-Length" is not a number: write digits alone.');
    if (this.#length >= 0)
      throw invalidArgument('The header "Content-Length" was written twice: write it once.');
    this.#length = Number(value);
    this.#lengthLine = `${name}: ${value}\r\n`;
    return true;
  }

  /** The app's Connection, with what becomes of the connection: two lines, or options that contradict, mean nothing. */
  #ownConnection(close: boolean, saysKeepAlive: boolean): string {
    let value = this.#connection;
    if (close && !this.#close) {
      const options = optionsOf(value).filter((option) => option !== '' && !isKeepAlive(option));
      value = [...options, 'close'].join(', ');
    } else if (saysKeepAlive && !close && !optionsOf(value).some(isKeepAlive)) {
      value += value === '' ? 'keep-alive' : ', keep-alive';
    }
    return `${this.#connectionName}: ${value}\r\n`;
  }

  #framing(contentLength: number): string {
    const status = this.#status;
    if (status < 200 || status === 204) return '';
    if (status === 205) return 'Content-Length: 0\r\n';
    if (contentLength === UNTIL_CLOSE) return '';
    if (this.#lengthLine !== '') return this.#lengthLine;
    if (contentLength > 0 || (contentLength === 0 && status !== 304))
      return `Content-Length: ${contentLength}\r\n`;
    return contentLength === CHUNKED && status !== 304 ? 'Transfer-Encoding: chunked\r\n' : '';
  }
}

function statusLine(status: string): string {
  if (status === '200 OK') return OK_LINE;
  const code = Number(status.slice(0, 3));
  const shaped = isDecimal(status.slice(0, 3)) && code >= 100 && code <= 999;
  if (!shaped || (status.length > 3 && status[3] !== ' ') || kindOf(status) === INVALID) {
    throw invalidArgument(
      `The status ${quote(status)} is not a three-digit code and a phrase: write one such as "200 OK".`,
    );
  }
  return `HTTP/1.1 ${status.length > 3 ? status : `${status} ${REASON_PHRASES[code] ?? ''}`}\r\n`;
}

function linesOf(lines: HeaderLines, own: readonly string[]): string {
  let text = '';
  for (const [name, value] of lines) {
    if (own.includes(name.toLowerCase()))
      throw invalidArgument(`The header ${quote(name)} is set by the server: leave it out.`);
    text += headerLine(name, value);
  }
  return text;
}

/** The options of a Connection value (RFC 9110 §7.6.1). */
function optionsOf(value: string): string[] {
  return value.split(',').map((option) => option.trim());
}

function isClose(option: string): boolean {
  return option.toLowerCase() === 'close';
}

function isKeepAlive(option: string): boolean {
  return option.toLowerCase() === 'keep-alive';
}

/** The server says it where it is so, and sends a body of known length as it is. */
function isSaidByServer(encoding: string): true {
  if (encoding.trim().toLowerCase() === 'chunked') return true;
  throw invalidArgument('The header "Transfer-Encoding" is set by the server: leave it out.');
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (TOKEN[text.charCodeAt(i)] !== 1) return false;
  return text.length > 0;
}

/** What `kindOf` says of a text. */
const INVALID = 0;
const ASCII = 1;
const UNICODE = 2;

/** Whether a text can be a field value; beyond ASCII anything can, as UTF-8 has no controls of its own there. */
function kindOf(text: string): number {
  // An imported name is loaded anew at every use; a local is not.
  const ascii = ASCII_VALUE;
  for (let i = 0; i < text.length; i++) {
    if (ascii[text.charCodeAt(i)] !== 1) return kindFrom(text, i);
  }
  return ASCII;
}

function kindFrom(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80 && ASCII_VALUE[code] !== 1) return INVALID;
  }
  return UNICODE;
}

function isDecimal(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x30 || c > 0x39) return false;
  }
  return text.length > 0;
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}

/** A name as it is shown in a message: controls escaped, not too long. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
