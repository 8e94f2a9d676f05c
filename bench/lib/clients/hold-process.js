// @ts-check
// A process that holds connections for hold-client.js, which tells it what to do. On each connection it sends a
// message a second, at an instant of its own, and takes the latency from that instant, even if it was late itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { openWebSocket } from './client-handshake.js';
import { LatencyHistogram } from './latency.js';
import { deliverReads, isWritePending, WriteWrap } from './stream-handles.js';

/** @typedef {import('./stream-handles.js').TcpHandle} TcpHandle */
/** @typedef {import('./hold-client.js').FromHolder} FromHolder */
/** @typedef {import('./hold-client.js').ToHolder} ToHolder */

const { port, connections, index } = /** @type {{ port: number, connections: number, index: number }} */ (
  JSON.parse(process.argv[2] ?? '{}')
);

/** Connections that are opened at the same time. */
const TOGETHER = 50;
/** Between two looks at who is to send, in ms. */
const TICK = 5;
const SECOND = 1000;
/** How long the last replies may take, in ms. */
const DRAIN_LIMIT = 5000;
/** Payload: number of the connection, number of the message, and bytes that follow from them. */
const SIZE = 20;
const REPLY = 2 + SIZE;
const KEY = [0x6d, 0x19, 0xc3, 0x5a];

const receiveBuffer = Buffer.allocUnsafeSlow(64 * 1024);
const latency = new LatencyHistogram();
let isMeasuring = false;
let received = 0;
let closed = 0;

/** @param {FromHolder} message */
const tell = (message) => process.send?.(message);

/** @param {string} error */
function fail(error) {
  tell({ type: 'error', error });
  process.disconnect();
}

/** HeldConnection: one WebSocket, and what is to come back on it. */
class HeldConnection {
  sent = 0;
  returned = 0;
  isOpen = true;
  /** When the messages on their way were due, oldest first. @type {number[]} */
  #due = [];
  #expected = Buffer.alloc(REPLY);
  /** Bytes of the next reply that have arrived. */
  #arrived = 0;
  #handle;
  #number;

  /**
   * @param {TcpHandle} handle
   * @param {number} number
   */
  constructor(handle, number) {
    this.#handle = handle;
    this.#number = number;
    this.#fill(this.#expected, 0);
    deliverReads(handle, this);
  }

  /**
   * @param {Buffer} frame that begins with a header of two bytes
   * @param {number} message
   */
  #fill(frame, message) {
    frame[0] = 0x82;
    frame[1] = SIZE;
    for (let at = 2; at < 2 + SIZE; at += 4) {
      frame.writeInt32LE(Math.imul(this.#number * 31 + message * 7 + at, 0x9e37_79b1), at);
    }
  }

  /** @param {number} due when it should be sent, in ms */
  send(due) {
    const reply = Buffer.alloc(REPLY);
    this.#fill(reply, this.sent++);
    const frame = Buffer.alloc(REPLY + 4);
    frame[0] = 0x82;
    frame[1] = 0x80 | SIZE;
    frame.set(KEY, 2);
    for (let i = 0; i < SIZE; i++) frame[6 + i] = (reply[2 + i] ?? 0) ^ (KEY[i & 3] ?? 0);
    this.#due.push(due);
    const request = new WriteWrap();
    const error = this.#handle.writeBuffer(request, frame);
    if (error !== 0) this.#end();
    else if (isWritePending()) request.oncomplete = () => {};
  }

  /** @param {number} count */
  readCompleted(count) {
    if (count < 0) this.#end();
    for (let at = 0; at < count; ) {
      const length = Math.min(REPLY - this.#arrived, count - at);
      if (
        receiveBuffer.compare(this.#expected, this.#arrived, this.#arrived + length, at, at + length) !== 0
      ) {
        fail('a reply differs from its message');
        return;
      }
      this.#arrived += length;
      at += length;
      if (this.#arrived === REPLY) this.#returned();
    }
  }

  #returned() {
    this.#arrived = 0;
    const due = this.#due.shift();
    if (due === undefined) return fail('a reply came to no message');
    if (isMeasuring) {
      received++;
      latency.add((performance.now() - due) * 1000);
    }
    this.#fill(this.#expected, ++this.returned);
  }

  #end() {
    if (!this.isOpen) return;
    this.isOpen = false;
    closed++;
  }
}

/** @type {HeldConnection[]} */
const held = [];

async function openAll() {
  while (held.length < connections) {
    const opening = Array.from({ length: Math.min(TOGETHER, connections - held.length) }, () =>
      openWebSocket(port, '/', receiveBuffer),
    );
    for (const handle of await Promise.all(opening)) {
      held.push(new HeldConnection(handle, index * connections + held.length));
    }
  }
}

/** Connection i sends at the fraction i / connections of each second. */
class Metronome {
  #timer;
  #start = performance.now();
  #sent = 0;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), TICK);
  }

  #tick() {
    const due = Math.floor(((performance.now() - this.#start) / SECOND) * connections);
    for (; this.#sent < due; this.#sent++) {
      const connection = held[this.#sent % connections];
      if (connection?.isOpen === true) connection.send(this.#start + (this.#sent / connections) * SECOND);
    }
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** @type {Metronome | undefined} */
let metronome;

async function stop() {
  metronome?.stop();
  isMeasuring = false;
  const missing = () => held.reduce((total, { sent, returned }) => total + sent - returned, 0);
  const deadline = performance.now() + DRAIN_LIMIT;
  while (missing() > 0 && performance.now() < deadline) await sleep(20);
  tell({ type: 'done', received, lost: missing() + closed, latencies: latency.entries() });
}

process.on('message', (/** @type {ToHolder} */ message) => {
  if (message.type === 'start') metronome = new Metronome();
  else if (message.type === 'measure') isMeasuring = true;
  else void stop();
});
process.on('disconnect', () => process.exit());

openAll().then(
  () => tell({ type: 'open' }),
  (error) => fail(String(error)),
);
