import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { MillraceError } from '../errors.ts';

/**
 * Every name of Node.js that is not public API, in this one file. The engine drives libuv's stream handles
 * itself, because net.Socket costs several objects, closures and events for each read and write.
 *
 * The names are stable in fact (checked on Node 20, 22, 24 and 26, in main and worker threads); `loadInternals`
 * checks them all at start-up and says plainly which one is missing.
 */

/**
 * A libuv stream handle: TCP, Pipe or TLSWrap. Methods return 0 or a negative errno. Callbacks are called with
 * the handle or request as `this`, so one function serves all of them.
 */
export interface StreamHandle {
  /** Must be a function: Node.js aborts the process on anything else. */
  onread: (this: never) => void;
  /** Bytes libuv still holds because the kernel has not taken them. */
  readonly writeQueueSize: number;
  /** Bytes that were given to libuv. */
  readonly bytesWritten: number;
  readonly fd: number;
  readStart(): number;
  readStop(): number;
  shutdown(request: ShutdownRequest): number;
  useUserBuffer(buffer: Uint8Array): void;
  writeBuffer(request: WriteRequest, buffer: Uint8Array): number;
  writeLatin1String(request: WriteRequest, text: string, handle?: StreamHandle): number;
  close(callback?: () => void): void;
  ref(): void;
  unref(): void;
}

/** What a Transport drives: a TCP handle, or TLS over one. */
export interface SocketHandle extends StreamHandle {
  getpeername(out: SocketAddress): number;
}

export interface TcpHandle extends SocketHandle {
  onconnection: ((this: never, status: number, client: TcpHandle | undefined) => void) | null;
  open(fd: number): number;
  bind(address: string, port: number, flags?: number): number;
  bind6(address: string, port: number, flags: number): number;
  listen(backlog: number): number;
  getsockname(out: SocketAddress): number;
  setNoDelay(enable: boolean): number;
  /** Has the kernel ask a silent peer whether it is there, after `delay` seconds. */
  setKeepAlive(enable: boolean, delay: number): number;
  /** Closes with RST instead of FIN. */
  reset(callback?: () => void): number;
}

/**
 * TLS over a TCP handle, which feeds it. Its writes always complete later, one at a time: a second one before the
 * first is complete aborts the process. What is written was encrypted, and so copied, when the call returns.
 */
export interface TlsHandle extends StreamHandle {
  /** The name is in the ClientHello: the handshake waits for `certCbDone`. Needs `enableCertCb`. */
  oncertcb: ((this: never, info: { servername?: string | false }) => void) | null;
  /** Called again for a renegotiation. */
  onhandshakestart: ((this: never, now: number) => void) | null;
  onhandshakedone: ((this: never) => void) | null;
  onerror: ((this: never, error: Error) => void) | null;
  /** Context to go on with instead of the first; read by `certCbDone`. */
  sni_context: object | undefined;
  enableCertCb(): void;
  certCbDone(): void;
  setALPNProtocols(wireFormat: Uint8Array): void;
  setVerifyMode(requestCert: boolean, rejectUnauthorized: boolean): void;
  /** Null: the certificate of the peer is one that our authorities vouch for. */
  verifyError(): Error | null;
  getPeerCertificate(abbreviated: boolean): { raw?: Uint8Array } | undefined;
  getServername(): string | false;
  isSessionReused(): boolean;
  destroySSL(): void;
}

export interface PipeHandle extends StreamHandle {
  /** On an IPC pipe: the handle that came with the bytes just read; to be cleared by the reader. */
  pendingHandle: TcpHandle | undefined;
  onconnection: ((this: never, status: number, client: PipeHandle | undefined) => void) | null;
  open(fd: number): number;
  bind(path: string): number;
  listen(backlog: number): number;
  connect(request: ConnectRequest, path: string): number;
}

export interface SocketAddress {
  address?: string;
  family?: string;
  port?: number;
}

export interface WriteRequest {
  oncomplete: ((this: never, status: number) => void) | null;
}
export interface ShutdownRequest {
  oncomplete: ((this: never, status: number) => void) | null;
}
export interface ConnectRequest {
  oncomplete: ((this: never, status: number) => void) | null;
}

interface Bindings {
  TCP: new (type: number) => TcpHandle;
  TCP_SOCKET: number;
  TCP_SERVER: number;
  UV_TCP_IPV6ONLY: number;
  /** 0 where a port cannot be shared: before Node.js 22.12. */
  UV_TCP_REUSEPORT: number;
  Pipe: new (type: number) => PipeHandle;
  PIPE_SOCKET: number;
  PIPE_SERVER: number;
  PIPE_IPC: number;
  PipeConnectWrap: new () => ConnectRequest;
  WriteWrap: new () => WriteRequest;
  ShutdownWrap: new () => ShutdownRequest;
  /** Results of the last stream operation, at the indices below. */
  streamBaseState: Int32Array;
  kReadBytesOrError: number;
  kLastWriteWasAsync: number;
  /** Runs what `process.nextTick` and promises have queued. */
  tickCallback: () => void;
}

