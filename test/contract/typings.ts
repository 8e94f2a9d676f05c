/**
 * The typings of uWebSockets.js, name by name: what is made here is taken where theirs is wanted, and handlers that are
 * written for theirs are taken here. Only the compiler reads this file.
 */

import * as here from 'uWebSockets.js';
import type * as there from '@btc-vision/uwebsockets.js';

interface Data {
  name: string;
}

export const app: there.TemplatedApp = here.App();
export const sslApp: there.TemplatedApp = here.SSLApp({
  key_file_name: 'key.pem',
  cert_file_name: 'cert.pem',
});

export function objects(
  res: here.HttpResponse,
  req: here.HttpRequest,
  ws: here.WebSocket<Data>,
  socket: here.us_listen_socket,
): [there.HttpResponse, there.HttpRequest, there.WebSocket<Data>, there.us_listen_socket] {
  return [res, req, ws, socket];
}

export function handlers(
  onRequest: (res: there.HttpResponse, req: there.HttpRequest) => void | Promise<void>,
  onUpgrade: NonNullable<there.WebSocketBehavior<Data>['upgrade']>,
  behavior: there.WebSocketBehavior<Data>,
  options: there.AppOptions,
): here.TemplatedApp {
  return here
    .App(options)
    .get('/*', onRequest)
    .ws<Data>('/up', { upgrade: onUpgrade })
    .ws<Data>('/*', behavior);
}

export const compression: there.CompressOptions = here.SHARED_COMPRESSOR | here.DEDICATED_DECOMPRESSOR_4KB;
export const parts: there.MultipartField[] | undefined = here.getParts('', '');
export function texts(text: there.RecognizedString): here.RecognizedString {
  return text;
}

/** Each name of theirs that is a value is one here. */
type Missing = Exclude<keyof typeof there, keyof typeof here>;
export const none: [Missing] extends [never] ? true : Missing = true;
