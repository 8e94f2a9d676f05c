// @ts-check
// What a server with the API of uWebSockets.js does in the broadcast benchmark: whoever opens a WebSocket subscribes,
// and what it sends is published to all, itself included. The paths below /control talk to the TurnPublisher.
import { TurnPublisher } from '../../lib/clients/turn-publisher.js';
import { MAX_PAYLOAD } from './ready.js';

const TOPIC = 'all';

/** @typedef {import('../../../src/index.ts').WebSocketBehavior} WebSocketBehavior */

/**
 * @param {import('../../../src/index.ts').TemplatedApp} app
 * @param {'message' | 'messageView'} handler
 */
export function addBroadcastRoutes(app, handler) {
  const publisher = new TurnPublisher((message) => app.publish(TOPIC, message, true));
  const limits = { maxPayloadLength: MAX_PAYLOAD, maxBackpressure: MAX_PAYLOAD };
  /** @type {WebSocketBehavior} */
  const control = {
    ...limits,
    message: (ws, message) => {
      publisher.onControl(Buffer.from(message).toString('latin1'), (text) => ws.send(text));
    },
  };
  /** @type {(message: ArrayBuffer | Uint8Array, isBinary: boolean) => void} */
  const publish = (message, isBinary) => {
    app.publish(TOPIC, message, isBinary);
  };
  app
    .ws('/control', control)
    .ws('/control/*', control)
    .ws('/*', {
      ...limits,
      open: (ws) => {
        ws.subscribe(TOPIC);
      },
      ...(handler === 'message'
        ? { message: (_ws, message, isBinary) => publish(message, isBinary) }
        : { messageView: (_ws, view, isBinary) => publish(view, isBinary) }),
    });
}