type Binding = Record<string, unknown>;

function loadInternals(): Bindings {
  const missing: string[] = [];
  const binding = (name: string): Binding => {
    try {
      return (process as unknown as { binding(name: string): Binding }).binding(name);
    } catch {
      missing.push(`process.binding('${name}')`);
      return {};
    }
  };
  const want = <T>(from: Binding, where: string, name: string, type: string): T => {
    const value = from?.[name];
    if (typeof value !== type || value === null) missing.push(`${where}.${name}`);
    return value as T;
  };
  const tcp = binding('tcp_wrap');
  const pipe = binding('pipe_wrap');
  const stream = binding('stream_wrap');
  const tcpConstants = want<Binding>(tcp, 'tcp_wrap', 'constants', 'object') ?? {};
  const pipeConstants = want<Binding>(pipe, 'pipe_wrap', 'constants', 'object') ?? {};
  const found: Bindings = {
    TCP: want(tcp, 'tcp_wrap', 'TCP', 'function'),
    TCP_SOCKET: want(tcpConstants, 'tcp_wrap.constants', 'SOCKET', 'number'),
    TCP_SERVER: want(tcpConstants, 'tcp_wrap.constants', 'SERVER', 'number'),
    UV_TCP_IPV6ONLY: want(tcpConstants, 'tcp_wrap.constants', 'UV_TCP_IPV6ONLY', 'number'),
    UV_TCP_REUSEPORT: Number(tcpConstants['UV_TCP_REUSEPORT'] ?? 0),
    Pipe: want(pipe, 'pipe_wrap', 'Pipe', 'function'),
    PIPE_SOCKET: want(pipeConstants, 'pipe_wrap.constants', 'SOCKET', 'number'),
    PIPE_SERVER: want(pipeConstants, 'pipe_wrap.constants', 'SERVER', 'number'),
    PIPE_IPC: want(pipeConstants, 'pipe_wrap.constants', 'IPC', 'number'),
    PipeConnectWrap: want(pipe, 'pipe_wrap', 'PipeConnectWrap', 'function'),
    WriteWrap: want(stream, 'stream_wrap', 'WriteWrap', 'function'),
    ShutdownWrap: want(stream, 'stream_wrap', 'ShutdownWrap', 'function'),
    streamBaseState: want(stream, 'stream_wrap', 'streamBaseState', 'object'),
    kReadBytesOrError: want(stream, 'stream_wrap', 'kReadBytesOrError', 'number'),
    kLastWriteWasAsync: want(stream, 'stream_wrap', 'kLastWriteWasAsync', 'number'),
    tickCallback: want(process as unknown as Binding, 'process', '_tickCallback', 'function'),
  };
  if (missing.length === 0) missing.push(...missingMethods(found));
  if (missing.length > 0) {
    throw unsupported('drives the stream handles of Node.js itself', missing);
  }
  return found;
}

function missingMethods(found: Bindings): string[] {
  const methods: [string, object, string[]][] = [
    ['TCP', found.TCP.prototype, ['open', 'bind', 'bind6', 'listen', 'getsockname', 'getpeername', 'reset']],
    ['TCP', found.TCP.prototype, ['useUserBuffer', 'writeBuffer', 'readStart', 'readStop', 'shutdown']],
    ['Pipe', found.Pipe.prototype, ['open', 'bind', 'listen', 'connect', 'writeLatin1String', 'close']],
  ];
  const properties = 'bytesWritten' in found.TCP.prototype ? [] : ['TCP.prototype.bytesWritten'];
  return methods
    .flatMap(([name, prototype, wanted]) =>
      wanted
        .filter((method) => typeof (prototype as Record<string, unknown>)[method] !== 'function')
        .map((method) => `${name}.prototype.${method}`),
    )
    .concat(properties);
}

const bindings = loadInternals();

export const {
  TCP,
  TCP_SOCKET,
  TCP_SERVER,
  UV_TCP_IPV6ONLY,
  UV_TCP_REUSEPORT,
  Pipe,
  PIPE_SOCKET,
  PIPE_SERVER,
  PIPE_IPC,
  PipeConnectWrap,
  WriteWrap,
  ShutdownWrap,
  streamBaseState,
  kReadBytesOrError,
  kLastWriteWasAsync,
} = bindings;

/**
 * Where a TCP handle has room for the object that drives it. Any other key would make Node.js's three properties of a handle
 * four, and V8 give it memory for six.
 */
export const HANDLE_OWNER: unique symbol = ownerSymbol() as never;

function ownerSymbol(): symbol {
  const handle = new bindings.TCP(bindings.TCP_SOCKET);
  const own = Object.getOwnPropertySymbols(handle).find(({ description }) => description === 'owner_symbol');
  handle.close();
  return own ?? Symbol('owner');
}

/**
 * Runs now what `process.nextTick` and promises have queued, which Node.js does only when the whole callback of a
 * read is over. What it throws is nobody's here: it becomes an uncaught exception of its own.
 */
