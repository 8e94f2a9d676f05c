// @ts-check
/**
 * The whole way of a message through the engine and back: parser, handler, sender, cork. What is left out is the
 * kernel: chunks are put where it would have read them to, and a handle that takes everything stands for the socket.
 */

import { once } from 'node:events';
import { connect } from 'node:net';

const FRAMES = 16;
const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

/** @typedef {import('../../src/net/transport.ts').Transport} Transport */
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
 * The transport of a WebSocket that was opened by a real client.
 *
 * @param {import('../lib/runs/micro-run.js').Load} load
 * @param {Behavior} behavior
 * @returns {Promise<Transport>}
 */
async function openTransport(load, behavior) {
  /** @type {typeof import('../../src/index.ts')} */
  const { App } = await load('index.js');
  /** @type {{ Transport: { prototype: Transport } }} */
  const { Transport } = await load('net/transport.js');
  const { prototype } = Transport;
  // oxlint-disable-next-line unbound-method -- called with its transport
  const { startReading } = prototype;
  /** @type {Transport | undefined} */
  let opened;
  prototype.startReading = function () {
    opened = this;
    startReading.call(this);
  };
  const port = await new Promise((resolve, reject) => {
    App()
      .ws('/*', behavior)
      .listen('127.0.0.1', 0, (socket) => {
        if (socket) resolve(socket.port);
        else reject(new Error('cannot listen'));
      });
  });
  const client = connect(port, '127.0.0.1');
  client.write(HANDSHAKE);
  await once(client, 'data');
  if (opened === undefined) throw new Error('no socket was opened');
  return opened;
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
      const transport = await openTransport(load, behavior);
      const { streamBaseState, kLastWriteWasAsync } = await load('net/node-internals.js');
      let written = 0;
      const handle = {
        /** @param {unknown} _request @param {Uint8Array} view */
        writeBuffer: (_request, view) => {
          written += view.length;
          streamBaseState[kLastWriteWasAsync] = 0;
          return 0;
        },
      };
      Object.defineProperty(transport, 'handle', { value: handle });
      const chunk = chunkOf(size, firstByte);
      const { receiveBuffer, readTarget } = transport.io;
      const start = receiveBuffer.length - readTarget.length;
      return () => {
        written = 0;
        receiveBuffer.set(chunk, start);
        transport.readCompleted(chunk.length);
        // In a rush what is written waits for other sockets.
        transport.io.batch.flush();
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
