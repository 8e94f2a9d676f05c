import type { WebSocketOptions } from '../websocket/behavior.ts';
import type { HttpRequest } from './http-request.ts';
import type { HttpResponse, UpgradeContext } from './http-response.ts';
import type { WebSocket } from './web-socket.ts';

/** Options and handlers of a WebSocket route, in the names of uWebSockets.js. All are optional. */
export interface WebSocketBehavior<UserData = unknown> extends WebSocketOptions {
  /**
   * Decides on a handshake: answer with `res.upgrade(…)` or with any other response. May be async: `req` can be read
   * until it is answered, and later. Attach `res.onAborted` where it waits for more than promises that are settled.
   */
  upgrade?: (res: HttpResponse, req: HttpRequest, context: UpgradeContext) => void | Promise<void>;
  /** A connection is open. `req` is the upgrade request, which may be kept. */
  open?: (ws: WebSocket<UserData> & UserData, req: HttpRequest) => void | Promise<void>;
  /** A message. The ArrayBuffer is the handler's own and may be kept. */
  message?: (
    ws: WebSocket<UserData> & UserData,
    message: ArrayBuffer,
    isBinary: boolean,
  ) => void | Promise<void>;
  /** A message without a copy: `view` is valid during the call only. When given, `message` is not called. */
  messageView?: (ws: WebSocket<UserData> & UserData, view: Uint8Array, isBinary: boolean) => void;
  /** An outgoing message was dropped because of `maxBackpressure`. */
  dropped?: (
    ws: WebSocket<UserData> & UserData,
    message: ArrayBuffer,
    isBinary: boolean,
  ) => void | Promise<void>;
  /** There is less backpressure than before; look at `ws.getBufferedAmount()`. */
  drain?: (ws: WebSocket<UserData> & UserData) => void;
  /**
   * The connection is over: called once for each `open`. 1005: the peer gave no code; 1006: there was no Close
   * frame from the peer, and the message says why.
   */
  close?: (ws: WebSocket<UserData> & UserData, code: number, message: ArrayBuffer) => void;
  /** A ping, already answered. */
  ping?: (ws: WebSocket<UserData> & UserData, message: ArrayBuffer) => void | Promise<void>;
  pong?: (ws: WebSocket<UserData> & UserData, message: ArrayBuffer) => void | Promise<void>;
  /** The socket was subscribed to or unsubscribed from a topic, which now has `newCount` subscribers. */
  subscription?: (
    ws: WebSocket<UserData> & UserData,
    topic: ArrayBuffer,
    newCount: number,
    oldCount: number,
  ) => void;
  /**
   * A handler threw or rejected. The connection is closed with 1011, the shard lives on. `ws` is undefined
   * when it was the `upgrade` handler. Default: the error is printed to standard error.
   */
  onError?: (ws: (WebSocket<UserData> & UserData) | undefined, error: unknown) => void;
}
