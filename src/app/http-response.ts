import { described, readInteger } from '../caller-values.ts';
import { invalidArgument, MillraceError } from '../errors.ts';
import { addressAsText, addressBytes } from '../serving/address.ts';
import {
  BodyCollector,
  type BodyHandler,
  type BodyReader,
  ChunkReader,
  type DataHandler,
  type DataHandlerV2,
  SizedChunkReader,
} from '../serving/body-reader.ts';
import type { OutgoingResponse } from '../serving/outgoing-response.ts';
import { bytesOf, ownCopy, type RecognizedString, textOrBytes } from '../serving/recognized-string.ts';
import { type UserCode, userCode } from '../user-code.ts';

/** Passed through from the `upgrade` handler to `res.upgrade`. */
export type UpgradeContext = object;

/** The response behind what a user holds, when it can be sent still. Not a private method: its class would be a field of each. */
let open: (res: object) => OutgoingResponse;

/**
 * A response, in the names of uWebSockets.js. Valid until `end`, `endWithoutBody`, a `tryEnd` that sent all, or
 * `upgrade`; or until `onAborted` was called. After that every method throws MILLRACE_STALE_ACCESS.
 *
 * What is written in a handler leaves when the handler is done, in one write; what is written later leaves at the end
 * of the turn of the event loop, or with the `cork` around it.
 */
export class HttpResponse {
  readonly #response: OutgoingResponse;
  /** Fields of the user. */
  // As in uWebSockets.js, whose users keep what belongs to a request on its response.
  // oxlint-disable-next-line typescript/no-explicit-any
  [key: string]: any;

  /** @internal */
  constructor(response: OutgoingResponse) {
    this.#response = response;
  }

  /**
   * The peer is gone, or an error of a handler was answered; nothing can be sent any more. It may be set: many programs
   * keep a field of this name, and from then on it holds what they gave it.
   */
  get aborted(): boolean {
    return this.#response.isAborted;
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
    open(this).writeStatus(status);
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
    open(this).writeHeader(key, value);
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
    return open(this).write(textOrBytes(chunk));
  }

  /**
   * Sends the response, or the last part of it.
   *
   * @param closeConnection the connection ends behind it. Default false
   */
  end(body: RecognizedString = '', closeConnection = false): this {
    open(this).end(textOrBytes(body), closeConnection);
    return this;
  }

  /**
   * Sends the head alone, for HEAD and 304. Where a body could follow, its length is 0, or the connection ends behind
   * the head: the peer would take what comes next for the body.
   *
   * @param reportedContentLength bytes a body would have; left out when it is not given
   */
  endWithoutBody(reportedContentLength?: number, closeConnection = false): this {
    const response = open(this);
    // The length of a body that has begun is said already.
    const reported = response.hasBegun ? undefined : readSize('endWithoutBody', reportedContentLength);
    response.endWithoutBody(reported, closeConnection);
    return this;
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
    const response = open(this);
    const total = readSize('tryEnd', totalSize) ?? 0;
    return response.tryEnd(bytesOf(fullBodyOrChunk), total);
  }

  /** Bytes of the body that were taken so far, by `tryEnd` and `write`. */
  getWriteOffset(): number {
    return open(this).offset;
  }

  /**
   * Called when the kernel takes bytes again. The callback gets `getWriteOffset()`, and returns whether all that it
   * wrote was taken (true also when it wrote nothing).
   */
  onWritable(callback: (offset: number) => boolean): this {
    open(this).onWritable = checkFunction('onWritable', callback);
    return this;
  }

  /**
   * Called once when the peer goes away before the response is sent, or when the server answers in its place: an error
   * of a handler, a body that is malformed or late. Needed when a handler answers later.
   */
  onAborted(callback: () => void): this {
    open(this).onAborted = checkFunction('onAborted', callback);
    return this;
  }

  /**
   * Reads the request's body: the callback gets each piece as it arrives, and an empty one that is the last when there
   * is no body. The ArrayBuffer is the callback's own and may be kept. Until there is a reader the body waits; a body
   * that nobody has read when the response is sent is read and forgotten, or, when it is long, ends the connection.
   */
  onData(callback: DataHandler): this {
    return read(this, new ChunkReader(checkFunction('onData', callback)));
  }

