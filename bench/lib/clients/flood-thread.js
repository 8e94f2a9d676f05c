// @ts-check
// A thread of the fairness benchmark: WebSockets that send messages of one byte as fast as the server takes them, and read
// what comes back without a look. Counts the bytes that came back in the shared memory it is given.
import { once } from 'node:events';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const { port, floods, memory } = /** @type {{ port: number, floods: number, memory: SharedArrayBuffer }} */ (
  workerData
);
const returned = new Int32Array(memory);

/** A masked binary frame with one byte. */
const FRAME = Buffer.from([0x82, 0x81, 1, 2, 3, 4, 0x55]);
const BATCH = Buffer.alloc(FRAME.length * 9000, FRAME);

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

async function flood() {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => process.exit(1));
  socket.write(HANDSHAKE);
  await once(socket, 'data');
  socket.on('data', (/** @type {Buffer} */ bytes) => {
    Atomics.add(returned, 0, bytes.length);
  });
  const send = () => {
    while (socket.write(BATCH));
    socket.once('drain', send);
  };
  send();
}

await Promise.all(Array.from({ length: floods }, flood));
parentPort?.postMessage('ready');
