import { DeclarativeResponse } from '../http/declarative-response.ts';
import { Compression } from '../protocol/compression.ts';
import { type AppOptions, createSslApp, type ListenSocket, TemplatedApp } from './app.ts';
import { getParts } from './get-parts.ts';
import {
  deleteInteger,
  deleteIntegerCollection,
  deleteString,
  deleteStringCollection,
  getInteger,
  getIntegerKeys,
  getString,
  getStringKeys,
  incInteger,
  lock,
  setInteger,
  setString,
  unlock,
} from './key-value-store.ts';

/** Makes an App of one thread, with or without `new`. */
export interface AppConstructor {
  (options?: AppOptions): TemplatedApp;
  new (options?: AppOptions): TemplatedApp;
}

function createApp(options?: AppOptions): TemplatedApp {
  return new TemplatedApp(options);
}

/** An App that listens in this thread. */
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

/** Stops listening; open connections live on. */
export function us_listen_socket_close(socket: ListenSocket): void {
  socket.close();
}

/** The port a listen socket is bound to. */
export function us_socket_local_port(socket: ListenSocket): number {
  return socket.port;
}

export default {
  App,
  SSLApp,
  ...Compression,
  DeclarativeResponse,
  getParts,
  deleteInteger,
  deleteIntegerCollection,
  deleteString,
  deleteStringCollection,
  getInteger,
  getIntegerKeys,
  getString,
  getStringKeys,
  incInteger,
  lock,
  setInteger,
  setString,
  unlock,
  us_listen_socket_close,
  us_socket_local_port,
};