  /**
   * The same with the number of bytes that are to come at most: 0n says that the piece is the last one. It is exact with
   * a Content-Length, and 2n ** 64n - 1n until the end of a body in chunks.
   */
  onDataV2(callback: DataHandlerV2): this {
    return read(this, new SizedChunkReader(checkFunction('onDataV2', callback)));
  }

  /** Reads the request's body whole. The callback gets null as soon as it is known to be longer than `maxSize`. */
  collectBody(maxSize: number, callback: BodyHandler): this {
    // Infinity is no limit.
    const size = readSize('collectBody', maxSize, Number.POSITIVE_INFINITY);
    if (size === undefined) throw invalidSize('collectBody', maxSize);
    return read(this, new BodyCollector(size, checkFunction('collectBody', callback)));
  }

  /** Reads no more of the request's body; the peer is made to wait. */
  pause(): this {
    open(this).owner.setPaused(true);
    return this;
  }

  /** Reads on. */
  resume(): this {
    open(this).owner.setPaused(false);
    return this;
  }

  /** Sends all that `callback` writes in one go. Handlers run corked already; after an `await` it saves writes. */
  cork(callback: () => void): this {
    const response = open(this);
    assertFunction('cork', callback);
    const { transport } = response;
    const previous = transport.io.corked;
    transport.beginCork();
    try {
      const result: unknown = callback();
      if (result !== undefined) response.owner.callbackReturned(response, result);
    } finally {
      transport.endCork(previous);
    }
    return this;
  }

  /** The old name of `cork`. */
  collect(callback: () => void): this {
    return this.cork(callback);
  }

  /** Closes the connection at once; `onAborted` is called. */
  close(): this {
    if (this.#response.isOpen) this.#response.transport.destroy();
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
    open(this).upgrade({
      userData,
      key: secWebSocketKey ?? '',
      protocol: secWebSocketProtocol ?? '',
      extensions: secWebSocketExtensions ?? '',
    });
  }

  /** The peer's address: 4 bytes, or 16 for IPv6. */
  getRemoteAddress(): ArrayBuffer {
    return addressBytes(open(this).transport.peerName().address);
  }

  /** The peer's address as text, in bytes: dotted, or all eight groups of IPv6 with four digits each. */
  getRemoteAddressAsText(): ArrayBuffer {
    return addressAsText(new Uint8Array(this.getRemoteAddress()));
  }

  getRemotePort(): number {
    return open(this).transport.peerName().port;
  }

  /** The client's certificate as PEM, which was checked; '' when it sent none. See `ca_file_name`. */
  getX509Certificate(): string {
    return open(this).transport.tls?.peerCertificate() ?? '';
  }

  /**
   * The address of the client that a proxy speaks for, 4 or 16 bytes; none without the option `proxyProtocol`, and when
   * the proxy names no client.
   */
  getProxiedRemoteAddress(): ArrayBuffer {
    return ownCopy(open(this).owner.proxied?.address ?? NO_BYTES);
  }

  /** The same as text, in bytes. */
  getProxiedRemoteAddressAsText(): ArrayBuffer {
    return addressAsText(open(this).owner.proxied?.address ?? NO_BYTES);
  }

  /** The port of that client; 0 when there is none. */
  getProxiedRemotePort(): number {
    return open(this).owner.proxied?.port ?? 0;
  }

  static {
    // What programs for uWebSockets.js look at.
    Object.defineProperty(this, 'name', { value: 'uWS.HttpResponse' });
    open = (res) => {
      const response = (res as HttpResponse).#response;
      if (!response.isOpen) throw staleResponse();
      return response;
    };
  }
}

function read<Res extends HttpResponse>(res: Res, reader: BodyReader): Res {
  open(res).read(reader);
  return res;
}

/** What a handler is given of a response: the same object for all handlers that a request is tried with. */
export function faceOf(response: OutgoingResponse): HttpResponse {
  response.face ??= new HttpResponse(response);
  return response.face as HttpResponse;
}

const NO_BYTES = new Uint8Array(0);

function staleResponse(): MillraceError {
  return new MillraceError(
    'MILLRACE_STALE_ACCESS',
    'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful response. ' +
      'Look at res.aborted after every await.',
  );
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
