import { described, readInteger } from '../caller-values.ts';
import { invalidArgument, MillraceError } from '../errors.ts';
import { addressText } from '../http/proxy-protocol.ts';
import { allowsBody, CHUNKED, ResponseHead, UNTIL_CLOSE } from '../http/response-writer.ts';
import { httpDate, textPort } from '../net/native-ports.ts';
import { MAX_PLAIN_BODY, writePlainBytes, writePlainText } from '../net/plain-response.ts';
import type { Transport } from '../net/transport.ts';
import { writeBytes, writeText } from '../net/write-bytes.ts';
import { callUser, type OnFailure, THREW, type UserCode, userCode } from '../user-code.ts';
import { addressBytes } from './address.ts';
import {
  BodyCollector,
  type BodyHandler,
  type BodyReader,
  ChunkReader,
  type DataHandler,
  type DataHandlerV2,
  SizedChunkReader,
} from './body-reader.ts';
import { BodyStream } from './body-stream.ts';
import { bytesOf, ownCopy, type RecognizedString, textOf, textOrBytes } from './recognized-string.ts';

/** Passed through from the `upgrade` handler to `res.upgrade`. */
export type UpgradeContext = object;

/** The peer of a proxy. */
export interface ProxiedAddress {
  /** 4 or 16 bytes; none when the proxy speaks for itself. */
  readonly address: Uint8Array<ArrayBuffer>;
  readonly port: number;
}

/** Whom a response tells what its user wants. */
export interface ResponseOwner {
  /** False: the connection ends behind this response. */
  readonly keepAlive: boolean;
  /** The request is of HTTP/1.0: there are no chunks, and a connection that goes on is said to. */
  readonly isHttp10: boolean;
  /** The request asks for a WebSocket, and may be answered with `upgrade`. */
  readonly isHandshake: boolean;
  /** The client that a proxy speaks for. */
  readonly proxied: ProxiedAddress | null;
  responseEnded(response: HttpResponse, close: boolean): void;
  responseUpgraded(response: HttpResponse, upgrade: UpgradeFields): void;
  /** The response has a reader for the request's body now. */
  bodyWanted(response: HttpResponse): void;
  /** A callback that the response called for its user returned something, which may be a promise. */
  callbackReturned(response: HttpResponse, result: unknown): void;
  setPaused(isPaused: boolean): void;
}

export interface UpgradeFields {
  readonly userData: unknown;
  readonly key: string;
  readonly protocol: string;
  readonly extensions: string;
  /** Header lines the handler wrote before. */
  readonly headerLines: readonly (readonly [string, string])[];
}

/** What a response needs only when it is not answered at once, or answers a handshake. */
class Extras {
  onWritable: UserCode<(offset: number) => boolean> | null = null;
  reader: BodyReader | null = null;
  /** Header lines of the answer to a handshake. */
  headerLines: [string, string][] | null = null;
}

/** Response heads that are not in use: their users never see them. */
const spareHeads: ResponseHead[] = [];
const MAX_SPARE_HEADS = 256;

/** Whether the response can still be sent. */
export let isOpen: (response: HttpResponse) => boolean;
/** Whether some of it is sent, so that no other answer can take its place. */
export let hasBegun: (response: HttpResponse) => boolean;
/** Whether the handler said what to do when the peer leaves, and so may answer after it returned. */
export let canAnswerLater: (response: HttpResponse) => boolean;
/** The reader of the request's body, if there is one. */
export let readerOf: (response: HttpResponse) => BodyReader | null;
/** The reader got the last piece of the body. */
export let dropReader: (response: HttpResponse) => void;
/** Whether it answers HEAD. */
export let isForHead: (response: HttpResponse) => boolean;
export let markEnded: (response: HttpResponse) => void;
/** The peer is gone, or the server answers itself: calls `onAborted` once. */
export let abort: (response: HttpResponse, failed: OnFailure) => void;
/** The kernel takes bytes again: calls `onWritable`. */
export let writable: (response: HttpResponse, failed: OnFailure) => void;

