import { X509Certificate } from 'node:crypto';
import { LINGER } from './linger.ts';
import {
  kLastWriteWasAsync,
  kReadBytesOrError,
  loadTlsWrap,
  type ShutdownRequest,
  ShutdownWrap,
  type SocketAddress,
  type SocketHandle,
  streamBaseState,
  type TcpHandle,
  type TlsHandle,
  UV_EALREADY,
  UV_ECONNRESET,
  UV_EOF,
  type WriteRequest,
  WriteWrap,
} from './node-internals.ts';
import { allocateTarget } from './write-memory.ts';

/**
 * Bytes of a turn that may wait for the write in flight before they count as backpressure: the kernel would have
 * taken about as many.
 */
const MAX_HELD = 192 * 1024;

/** With this many waiting for the turn's end no more is read in it: echoes go out as they come in. */
const REST_AT = 64 * 1024;

/** Connections of a thread that failed, and whose peers have time to follow our FIN. */
const MAX_LINGERING = 64;
let lingering = 0;
/** What they send. */
const discarded = allocateTarget(4096);

/** ALPN (RFC 7301): the only protocol there is here, in wire format. */
const HTTP_1_1 = Uint8Array.of(8, ...Buffer.from('http/1.1'));

/** Events of a handshake. They come from inside OpenSSL: nothing may be written or closed in them. */
export interface TlsEvents {
  /** A context for the name the client asked for, or null for the first one. Called if names are in use. */
  onServerName(stream: TlsStream, name: string): TlsChoice | null;
  onSecure(stream: TlsStream): void;
  /** The handshake failed, or a record of the peer is broken, or it wants to renegotiate. */
  onTlsError(stream: TlsStream, reason: string): void;
}

/** What a handshake goes on with. */
export interface TlsChoice {
  /** OpenSSL's SSL_CTX. */
  readonly handle: object;
  /** The client is asked for a certificate. */
  readonly requestsCertificate: boolean;
}

/**
 * TlsStream: TLS over a TCP handle, in the shape of a plain handle, so that a Transport drives it like one.
 *
 * Node.js completes a TLS write in a later phase of the turn, even when the kernel took all of it at once, and
 * must be given no other write before. Transports would take that for backpressure; so this says "written" of what
 * the kernel took, holds what comes until the write is complete, and says "waits" only when something does.
 */
export class TlsStream implements SocketHandle {
  /** Called with this stream as `this`, as a handle would. */
  onread: () => void = ignore;
  /** The name the client asked for (RFC 6066 §3), in lower case; '' without one. */
  serverName = '';
  /** A session of TLS 1.2 was resumed: OpenSSL does not say which name the client asked for, if any. */
  isNameLost = false;
  readonly #tcp: TcpHandle;
  readonly #tls: OwnedTlsHandle;
  readonly #events: TlsEvents;
  #isReading = false;
  /** Reading goes on when the write in flight is complete. */
  #isResting = false;
  #isClosed = false;
  #isSecure = false;
  #isFailed = false;
  #isWriting = false;
  /** Copies of what was written meanwhile. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** The write to complete when all is written. */
  #waiting: WriteRequest | null = null;
  #shutdown: ShutdownRequest | null = null;

  /** Takes the handle over. The handshake begins with `readStart`. */
  constructor(tcp: TcpHandle, choice: TlsChoice, hasNames: boolean, events: TlsEvents) {
    wrap ??= loadTlsWrap();
    const tls = wrap(tcp, choice.handle, true, false) as OwnedTlsHandle;
    this.#tcp = tcp;
    this.#tls = tls;
    this.#events = events;
    tls.stream = this;
    tls.onread = onTlsRead;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the handle has nothing else
    tls.onerror = onTlsError;
    tls.onhandshakestart = onHandshakeStart;
    tls.onhandshakedone = onHandshakeDone;
    tls.oncertcb = onServerName;
    tls.setALPNProtocols(HTTP_1_1);
    if (choice.requestsCertificate) tls.setVerifyMode(true, false);
    if (hasNames) tls.enableCertCb();
  }

  get fd(): number {
    return this.#tcp.fd;
  }

  get writeQueueSize(): number {
    return this.#isClosed ? 0 : this.#tcp.writeQueueSize + this.#heldBytes;
  }

  /** The stream reads on when the write in flight is complete. */
  get isResting(): boolean {
    return this.#isResting;
  }

  get bytesWritten(): number {
    return this.#isClosed ? 0 : this.#tcp.bytesWritten + this.#heldBytes;
  }

  /** The client came back with a session from before. */
  get isResumed(): boolean {
    return !this.#isClosed && this.#tls.isSessionReused();
  }

