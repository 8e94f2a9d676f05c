import { MillraceError } from '../errors.ts';
import { ResponseHead } from '../http/response-writer.ts';
import { httpDate, writeLatin1 } from '../net/native-ports.ts';
import type { Transport } from '../net/transport.ts';
import { addressBytes } from './address.ts';
import type { UpgradeContext } from './behavior.ts';
import { bytesOf, type RecognizedString, textOf } from './recognized-string.ts';

/** Whom a response tells that it is done, or that it became a WebSocket. */
export interface ResponseOwner {
  /** False: the connection ends behind this response. */
  readonly keepAlive: boolean;
  responseEnded(response: HttpResponse, close: boolean): void;
  responseUpgraded(response: HttpResponse, upgrade: UpgradeFields): void;
}

export interface UpgradeFields {
  readonly userData: unknown;
  readonly key: string;
  readonly protocol: string;
  readonly extensions: string;
  /** Header lines the handler wrote before. */
  readonly headerLines: readonly (readonly [string, string])[];
}

/** Whether the response can still be sent. */
export let isOpen: (response: HttpResponse) => boolean;
/** Whether the handler said what to do when the peer leaves, and so may answer after it returned. */
export let canAnswerLater: (response: HttpResponse) => boolean;
export let markEnded: (response: HttpResponse) => void;
/** The peer is gone: calls `onAborted` once. */
export let abort: (response: HttpResponse) => void;
/**
 * A response, in the names of uWebSockets.js. Valid until `end` or `upgrade`, or until `onAborted` was called.
 */
export class HttpResponse {
  readonly #transport: Transport;
  readonly #owner: ResponseOwner;
  readonly #isHead: boolean;
  readonly #head = new ResponseHead();
  #headerLines: [string, string][] | null = null;
  #state: 'open' | 'ended' | 'aborted' = 'open';
  #onAborted: (() => void) | null = null;

  constructor(transport: Transport, owner: ResponseOwner, method: string) {
    this.#transport = transport;
    this.#owner = owner;
    this.#isHead = method === 'HEAD';
  }

  /** The peer is gone; nothing can be sent any more. */
  get aborted(): boolean {
    return this.#state === 'aborted';
  }

  /** Sets the status line, such as '404 Not Found'. First of all, or '200 OK' is sent. */
  writeStatus(status: RecognizedString): this {
    this.#assertOpen();
    this.#head.writeStatus(textOf(status));
    return this;
  }

  /** @throws MillraceError MILLRACE_INVALID_ARGUMENT when the header could not be sent as it is */
  writeHeader(key: RecognizedString, value: RecognizedString | number): this {
    this.#assertOpen();
    const name = textOf(key);
    const text = typeof value === 'number' ? String(value) : textOf(value);
    this.#head.writeHeader(name, text);
    this.#headerLines ??= [];
    this.#headerLines.push([name, text]);
    return this;
  }

  /** Sends the response. */
  end(body: RecognizedString = '', closeConnection = false): this {
    const bytes = bytesOf(body);
    return this.#finish(bytes.length, this.#isHead ? NO_BYTES : bytes, closeConnection);
  }

  /** Sends the head alone, with the length a body would have: for HEAD and 304. */
  endWithoutBody(reportedContentLength?: number, closeConnection = false): this {
    return this.#finish(reportedContentLength ?? -1, NO_BYTES, closeConnection);
  }

  /** Called once when the peer goes away before the response is sent. Needed when a handler answers later. */
  onAborted(callback: () => void): this {
    this.#assertOpen();
    this.#onAborted = callback;
    return this;
  }

  /** Sends all that `callback` writes in one go. Handlers run corked already; after an `await` it saves writes. */
  cork(callback: () => void): this {
    this.#assertOpen();
    const previous = this.#transport.io.corked;
    this.#transport.beginCork();
    try {
      callback();
    } finally {
      this.#transport.endCork(previous);
    }
    return this;
  }

  /** Closes the connection at once; `onAborted` is called. */
  close(): this {
    if (this.#state === 'open') this.#transport.destroy();
    return this;
  }

  /**
   * Accepts the handshake that the `upgrade` handler was given. The arguments are the request's headers as they
   * are, '' where absent.
   *
   * @param userData its own properties are copied onto the WebSocket
   */
  upgrade<UserData>(
    userData: UserData,
    secWebSocketKey: RecognizedString,
    secWebSocketProtocol: RecognizedString,
    secWebSocketExtensions: RecognizedString,
    _context: UpgradeContext,
  ): void {
    this.#assertOpen();
    this.#owner.responseUpgraded(this, {
      userData,
      key: textOf(secWebSocketKey),
      protocol: textOf(secWebSocketProtocol),
      extensions: textOf(secWebSocketExtensions),
      headerLines: this.#headerLines ?? [],
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

  #finish(contentLength: number, body: Uint8Array, closeConnection: boolean): this {
    this.#assertOpen();
    const close = closeConnection || this.#head.close || !this.#owner.keepAlive;
    writeLatin1(this.#transport, this.#head.finish(contentLength, httpDate(), close));
    if (body.length > 0) {
      const at = this.#transport.reserve(body.length);
      this.#transport.bytes.set(body, at);
      this.#transport.commit(body.length);
    }
    this.#state = 'ended';
    this.#owner.responseEnded(this, close);
    return this;
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
    isOpen = (response) => response.#state === 'open';
    canAnswerLater = (response) => response.#onAborted !== null;
    markEnded = (response) => {
      response.#state = 'ended';
    };
    abort = (response) => {
      if (response.#state !== 'open') return;
      response.#state = 'aborted';
      const callback = response.#onAborted;
      response.#onAborted = null;
      callback?.();
    };
  }
}

const NO_BYTES = new Uint8Array(0);
