// @ts-check
import { once } from 'node:events';
import { connect } from 'node:net';

/** @typedef {import('../../../src/net/transport.ts').Transport} Transport */
/** @typedef {import('../../../src/index.ts').TemplatedApp} TemplatedApp */

/**
 * @typedef {object} SilentSocket
 * @property {(chunk: Uint8Array) => number} read has the engine read a chunk, and returns how many bytes it wrote
 */

/**
 * A socket of an App that a real client has opened, and whose kernel is taken away then: chunks are put where it would
 * have read them to, and a handle that takes everything stands for the socket.
 *
 * @param {import('../runs/micro-run.js').Load} load
 * @param {(app: TemplatedApp) => unknown} route
 * @param {string} first what the client sends, and is answered, before
 * @returns {Promise<SilentSocket>}
 */
export async function openSilentSocket(load, route, first) {
  const transport = await openTransport(load, route, first);
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
  const { receiveBuffer, readTarget } = transport.io;
  const start = receiveBuffer.length - readTarget.length;
  return {
    read: (chunk) => {
      written = 0;
      receiveBuffer.set(chunk, start);
      transport.readCompleted(chunk.length);
      // In a rush what is written waits for other sockets.
      transport.io.batch.flush();
      return written;
    },
  };
}

/**
 * @param {import('../runs/micro-run.js').Load} load
 * @param {(app: TemplatedApp) => unknown} route
 * @param {string} first
 * @returns {Promise<Transport>}
 */
async function openTransport(load, route, first) {
  /** @type {typeof import('../../../src/index.ts')} */
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
    const app = App();
    route(app);
    app.listen('127.0.0.1', 0, (socket) => {
      if (socket) resolve(socket.port);
      else reject(new Error('cannot listen'));
    });
  });
  const client = connect(port, '127.0.0.1');
  client.write(first);
  await once(client, 'data');
  if (opened === undefined) throw new Error('no socket was opened');
  return opened;
}
