import { DeclarativeResponse } from '../http/declarative-response.ts';
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

/** No compression. */
export const DISABLED = 0;

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
  DISABLED,
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
