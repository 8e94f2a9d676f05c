// @ts-check
/**
 * The whole way of a message through the engine and back: parser, handler, sender, cork. What is left out is the
 * kernel: chunks are put where it would have read them to, and a handle that takes everything stands for the socket.
 */

import { openSilentSocket } from '../lib/servers/silent-socket.js';

const FRAMES = 16;
const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

/** @typedef {import('../../src/index.ts').WebSocketBehavior} Behavior */

/**
 * @param {number} size of the payload
 * @param {number} firstByte
 */
function chunkOf(size, firstByte) {
  const frames = Array.from({ length: FRAMES }, (_, number) => {
    const frame = Buffer.alloc(6 + size);
    frame.set([firstByte, 0x80 | size, 0x12, 0x34 + number, 0x56, 0x78]);
    for (let i = 0; i < size; i++) frame[6 + i] = (97 + ((number + i) % 26)) ^ (frame[2 + (i & 3)] ?? 0);
    return frame;
  });
  return Buffer.concat(frames);
}

/**
 * @param {string} name
 * @param {number} size of the payload, at most 125
 * @param {number} firstByte
 * @param {Behavior} behavior that echoes
 * @returns {import('../lib/runs/micro-run.js').MicroCase}
 */
function echoing(name, size, firstByte, behavior) {
  return {
    name,
    unit: 'messages',
    prepare: async (load) => {
      const socket = await openSilentSocket(load, (app) => app.ws('/*', behavior), HANDSHAKE);
      const chunk = chunkOf(size, firstByte);
      return () => {
        const written = socket.read(chunk);
        if (written !== FRAMES * (size + 2)) throw new Error(`${written} bytes were sent`);
        return FRAMES;
      };
    },
  };
}

/** @type {Behavior} */
const view = { messageView: (ws, message, isBinary) => void ws.send(message, isBinary) };
/** @type {Behavior} */
const own = { message: (ws, message, isBinary) => void ws.send(message, isBinary) };
/** @type {Behavior} */
const text = { messageView: (ws) => void ws.send('The quick brown fox.') };

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'echo-path',
  title: `Echo, without the kernel: ${FRAMES} messages a read`,
  cases: [
    echoing('messageView, binary 20 B', 20, 0x82, view),
    echoing('messageView, text 20 B', 20, 0x81, view),
    echoing('messageView, binary 125 B', 125, 0x82, view),
    echoing('message, binary 20 B', 20, 0x82, own),
    echoing('messageView, answered with a string of 20 characters', 20, 0x81, text),
  ],
};
