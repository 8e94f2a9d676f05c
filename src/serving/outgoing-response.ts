import { invalidArgument } from '../errors.ts';
import { allowsBody, CHUNKED, ResponseHead, UNTIL_CLOSE } from '../http/response-writer.ts';
import { httpDate, textPort } from '../net/native-ports.ts';
import { MAX_PLAIN_BODY, writePlainBytes, writePlainText } from '../net/plain-response.ts';
import type { Transport } from '../net/transport.ts';
import { writeBytes, writeText } from '../net/write-bytes.ts';
import { callUser, type OnFailure, THREW, type UserCode } from '../user-code.ts';
import type { BodyReader } from './body-reader.ts';
import { BodyStream } from './body-stream.ts';
import { type RecognizedString, textOf } from './recognized-string.ts';

/** The peer of a proxy. */
export interface ProxiedAddress {
  /** 4 or 16 bytes; none when the proxy speaks for itself. */
  readonly address: Uint8Array<ArrayBuffer>;
  readonly port: number;
}

/** ResponseOwner: what a response tells of what its user wants. */
export interface ResponseOwner {
  /** False: the connection ends behind this response. */
  readonly keepAlive: boolean;
  /** The request is of HTTP/1.0: there are no chunks, and a connection that goes on is said to. */
  readonly isHttp10: boolean;
  /** The request asks for a WebSocket, and may be answered with `upgrade`. */
  readonly isHandshake: boolean;
  /** The client that a proxy speaks for. */
  readonly proxied: ProxiedAddress | null;
  responseEnded(response: OutgoingResponse, close: boolean): void;
  responseUpgraded(response: OutgoingResponse, upgrade: UpgradeFields): void;
  /** The response has a reader for the request's body now. */
  bodyWanted(response: OutgoingResponse): void;
  /** A callback that was called for the response's user returned something, which may be a promise. */
  callbackReturned(response: OutgoingResponse, result: unknown): void;
  setPaused(isPaused: boolean): void;
}

/** What the `upgrade` handler accepts a handshake with: headers of the request, '' where absent. */
export interface UpgradeFields<Text = string> {
  readonly userData: unknown;
  readonly key: Text;
  readonly protocol: Text;
  readonly extensions: Text;
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

const NO_LINES: readonly (readonly [string, string])[] = [];

/**
 * OutgoingResponse: the engine's side of one response. What its user holds points here. Nothing but `abort` and
 * `tellWritable` may be called when it is not open any more.
 */
export class OutgoingResponse {
  readonly transport: Transport;
  readonly owner: ResponseOwner;
  readonly method: string;
  /** What the user holds, made when a handler is called; null: no handler of a user was. */
  face: object | null = null;
  /** Called once when the response cannot be sent any more; not null: the handler may answer after it returned. */
  onAborted: UserCode<() => void> | null = null;
  #head: ResponseHead | null = null;
  #state: 'open' | 'ended' | 'aborted' = 'open';
  /** The body, when it comes in parts; null: it does not, or its head is not sent yet. */
  #stream: BodyStream | null = null;
  /** No bytes of a body are sent: HEAD, 204, 304. */
  #isBodiless = false;
  /** What few responses need; null: this one needs nothing of it. */
  #extras: Extras | null = null;

  constructor(transport: Transport, owner: ResponseOwner, method: string) {
    this.transport = transport;
    this.owner = owner;
    this.method = method;
  }

  /** The response can still be sent. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** The peer is gone, or the server answered in its place. */
  get isAborted(): boolean {
    return this.#state === 'aborted';
  }

  /** The head of a body in parts is sent, so that no other answer can take its place. */
  get hasBegun(): boolean {
    return this.#stream !== null;
  }

  /** Bytes of a body in parts that were taken so far. */
  get offset(): number {
    return this.#stream === null ? 0 : this.#stream.offset;
  }

  /** Reads the request's body; null: nobody does. */
  get reader(): BodyReader | null {
    return this.#extras === null ? null : this.#extras.reader;
  }