export function runTicks(): void {
  try {
    bindings.tickCallback();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

const TLS_METHODS = [
  'enableCertCb',
  'certCbDone',
  'setALPNProtocols',
  'setVerifyMode',
  'verifyError',
  'getPeerCertificate',
  'getServername',
  'isSessionReused',
  'destroySSL',
  'useUserBuffer',
  'writeBuffer',
  'readStart',
  'readStop',
  'shutdown',
];

type WrapTls = (handle: TcpHandle, context: object, isServer: boolean, hasWrites: boolean) => TlsHandle;

/**
 * Makes handles of TLS. Looked up when TLS is first used: what lacks it can still serve without.
 *
 * @throws MillraceError MILLRACE_UNSUPPORTED_RUNTIME
 */
export function loadTlsWrap(): WrapTls {
  let tls: { wrap?: WrapTls; TLSWrap?: { prototype: object } } = {};
  try {
    tls = (process as unknown as { binding(name: string): typeof tls }).binding('tls_wrap');
  } catch {
    // Said below.
  }
  const prototype = (tls.TLSWrap?.prototype ?? {}) as Record<string, unknown>;
  const missing = TLS_METHODS.filter((name) => typeof prototype[name] !== 'function');
  if (typeof tls.wrap === 'function' && missing.length === 0) return tls.wrap;
  const names =
    typeof tls.wrap === 'function' ? missing.map((name) => `TLSWrap.prototype.${name}`) : ['tls_wrap'];
  throw new MillraceError(
    'MILLRACE_UNSUPPORTED_RUNTIME',
    `TLS needs names that this runtime (${process.version}) lacks: ${names.join(', ')}. Use Node.js 20.19 or later.`,
  );
}

/** The handle of OpenSSL's SSL_CTX in a public SecureContext. */
export function contextHandle(context: object): object {
  return (context as { context: object }).context;
}

/** libuv's end-of-file result of a read: the peer sent FIN. */
export const UV_EOF = -4095;

/** `readStart` of a handle that is reading. */
export const UV_EALREADY = -constants.errno.EALREADY;
export const UV_ECONNRESET = -constants.errno.ECONNRESET;

/** 'EADDRINUSE' and the like for a negative errno that a handle returned. */
export function errorName(status: number): string {
  return status === UV_EOF ? 'EOF' : getSystemErrorName(status);
}

/** The stream handle inside a public net.Socket, for the handoff through `postMessage`. */
function handleOf(socket: object): TcpHandle | undefined {
  return (socket as { _handle?: TcpHandle })._handle ?? undefined;
}

/** Takes the handle out of a net.Socket, which must not touch it any more. */
export function detachHandle(socket: object): TcpHandle | undefined {
  const handle = handleOf(socket);
  if (handle !== undefined) (socket as { _handle: TcpHandle | null })._handle = null;
  return handle;
}

/** The native side of a zlib stream. Its calls are synchronous and throw nothing. */
export interface ZlibHandle {
  /** Compresses or decompresses from `input` to `output`; what is left of both is in `millraceState`. */
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
  /** Starts a new stream, without history. */
  reset(): void;
  /** Frees its memory; it must not be used any more. */
  close(): void;
  /** Damaged data. Called within `writeSync`, which then changes nothing of the state. */
  onerror: (this: ZlibHandle, message: string, errno: number, code: string) => void;
  /** Ours: what is left of the output and of the input after `writeSync`. */
  millraceState: Uint32Array;
  /** Ours: `onerror` was called. */
  millraceFailed: boolean;
}

/**
 * The handle inside a public zlib stream, which must not be used any more. The streams make their handles
 * themselves, because what a handle has to be initialized with differs between versions of Node.js.
 *
 * @throws MillraceError MILLRACE_UNSUPPORTED_RUNTIME
 */
export function zlibHandle(stream: object): ZlibHandle {
  const { _handle: handle, _writeState: state } = stream as {
    _handle?: ZlibHandle;
    _writeState?: Uint32Array;
  };
  const missing = ['writeSync', 'reset', 'close']
    .filter((name) => typeof (handle as Record<string, unknown> | undefined)?.[name] !== 'function')
    .map((name) => `zlib's _handle.${name}`);
  if (!(state instanceof Uint32Array)) missing.push("zlib's _writeState");
  if (missing.length > 0) throw unsupported('compresses with the zlib handles of Node.js itself', missing);
  return Object.assign(handle!, { millraceState: state!, millraceFailed: false, onerror: onZlibError });
}

function onZlibError(this: ZlibHandle): void {
  this.millraceFailed = true;
}

function unsupported(what: string, missing: readonly string[]): MillraceError {
  return new MillraceError(
    'MILLRACE_UNSUPPORTED_RUNTIME',
    `millrace ${what}, and this runtime (${process.release?.name ?? 'unknown'} ${process.version}) ` +
      `lacks: ${missing.join(', ')}. Use Node.js 20.19 or later.`,
  );
}
