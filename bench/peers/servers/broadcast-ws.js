// @ts-check
// Broadcast with `ws`: node broadcast-ws.js loop|turn
// loop: what its documentation shows, send() to each client. turn: what can be made of it by hand, each message
// framed once, and everything of a turn in one write for each client.
import { createRequire } from 'node:module';
import * as ws from 'ws';
import { TurnPublisher } from '../../lib/clients/turn-publisher.js';
import { MAX_PAYLOAD, ready } from './ready.js';

const [way] = process.argv.slice(2);
const { version } = createRequire(import.meta.url)('ws/package.json');
const server = new ws.WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  maxPayload: MAX_PAYLOAD,
  perMessageDeflate: false,
});

/**
 * What the types of `ws` leave out.
 * @type {{ Sender: { frame(data: Buffer, options: object): Buffer[] } }}
 */
const { Sender } = /** @type {any} */ (ws);

/** @type {Set<import('ws').WebSocket>} */
const subscribers = new Set();
/** Streams of the subscribers. @type {import('node:stream').Duplex[]} */
const streams = [];
/** Frames of this turn. @type {Buffer[]} */
const frames = [];

/** @param {Buffer} message */
function publishInLoop(message) {
  for (const subscriber of subscribers) subscriber.send(message, { binary: true });
}

/** @param {Buffer} message */
function publishInTurn(message) {
  if (frames.length === 0) setImmediate(endTurn);
  const options = { fin: true, rsv1: false, opcode: 2, mask: false, readOnly: true };
  for (const part of Sender.frame(message, options)) frames.push(part);
}

function endTurn() {
  const batch = Buffer.concat(frames);
  frames.length = 0;
  for (const stream of streams) stream.write(batch);
}

const publish = way === 'turn' ? publishInTurn : publishInLoop;
const publisher = new TurnPublisher(publish);

server.on('connection', (socket, request) => {
  if (request.url?.startsWith('/control')) {
    socket.on('message', (data) => {
      publisher.onControl(/** @type {Buffer} */ (data).toString('latin1'), (text) => {
        socket.send(text);
      });
    });
    return;
  }
  subscribers.add(socket);
  streams.push(request.socket);
  socket.on('message', (data) => {
    publish(/** @type {Buffer} */ (data));
  });
});
server.on('listening', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  ready({ name: way === 'turn' ? 'ws by hand' : 'ws', version, port });
});