  /** The client's certificate as PEM (RFC 7468); '' when it sent none. */
  peerCertificate(): string {
    const der = this.#isClosed ? undefined : this.#tls.getPeerCertificate(true)?.raw;
    if (der === undefined) return '';
    const lines = Buffer.from(der)
      .toString('base64')
      .replaceAll(/.{1,64}/g, '$&\n');
    return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`;
  }

  /**
   * Whether the client's certificate, and that of the authority which issued it, are in force at this time. OpenSSL looks
   * at the dates in a full handshake alone; a session that is resumed brings the verdict of then along.
   */
  isCertificateInForce(authorities: readonly X509Certificate[], now: number): boolean {
    const der = this.#isClosed ? undefined : this.#tls.getPeerCertificate(true)?.raw;
    if (der === undefined) return true;
    const certificate = new X509Certificate(der);
    if (!isInForce(certificate, now)) return false;
    const issuers = authorities.filter((authority) => certificate.checkIssued(authority));
    // None: there were certificates in between, which a session does not keep.
    return issuers.length === 0 || issuers.some((issuer) => isInForce(issuer, now));
  }

  /** Why the client's certificate is not to be trusted; '' when it is. */
  verifyError(): string {
    const error = this.#isClosed ? null : this.#tls.verifyError();
    return error === null ? '' : ((error as { code?: string }).code ?? error.message);
  }

  readStart(): number {
    this.#isReading = true;
    return this.#isResting ? 0 : this.#tls.readStart();
  }

  readStop(): number {
    this.#isReading = false;
    return this.#tls.readStop();
  }

  useUserBuffer(buffer: Uint8Array): void {
    this.#tls.useUserBuffer(buffer);
  }

  getpeername(out: SocketAddress): number {
    return this.#tcp.getpeername(out);
  }

  ref(): void {
    this.#tcp.ref();
  }

  unref(): void {
    this.#tcp.unref();
  }

  writeLatin1String(request: WriteRequest, text: string): number {
    return this.writeBuffer(request, Buffer.from(text, 'latin1'));
  }

  writeBuffer(request: WriteRequest, view: Uint8Array): number {
    if (this.#isWriting) {
      this.#held.push(new Uint8Array(view));
      this.#heldBytes += view.length;
      if (this.#heldBytes > REST_AT) this.#rest();
    } else {
      const error = this.#write(view);
      if (error !== 0) return error;
    }
    const waits = this.#tcp.writeQueueSize > 0 || this.writeQueueSize > MAX_HELD;
    if (waits) this.#waiting = request;
    streamBaseState[kLastWriteWasAsync] = waits ? 1 : 0;
    return 0;
  }

  /** Sends close_notify and FIN, once all is written. */
  shutdown(request: ShutdownRequest): number {
    if (!this.#isWriting) return this.#tls.shutdown(request);
    this.#shutdown = request;
    return 0;
  }

  close(callback?: () => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onread = ignore;
    this.#waiting = null;
    this.#shutdown = null;
    this.#held = [];
    // An alert was sent: a reset would eat it.
    if (this.#isFailed && lingering < MAX_LINGERING && this.#linger(callback)) return;
    this.#closeHandles(callback);
  }

  /** Sends FIN, and reads in vain until the peer's. Returns whether that can be done. */
  #linger(callback?: () => void): boolean {
    const tcp = this.#tcp;
    const request = new ShutdownWrap();
    request.oncomplete = ignore;
    if (tcp.shutdown(request) !== 0) return false;
    lingering++;
    const done = (): void => {
      clearTimeout(timeout);
      tcp.onread = ignore;
      lingering--;
      this.#closeHandles(callback);
    };
    const timeout = setTimeout(done, LINGER * 1000);
    timeout.unref();
    // A program that is done need not wait for it.
    tcp.unref();
    // From here on what comes goes past TLS.
    tcp.useUserBuffer(discarded);
    tcp.onread = (): void => {
      if (streamBaseState[kReadBytesOrError]! < 0) done();
    };
    const error = tcp.readStart();
    if (error !== 0 && error !== UV_EALREADY) done();
    return true;
  }

  #closeHandles(callback?: () => void): void {
    const tls = this.#tls;
    this.#tcp.close(() => {
      // What libuv still held of it is given up; it would keep the handle alive for ever.
      tls.destroySSL();
      callback?.();
    });
  }

  // Events of the handle.

  readCompleted(): void {
    // The end of the stream is either close_notify or a FIN without one, which anybody on the way could have sent
    // (RFC 8446 §6.1). libuv stops to read at a FIN, and only then.
    if (this.#isClosed) return;
    const isEnd = streamBaseState[kReadBytesOrError] === UV_EOF;
    if (isEnd && this.#isReading && !this.#isResting && this.#tcp.readStart() !== UV_EALREADY)
      this.#failRead(UV_ECONNRESET);
    else this.onread();
  }

  writeCompleted(status: number): void {
    this.#isWriting = false;
    if (this.#isClosed) return;
    const error = status === 0 && this.#heldBytes > 0 ? this.#writeHeld() : status;
    if (error !== 0) this.#failWrite(error);
    else if (!this.#isWriting) this.#allWritten();
    if (this.#isResting && !this.#isClosed) this.#goOn();
  }

  serverNameSeen(name: string): void {
    if (this.#isClosed) return;
    const choice = this.#events.onServerName(this, name);
    if (choice !== null) {
      this.#tls.sni_context = choice.handle;
      this.#tls.setVerifyMode(choice.requestsCertificate, false);
    }
    // A handler of the user may have closed everything.
    if (!this.#isClosed) this.#tls.certCbDone();
  }

  handshakeStarted(): void {
    // CVE-2011-1473: a client that handshakes again and again makes the server work. None needs to.
    if (this.#isSecure) this.failed('renegotiation');
  }

  handshakeDone(): void {
    if (this.#isSecure || this.#isClosed) return;
    this.#isSecure = true;
    const name = this.#tls.getServername();
    if (typeof name === 'string') this.serverName = name.toLowerCase();
    else this.isNameLost = this.isResumed;
    this.#events.onSecure(this);
  }

  failed(reason: string): void {
    this.#isFailed = true;
    if (!this.#isClosed) this.#events.onTlsError(this, reason);
  }

  #write(view: Uint8Array): number {
    const request = spareWrites.pop() ?? newWrite();
    request.stream = this;
    const error = this.#tls.writeBuffer(request, view);
    if (error === 0) this.#isWriting = true;
    return error;
  }

  #writeHeld(): number {
    const held = this.#held;
    const bytes = held.length === 1 ? held[0]! : Buffer.concat(held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    return this.#write(bytes);
  }

  /** Unless the peer has to read first: it may want to write all it has before. */
  #rest(): void {
    if (!this.#isReading || this.#isResting || this.#tcp.writeQueueSize > 0) return;
    this.#isResting = true;
    this.#tls.readStop();
  }

  #goOn(): void {
    this.#isResting = false;
    if (this.#isReading) this.#tls.readStart();
  }

  #allWritten(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) complete(waiting, 0);
    // What was told may have written more.
    if (this.#shutdown === null || this.#isWriting || this.#isClosed) return;
    const request = this.#shutdown;
    this.#shutdown = null;
    const error = this.#tls.shutdown(request);
    if (error !== 0) this.#failWrite(error);
  }

  #failWrite(error: number): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) complete(waiting, error);
    else this.#failRead(error);
  }

  /** Has the reader hear of an error. */
  #failRead(error: number): void {
    streamBaseState[kReadBytesOrError] = error;
    this.onread();
  }
}

function isInForce({ validFrom, validTo }: X509Certificate, now: number): boolean {
  return Date.parse(validFrom) <= now && now <= Date.parse(validTo);
}

let wrap: ReturnType<typeof loadTlsWrap> | undefined;

interface OwnedTlsHandle extends TlsHandle {
  stream: TlsStream;
}
interface OwnedWrite extends WriteRequest {
  stream: TlsStream | null;
}

/** Requests that are not in flight, kept for reuse: each write takes one. */
const MAX_SPARE_WRITES = 1024;
const spareWrites: OwnedWrite[] = [];
/** The one completed last. Node.js lets go of it when its callback is over: it is spare once another one completes. */
let doneWrite: OwnedWrite | null = null;

function newWrite(): OwnedWrite {
  const request = new WriteWrap() as OwnedWrite;
  request.oncomplete = onTlsWritten;
  return request;
}

function complete(request: WriteRequest, status: number): void {
  (request as { oncomplete(status: number): void }).oncomplete(status);
}

function onTlsRead(this: OwnedTlsHandle): void {
  this.stream.readCompleted();
}
function onTlsWritten(this: OwnedWrite, status: number): void {
  finishWrite(this, status);
}
function finishWrite(request: OwnedWrite, status: number): void {
  const { stream } = request;
  request.stream = null;
  const done = doneWrite;
  // What this write sets off may complete others.
  doneWrite = null;
  if (done !== null && spareWrites.length < MAX_SPARE_WRITES) spareWrites.push(done);
  stream!.writeCompleted(status);
  doneWrite = request;
}
function onServerName(this: OwnedTlsHandle, info: { servername?: string | false }): void {
  this.stream.serverNameSeen(typeof info.servername === 'string' ? info.servername.toLowerCase() : '');
}
function onHandshakeStart(this: OwnedTlsHandle): void {
  this.stream.handshakeStarted();
}
function onHandshakeDone(this: OwnedTlsHandle): void {
  this.stream.handshakeDone();
}
function onTlsError(this: OwnedTlsHandle, error: Error): void {
  this.stream.failed((error as { code?: string }).code ?? error.message);
}
function ignore(): void {}