/**
 * A response, in the names of uWebSockets.js. Valid until `end`, `endWithoutBody`, a `tryEnd` that sent all, or
 * `upgrade`; or until `onAborted` was called. After that every method throws MILLRACE_STALE_ACCESS.
 *
 * What is written in a handler leaves when the handler is done, in one write; what is written later leaves at the end
 * of the turn of the event loop, or with the `cork` around it.
 */
export class HttpResponse {
  readonly #transport: Transport;
  readonly #owner: ResponseOwner;
  readonly #method: string;
  #head: ResponseHead | null = null;
  #state: 'open' | 'ended' | 'aborted' = 'open';
  /** The body, when it comes in parts; null: it does not, or its head is not sent yet. */
  #stream: BodyStream | null = null;
  /** No bytes of a body are sent: HEAD, 204, 304. */
  #isBodiless = false;
  #onAborted: UserCode<() => void> | null = null;
  /** What few responses need; null: nothing of it. */
  #extras: Extras | null = null;
  /** Fields of the user. */
  // As in uWebSockets.js, whose users keep what belongs to a request on its response.
  // oxlint-disable-next-line typescript/no-explicit-any
  [key: string]: any;

  /** @internal */
  constructor(transport: Transport, owner: ResponseOwner, method: string) {
    this.#transport = transport;
    this.#owner = owner;
    this.#method = method;
  }

  /**
   * The peer is gone, or an error of a handler was answered; nothing can be sent any more. It may be set: many programs
   * keep a field of this name, and from then on it holds what they gave it.
   */
  get aborted(): boolean {
    return this.#state === 'aborted';
  }

  set aborted(value: boolean) {
    Object.defineProperty(this, 'aborted', { value, writable: true, enumerable: true, configurable: true });
  }

  /**
   * Sets the status line, such as '404 Not Found'. First of all, or '200 OK' is sent; a second call changes nothing.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when it is not a code and a phrase
   */
  writeStatus(status: RecognizedString): this {
    this.#openHead('writeStatus').writeStatus(textOf(status));
    return this;
  }

  /**
   * Adds a header line, which is sent as UTF-8. Content-Length and Date are added by the server where they are not written;
   * a Content-Length of one's own lets `write` send the body as it is instead of in chunks. Of Connection there is one line:
   * a `close` in it ends the connection behind the response, and the server adds `close` where it ends it itself.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when the header could not be sent as it is
   */
  writeHeader(key: RecognizedString, value: RecognizedString | number): this {
    const head = this.#openHead('writeHeader');
    const name = textOf(key);
    const text = typeof value === 'number' ? String(value) : textOf(value);
    head.writeHeader(name, text);
    if (this.#owner.isHandshake) {
      const extras = this.#getExtras();
      extras.headerLines ??= [];
      extras.headerLines.push([name, text]);
    }
    return this;
  }