  /** Header lines written so far, if it answers a handshake. */
  get headerLines(): readonly (readonly [string, string])[] {
    return this.#extras?.headerLines ?? NO_LINES;
  }

  set onWritable(callback: UserCode<(offset: number) => boolean>) {
    this.#getExtras().onWritable = callback;
  }

  /** A second call changes nothing. */
  writeStatus(status: RecognizedString): void {
    this.#openHead('writeStatus').writeStatus(textOf(status));
  }

  writeHeader(key: RecognizedString, given: RecognizedString | number): void {
    const head = this.#openHead('writeHeader');
    const name = textOf(key);
    const value = typeof given === 'number' ? String(given) : textOf(given);
    head.writeHeader(name, value);
    if (!this.owner.isHandshake) return;
    const extras = this.#getExtras();
    extras.headerLines ??= [];
    extras.headerLines.push([name, value]);
  }

  /** Sends a part of the body. An empty one sends nothing. Returns whether no bytes wait in user space. */
  write(part: string | Uint8Array): boolean {
    const length = lengthOf(part);
    if (length > 0) (this.#stream ?? this.#beginStream(-1)).write(part, length);
    return !this.transport.blocked;
  }

  /** Sends all of it, or the last part. */
  end(part: string | Uint8Array = '', closeConnection = false): void {
    const isBegun = this.#head !== null || this.#stream !== null;
    if (!isBegun && !closeConnection && this.#endPlain(part)) this.#finish(false);
    else this.#endOther(part, closeConnection);
  }

  /** Sends the head alone; `reported`: bytes a body would have. */
  endWithoutBody(reported: number | undefined, closeConnection: boolean): void {
    if (this.#stream !== null) {
      this.#endStream(this.#stream, '', 0, closeConnection);
      return;
    }
    const { status, contentLength } = this.#openHead('endWithoutBody');
    const isAwaited = allowsBody(this.method, status);
    const length = reported ?? (isAwaited ? 0 : -1);
    const announced = contentLength < 0 ? length : contentLength;
    this.#finish(this.#sendHead(length, closeConnection || (isAwaited && announced > 0), false));
  }

  /**
   * Sends as much of a body of known length as the kernel takes now.
   *
   * @param total bytes of the whole body; 0: `bytes` is all of it
   * @returns whether all of `bytes` was taken, and whether the whole body was
   */
  tryEnd(bytes: Uint8Array, total: number): [ok: boolean, hasResponded: boolean] {
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

  /** Gives the request's body to a reader. */
  read(reader: BodyReader): void {
    this.#getExtras().reader = reader;
    this.owner.bodyWanted(this);
  }

  /** The reader got the last piece of the body. */
  dropReader(): void {
    this.#getExtras().reader = null;
  }

  /** Accepts the handshake that it answers. */
  upgrade({ userData, key, protocol, extensions }: UpgradeFields<RecognizedString>): void {
    // Throws when another head was sent.
    this.#openHead('upgrade');
    this.owner.responseUpgraded(this, {
      userData,
      key: textOf(key),
      protocol: textOf(protocol),
      extensions: textOf(extensions),
    });
  }

  /** The 101 is sent in its place. */
  markUpgraded(): void {
    this.#state = 'ended';
    this.#release();
  }

  /** The peer is gone, or the server answers itself: calls `onAborted` once. */
  abort(failed: OnFailure): void {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    const callback = this.onAborted;
    this.#release();
    if (callback !== null) callUser(callback, failed);
  }

  /** The kernel takes bytes again: calls `onWritable`. */
  tellWritable(failed: OnFailure): void {
    const callback = this.#extras?.onWritable ?? null;
    if (callback === null || this.#state !== 'open') return;
    const result = callUser(callback, failed, this.offset);
    if (typeof result === 'boolean' || result === THREW) return;
    throw invalidArgument(
      'res.onWritable: the callback must return true or false: whether all it wrote was taken (it cannot be async)',
    );
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
    const unknown = this.owner.isHttp10 || this.#isTunnel(status) ? UNTIL_CLOSE : CHUNKED;
    const length = announced < 0 ? unknown : announced;
    const saidClose = this.#sendHead(length, false, true);
    this.#stream = new BodyStream(this.transport, length, this.#isBodiless, saidClose);
    return this.#stream;
  }

  /** Returns false when the response is not of the plain kind. */
  #endPlain(body: string | Uint8Array): boolean {
    const { owner, method } = this;
    if (method === 'HEAD' || method === 'CONNECT') return false;
    if (!owner.keepAlive || owner.isHttp10) return false;
    if (typeof body === 'string') {
      if (body.length * 3 > MAX_PLAIN_BODY) return false;
      writePlainText(this.transport, body);
      return true;
    }
    if (body.length > MAX_PLAIN_BODY) return false;
    writePlainBytes(this.transport, body);
    return true;
  }

  #endOther(part: string | Uint8Array, closeConnection: boolean): void {
    const length = lengthOf(part);
    if (this.#stream !== null) {
      this.#endStream(this.#stream, part, length, closeConnection);
      return;
    }
    const isText = typeof part === 'string';
    const isInHead = isText && length === part.length && length <= MAX_PLAIN_BODY;
    const close = this.#sendHead(length, closeConnection, true, isInHead ? part : '');
    if (!isInHead && !this.#isBodiless && length > 0) {
      if (isText) writeText(this.transport, part, length);
      else writeBytes(this.transport, part);
    }
    this.#finish(close);
  }

  #endStream(stream: BodyStream, part: string | Uint8Array, length: number, closeConnection: boolean): void {
    stream.end(part, length);
    this.#finishStream(stream, closeConnection);
  }

  #finishStream(stream: BodyStream, closeConnection: boolean): void {
    this.#finish(closeConnection || stream.saidClose || !this.owner.keepAlive);
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
    this.#isBodiless = !allowsBody(this.method, status);
    if (isBody && contentLength >= 0 && contentLength !== length && !this.#isBodiless) {
      throw invalidArgument(
        `res.end: the body has ${length} bytes, and the Content-Length written before is ${contentLength}`,
      );
    }
    const isTunnel = this.#isTunnel(status);
    const endsIt = isTunnel || (length === UNTIL_CLOSE && !this.#isBodiless);
    const close = closeConnection || head.close || endsIt || !this.owner.keepAlive;
    // Of a body that is not sent nothing is known: 0 may be as wrong as any other number.
    const isUnknown = isBody && this.#isBodiless && (length <= 0 || status === 304) && length !== CHUNKED;
    const announced = isTunnel ? UNTIL_CLOSE : isUnknown ? -1 : length;
    let text = head.finish(announced, httpDate(), close, this.owner.isHttp10 && !close);
    if (!this.#isBodiless) text += body;
    writeText(this.transport, text, isAscii ? text.length : textPort.byteLength(text));
    this.#returnHead();
    return close;
  }

  /** What follows the head of a 2xx to CONNECT belongs to a tunnel, and has no length (RFC 9110 §8.6). */
  #isTunnel(status: number): boolean {
    return this.method === 'CONNECT' && status < 300;
  }

  #finish(close: boolean): void {
    this.#state = 'ended';
    this.#release();
    this.owner.responseEnded(this, close);
  }

  /** A response that a user keeps is to keep nothing else alive. */
  #release(): void {
    this.onAborted = null;
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
    if (this.#stream !== null) {
      throw invalidArgument(
        `res.${method}: the head was sent with the first write() or tryEnd(); call it before`,
      );
    }
    this.#head ??= spareHeads.pop() ?? new ResponseHead();
    return this.#head;
  }
}

function lengthOf(part: string | Uint8Array): number {
  return typeof part === 'string' ? textPort.byteLength(part) : part.length;
}
