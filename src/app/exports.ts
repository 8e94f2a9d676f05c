import { described } from '../caller-values.ts';
import { invalidArgument, MillraceError } from '../errors.ts';
import { DeclarativeResponse } from '../http/declarative-response.ts';
import { Compression } from '../protocol/compression.ts';
import type { RecognizedString } from '../serving/recognized-string.ts';
import { type AppOptions, createApp, createSslApp, type TemplatedApp } from './app.ts';
import { getParts } from './get-parts.ts';
import * as keyValueStore from './key-value-store.ts';
import { ListenOptions } from './listen-arguments.ts';
import { ListenSocket } from './listen-socket.ts';

/** Makes an App of one thread, with or without `new`. */
export interface AppConstructor {
  (options?: AppOptions): TemplatedApp;
  new (options?: AppOptions): TemplatedApp;
}

/**
 * An App that listens in this thread.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION
 */
export const App = createApp as unknown as AppConstructor;

/** Makes an App whose connections are TLS, with or without `new`. */
export interface SslAppConstructor {
  (options: AppOptions): TemplatedApp;
  new (options: AppOptions): TemplatedApp;
}

/**
 * An App that listens in this thread, with TLS.
 *
 * @throws MillraceError MILLRACE_BAD_CERTIFICATE, MILLRACE_INVALID_OPTION
 */
export const SSLApp = createSslApp as unknown as SslAppConstructor;

/** For `compression` of a WebSocket route: one of the compressors, `|` one of the decompressors; or DISABLED. */
export const {
  DISABLED,
  SHARED_COMPRESSOR,
  DEDICATED_COMPRESSOR_3KB,
  DEDICATED_COMPRESSOR_4KB,
  DEDICATED_COMPRESSOR_8KB,
  DEDICATED_COMPRESSOR_16KB,
  DEDICATED_COMPRESSOR_32KB,
  DEDICATED_COMPRESSOR_64KB,
  DEDICATED_COMPRESSOR_128KB,
  DEDICATED_COMPRESSOR_256KB,
  DEDICATED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
  DEDICATED_DECOMPRESSOR_512B,
  DEDICATED_DECOMPRESSOR_1KB,
  DEDICATED_DECOMPRESSOR_2KB,
  DEDICATED_DECOMPRESSOR_4KB,
  DEDICATED_DECOMPRESSOR_8KB,
  DEDICATED_DECOMPRESSOR_16KB,
  DEDICATED_DECOMPRESSOR_32KB,
  DEDICATED_DECOMPRESSOR,
} = Compression;

/**
 * There is no HTTP/3 here.
 *
 * @throws MillraceError MILLRACE_NOT_SUPPORTED, always
 */
export function H3App(_options?: AppOptions): never {
  throw new MillraceError('MILLRACE_NOT_SUPPORTED', 'H3App: there is no HTTP/3 here; use App() or SSLApp()');
}

/** An option of `listen`: no other listener of the port is let in. */
export const { LIBUS_LISTEN_EXCLUSIVE_PORT } = ListenOptions;

/** Stops listening; open connections live on. */
export function us_listen_socket_close(socket: ListenSocket): void {
  checked('us_listen_socket_close', socket).close();
}

/** The port a listen socket is bound to; -1 for a Unix socket. */
export function us_socket_local_port(socket: ListenSocket): number {
  return checked('us_socket_local_port', socket).port;
}

/** Takes what programs for uWebSockets.js set there, and does nothing: there is no banner to silence. */
export function _cfg(_key?: RecognizedString): void {}

function checked(where: string, socket: ListenSocket): ListenSocket {
  if (socket instanceof ListenSocket) return socket;
  throw invalidArgument(
    `${where}: the argument must be what the callback of listen() got, when that is not false; got ${described(socket)}`,
  );
}

export default {
  App,
  SSLApp,
  ...Compression,
  H3App,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  ListenOptions,
  _cfg,
  DeclarativeResponse,
  getParts,
  ...keyValueStore,
  us_listen_socket_close,
  us_socket_local_port,
};