  /**
   * Sends a part of a body whose length is not known before: in chunks, unless the handler wrote a Content-Length. To a
   * peer of HTTP/1.0, which knows no chunks, the end of the connection is the end of the body.
   * Ends with `end`. An empty part sends nothing, as it would end the body.
   *
   * @returns true: no bytes wait in user space; false: there is backpressure, write on when `onWritable` is called
   */
  write(chunk: RecognizedString): boolean {
    this.#assertOpen();
    const part = textOrBytes(chunk);
    const length = lengthOf(part);
    const transport = this.#transport;
    if (length > 0) (this.#stream ?? this.#beginStream(-1)).write(part, length);
    return !transport.blocked;
  }

  /**
   * Sends the response, or the last part of it.
   *
   * @param closeConnection the connection ends behind it. Default false
   */
  end(body: RecognizedString = '', closeConnection = false): this {
    this.#assertOpen();
    const isBegun = this.#head !== null || this.#stream !== null;
    if (!isBegun && !closeConnection && this.#endPlain(body)) return this.#finish(false);
    const part = textOrBytes(body);
    const length = lengthOf(part);
    if (this.#stream !== null) return this.#endStream(this.#stream, part, length, closeConnection);
    const isText = typeof part === 'string';
    const isInHead = isText && length === part.length && length <= MAX_PLAIN_BODY;
    const close = this.#sendHead(length, closeConnection, true, isInHead ? part : '');
    if (!isInHead && !this.#isBodiless && length > 0) {
      if (isText) writeText(this.#transport, part, length);
      else writeBytes(this.#transport, part);
    }
    return this.#finish(close);
  }

  /**
   * Sends the head alone, for HEAD and 304. Where a body could follow, its length is 0, or the connection ends behind
   * the head: the peer would take what comes next for the body.
   *
   * @param reportedContentLength bytes a body would have; left out when it is not given
   */
  endWithoutBody(reportedContentLength?: number, closeConnection = false): this {
    this.#assertOpen();
    if (this.#stream !== null) return this.#endStream(this.#stream, '', 0, closeConnection);
    const reported = readSize('endWithoutBody', reportedContentLength);
    const { status, contentLength } = this.#openHead('endWithoutBody');
    const isAwaited = allowsBody(this.#method, status);
    const length = reported ?? (isAwaited ? 0 : -1);
    const announced = contentLength < 0 ? length : contentLength;
    return this.#finish(this.#sendHead(length, closeConnection || (isAwaited && announced > 0), false));
  }

  /**
   * Sends as much of a body of known length as the kernel takes now, and queues nothing. What was not taken is to be
   * given again in `onWritable`; `getWriteOffset` tells where it starts.
   *
   * @param fullBodyOrChunk the next bytes of the body
   * @param totalSize bytes of the whole body, the same in every call; 0: this is all of it
   * @returns whether all of `fullBodyOrChunk` was taken, and whether the whole body was, which ends the response
   */
  tryEnd(fullBodyOrChunk: RecognizedString, totalSize: number): [ok: boolean, hasResponded: boolean] {
    this.#assertOpen();
    const total = readSize('tryEnd', totalSize) ?? 0;
    const bytes = bytesOf(fullBodyOrChunk);
    if (this.#stream?.hasTotal === false) {
      throw invalidArgument('res.tryEnd: write() began a body of any length; go on with write(), and end()');
    }
    const stream = this.#stream ?? this.#beginStream(total === 0 ? bytes.length : total);
    if (total !== 0 && total !== stream.total) {
      throw invalidArgument(
        `res.tryEnd: totalSize is ${total}, and was ${stream.total} before: it is of the whole body`,
      );
    }
    const taken = stream.tryWrite(bytes);
    const hasResponded = stream.isComplete;
    if (hasResponded) this.#finishStream(stream, false);
    return [taken === bytes.length, hasResponded];
  }

  /** Bytes of the body that were taken so far, by `tryEnd` and `write`. */
  getWriteOffset(): number {
    this.#assertOpen();
    return this.#stream?.offset ?? 0;
  }

  /**
   * Called when the kernel takes bytes again. The callback gets `getWriteOffset()`, and returns whether all that it
   * wrote was taken (true also when it wrote nothing).
   */
  onWritable(callback: (offset: number) => boolean): this {
    this.#assertOpen();
    this.#getExtras().onWritable = checkFunction('onWritable', callback);
    return this;
  }

  /**
   * Called once when the peer goes away before the response is sent, or when the server answers in its place: an error
   * of a handler, a body that is malformed or late. Needed when a handler answers later.
   */
  onAborted(callback: () => void): this {
    this.#assertOpen();
    this.#onAborted = checkFunction('onAborted', callback);
    return this;
  }

  /**
   * Reads the request's body: the callback gets each piece as it arrives, and an empty one that is the last when there
   * is no body. The ArrayBuffer is the callback's own and may be kept. Until there is a reader the body waits; a body
   * that nobody has read when the response is sent is read and forgotten, or, when it is long, ends the connection.
   */
  onData(callback: DataHandler): this {
    return this.#read(new ChunkReader(checkFunction('onData', callback)));
  }

  /**
   * The same with the number of bytes that are to come at most: 0n says that the piece is the last one. It is exact with
   * a Content-Length, and 2n ** 64n - 1n until the end of a body in chunks.
   */
  onDataV2(callback: DataHandlerV2): this {
    return this.#read(new SizedChunkReader(checkFunction('onDataV2', callback)));
  }

  /** Reads the request's body whole. The callback gets null as soon as it is known to be longer than `maxSize`. */
  collectBody(maxSize: number, callback: BodyHandler): this {
    // Infinity is no limit.
    const size = readSize('collectBody', maxSize, Number.POSITIVE_INFINITY);
    if (size === undefined) throw invalidSize('collectBody', maxSize);
    return this.#read(new BodyCollector(size, checkFunction('collectBody', callback)));
  }

  /** Reads no more of the request's body; the peer is made to wait. */
  pause(): this {
    this.#assertOpen();
    this.#owner.setPaused(true);
    return this;
  }

  /** Reads on. */
  resume(): this {
    this.#assertOpen();
    this.#owner.setPaused(false);
    return this;
  }

  /** Sends all that `callback` writes in one go. Handlers run corked already; after an `await` it saves writes. */
  cork(callback: () => void): this {
    this.#assertOpen();
    assertFunction('cork', callback);
    const previous = this.#transport.io.corked;
    this.#transport.beginCork();
    try {
      const result: unknown = callback();
      if (result !== undefined) this.#owner.callbackReturned(this, result);
    } finally {
      this.#transport.endCork(previous);
    }
    return this;
  }

  /** The old name of `cork`. */
  collect(callback: () => void): this {
    return this.cork(callback);
  }

  /** Closes the connection at once; `onAborted` is called. */
  close(): this {
    if (this.#state === 'open') this.#transport.destroy();
    return this;
  }

  /**
   * Accepts the handshake that the `upgrade` handler was given. The arguments are the request's headers as they
   * are, '' or undefined where absent.
   *
   * @param userData its own properties are copied onto the WebSocket
   */
  upgrade<UserData>(
    userData: UserData,
    secWebSocketKey: RecognizedString | undefined,
    secWebSocketProtocol: RecognizedString | undefined,
    secWebSocketExtensions: RecognizedString | undefined,
    _context: UpgradeContext,
  ): void {
    // Throws when another head was sent.
    this.#openHead('upgrade');
    this.#owner.responseUpgraded(this, {
      userData,
      key: textOf(secWebSocketKey ?? ''),
      protocol: textOf(secWebSocketProtocol ?? ''),
      extensions: textOf(secWebSocketExtensions ?? ''),
      headerLines: this.#extras?.headerLines ?? [],
    });
  }

  /** The peer's address: 4 bytes, or 16 for IPv6. */
  getRemoteAddress(): ArrayBuffer {
    this.#assertOpen();
    return addressBytes(this.#transport.peerName().address);
  }

  /** The peer's address as text, in bytes. */
  getRemoteAddressAsText(): ArrayBuffer {
    this.#assertOpen();
    return new TextEncoder().encode(this.#transport.peerName().address).buffer;
  }

  getRemotePort(): number {
    this.#assertOpen();
    return this.#transport.peerName().port;
  }

  /** The client's certificate as PEM, which was checked; '' when it sent none. See `ca_file_name`. */
  getX509Certificate(): string {
    this.#assertOpen();
    return this.#transport.tls?.peerCertificate() ?? '';
  }

  /**
   * The address of the client that a proxy speaks for, 4 or 16 bytes; none without the option `proxyProtocol`, and when
   * the proxy names no client.
   */
  getProxiedRemoteAddress(): ArrayBuffer {
    this.#assertOpen();
    return ownCopy(this.#owner.proxied?.address ?? NO_BYTES);
  }

  /** The same as text, in bytes. */
  getProxiedRemoteAddressAsText(): ArrayBuffer {
    this.#assertOpen();
    return new TextEncoder().encode(addressText(this.#owner.proxied?.address ?? NO_BYTES)).buffer;
  }

  /** The port of that client; 0 when there is none. */
  getProxiedRemotePort(): number {
    this.#assertOpen();
    return this.#owner.proxied?.port ?? 0;
  }

  #read(reader: BodyReader): this {
    this.#assertOpen();
    this.#getExtras().reader = reader;
    this.#owner.bodyWanted(this);
    return this;
  }

  /** Sends the head of a body that comes in parts. `total`: its length, or -1. */
  #beginStream(total: number): BodyStream {
    const { contentLength: written, status } = this.#openHead('write');
    if (total >= 0 && written >= 0 && written !== total) {
      throw invalidArgument(
        `res.tryEnd: totalSize is ${total}, and the Content-Length written before is ${written}`,
      );
    }
    const announced = Math.max(total, written);
    const unknown = this.#owner.isHttp10 || this.#isTunnel(status) ? UNTIL_CLOSE : CHUNKED;
    const length = announced < 0 ? unknown : announced;
    const saidClose = this.#sendHead(length, false, true);
    this.#stream = new BodyStream(this.#transport, length, this.#isBodiless, saidClose);
    return this.#stream;
  }

  /** Returns false when the response is not of the plain kind. */
  #endPlain(body: RecognizedString): boolean {
    const owner = this.#owner;
    if (this.#method === 'HEAD' || this.#method === 'CONNECT') return false;
    if (!owner.keepAlive || owner.isHttp10) return false;
    if (typeof body === 'string') {
      if (body.length * 3 > MAX_PLAIN_BODY) return false;
      writePlainText(this.#transport, body);
      return true;
    }
    const bytes = bytesOf(body);
    if (bytes.length > MAX_PLAIN_BODY) return false;
    writePlainBytes(this.#transport, bytes);
    return true;
  }

  #endStream(stream: BodyStream, part: string | Uint8Array, length: number, closeConnection: boolean): this {
    stream.end(part, length);
    return this.#finishStream(stream, closeConnection);
  }

  #finishStream(stream: BodyStream, closeConnection: boolean): this {
    return this.#finish(closeConnection || stream.saidClose || !this.#owner.keepAlive);
  }

  /**
   * Returns whether the connection ends behind this response.
   *
   * @param isBody `length` bytes follow
   * @param body ASCII that is to leave with the head
   */
  #sendHead(length: number, closeConnection: boolean, isBody: boolean, body = ''): boolean {
    const head = this.#openHead('end');
    const { contentLength, status, isAscii } = head;
    if (status < 200) {
      throw invalidArgument(
        `res.end: ${status} is no final status, the peer would wait for another; answer with 200 to 999 (upgrade() sends 101)`,
      );
    }
    this.#isBodiless = !allowsBody(this.#method, status);
    if (isBody && contentLength >= 0 && contentLength !== length && !this.#isBodiless) {
      throw invalidArgument(
        `res.end: the body has ${length} bytes, and the Content-Length written before is ${contentLength}`,
      );
    }
    const isTunnel = this.#isTunnel(status);
    const endsIt = isTunnel || (length === UNTIL_CLOSE && !this.#isBodiless);
    const close = closeConnection || head.close || endsIt || !this.#owner.keepAlive;
    // Of a body that is not sent nothing is known: 0 may be as wrong as any other number.
    const isUnknown = isBody && this.#isBodiless && (length <= 0 || status === 304) && length !== CHUNKED;
    const announced = isTunnel ? UNTIL_CLOSE : isUnknown ? -1 : length;
    let text = head.finish(announced, httpDate(), close, this.#owner.isHttp10 && !close);
    if (!this.#isBodiless) text += body;
    writeText(this.#transport, text, isAscii ? text.length : textPort.byteLength(text));
    this.#returnHead();
    return close;
  }

  /** What follows the head of a 2xx to CONNECT belongs to a tunnel, and has no length (RFC 9110 §8.6). */
  #isTunnel(status: number): boolean {
    return this.#method === 'CONNECT' && status < 300;
  }

  #finish(close: boolean): this {
    this.#state = 'ended';
    this.#release();
    this.#owner.responseEnded(this, close);
    return this;
  }

  /** What a user keeps of this object is to keep nothing else alive. */
  #release(): void {
    this.#onAborted = null;
    this.#extras = null;
    this.#returnHead();
  }

  #getExtras(): Extras {
    this.#extras ??= new Extras();
    return this.#extras;
  }

  #returnHead(): void {
    const head = this.#head;
    if (head === null) return;
    this.#head = null;
    head.reset();
    if (spareHeads.length < MAX_SPARE_HEADS) spareHeads.push(head);
  }

  #openHead(method: string): ResponseHead {
    this.#assertOpen();
    if (this.#stream !== null) {
      throw invalidArgument(
        `res.${method}: the head was sent with the first write() or tryEnd(); call it before`,
      );
    }
    this.#head ??= spareHeads.pop() ?? new ResponseHead();
    return this.#head;
  }

  #assertOpen(): void {
    if (this.#state === 'open') return;
    throw new MillraceError(
      'MILLRACE_STALE_ACCESS',
      'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful response. ' +
        'Look at res.aborted after every await.',
    );
  }

  static {
    Object.defineProperty(this, 'name', { value: 'uWS.HttpResponse' });
    isOpen = (response) => response.#state === 'open';
    hasBegun = (response) => response.#stream !== null;
    canAnswerLater = (response) => response.#onAborted !== null;
    readerOf = (response) => response.#extras?.reader ?? null;
    dropReader = (response) => {
      response.#getExtras().reader = null;
    };
    isForHead = (response) => response.#method === 'HEAD';
    markEnded = (response) => {
      response.#state = 'ended';
      response.#release();
    };
    abort = (response, failed) => {
      if (response.#state !== 'open') return;
      response.#state = 'aborted';
      const callback = response.#onAborted;
      response.#release();
      if (callback !== null) callUser(callback, failed);
    };
    writable = (response, failed) => {
      const callback = response.#extras?.onWritable ?? null;
      if (callback === null || response.#state !== 'open') return;
      const result = callUser(callback, failed, response.#stream?.offset ?? 0);
      if (typeof result === 'boolean' || result === THREW) return;
      throw invalidArgument(
        'res.onWritable: the callback must return true or false: whether all it wrote was taken (it cannot be async)',
      );
    };
  }
}

const NO_BYTES = new Uint8Array(0);

function lengthOf(part: string | Uint8Array): number {
  return typeof part === 'string' ? textPort.byteLength(part) : part.length;
}

function checkFunction<F extends (...args: never[]) => unknown>(method: string, callback: F): UserCode<F> {
  assertFunction(method, callback);
  return userCode(callback);
}

function assertFunction(method: string, callback: unknown): void {
  if (typeof callback === 'function') return;
  throw invalidArgument(`res.${method}: the callback must be a function; got ${described(callback)}`);
}

/** A number of bytes; undefined: none was given. Larger ones than the default would not be written in plain digits. */
function readSize(method: string, size: unknown, max = Number.MAX_SAFE_INTEGER): number | undefined {
  const given = readInteger(size);
  if (given === undefined || (given >= 0 && given <= max)) return given;
  throw invalidSize(method, size);
}

function invalidSize(method: string, size: unknown): MillraceError {
  return invalidArgument(
    `res.${method}: the size must be an integer from 0 to 2 ** 53 - 1; got ${described(size)}`,
  );
}
