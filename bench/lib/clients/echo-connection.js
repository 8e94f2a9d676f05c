// @ts-check
import { openWebSocket } from './client-handshake.js';
import { batchOf } from './echo-traffic.js';
import { deliverReads, isWritePending, WriteWrap } from './stream-handles.js';

/** @typedef {import('./echo-traffic.js').EchoTraffic} EchoTraffic */
/** @typedef {import('./stream-handles.js').TcpHandle} TcpHandle */
/** @typedef {import('./stream-handles.js').WriteRequest} WriteRequest */

/** Connections that wait to be written to. */
const MOST_WAITING = 8;

/**
 * EchoLoad: what all connections share, and the counts.
 */
export class EchoLoad {
  /** Messages sent. */
  sent = 0;
  /** Replies whose every byte was as expected. */
  received = 0;
  /** True: no more is sent. */
  isDraining = false;
  /** @readonly */
  traffic;
  /** Every read of every connection lands here. @readonly */
  receiveBuffer;
  /** @readonly */
  onError;
  /** A write request that is not in flight. */
  spareRequest = new WriteWrap();
  /** @type {EchoConnection[]} */
  #waiting = [];
  #isScheduled = false;

  /**
   * @param {EchoTraffic} traffic
   * @param {(message: string) => void} onError must end the run
   */
  constructor(traffic, onError) {
    this.traffic = traffic;
    this.onError = onError;
    const most = traffic.inFlight * traffic.replyLength;
    this.receiveBuffer = Buffer.allocUnsafeSlow(Math.min(Math.max(most, 64 * 1024), 512 * 1024));
  }

  /**
   * Connections that are read one after the other are written to one after the other: it costs less than taking turns,
   * and the client is to be the limit as late as possible. They wait at most for the end of the loop's turn.
   *
   * @param {EchoConnection} connection
   */
  sendSoon(connection) {
    this.#waiting.push(connection);
    if (this.#waiting.length === MOST_WAITING) {
      this.#sendDue();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#onTurnEnd);
    }
  }

  #onTurnEnd = () => {
    this.#isScheduled = false;
    this.#sendDue();
  };

  #sendDue() {
    const waiting = this.#waiting;
    for (const connection of waiting) connection.sendDue();
    waiting.length = 0;
  }

  /**
   * Opens a WebSocket.
   *
   * @param {number} port
   * @param {boolean} isTls
   * @returns {Promise<EchoConnection>}
   */
  async open(port, isTls = false) {
    return new EchoConnection(this, await openWebSocket(port, '/', this.receiveBuffer, isTls));
  }
}

/**
 * EchoConnection: one WebSocket that keeps `inFlight` messages on their way. For each chunk that arrives there
 * is one comparison and one write: of as many requests as replies were completed.
 */
export class EchoConnection {
  #load;
  #handle;
  /** Place in the period of the reply that is arriving. */
  #receiving = 0;
  /** Bytes of it that have arrived. */
  #partial = 0;
  /** Place in the period of the next request. */
  #sending = 0;
  #outstanding = 0;
  /** Messages that came back, for which others have not been sent yet. */
  #due = 0;

  /**
   * @param {EchoLoad} load
   * @param {TcpHandle} handle
   */
  constructor(load, handle) {
    this.#load = load;
    this.#handle = handle;
    deliverReads(handle, this);
  }

  /** Sends the first messages. */
  start() {
    this.#send(this.#load.traffic.inFlight);
  }

  /** @param {number} count bytes at the start of the receive buffer, or an error */
  readCompleted(count) {
    const load = this.#load;
    if (count <= 0) {
      if (count < 0) load.onError(`the server closed a connection (${count})`);
      return;
    }
    const { expected, replyLength, period } = load.traffic;
    const start = this.#receiving * replyLength + this.#partial;
    const arrived = this.#partial + count;
    const completed = arrived < replyLength ? 0 : Math.floor(arrived / replyLength);
    const rest = arrived - completed * replyLength;
    if (completed + (rest > 0 ? 1 : 0) > this.#outstanding) {
      load.onError('the server sent more than it was sent');
      return;
    }
    if (!isSame(load.receiveBuffer, expected, start, count)) {
      load.onError('a reply differs from its message');
      return;
    }
    this.#partial = rest;
    if (completed === 0) return;
    this.#receiving = (this.#receiving + completed) % period;
    this.#outstanding -= completed;
    load.received += completed;
    this.#due += completed;
    // It waits already if there were some before.
    if (this.#due === completed) load.sendSoon(this);
  }

  /** Sends as many messages as came back since the last time. */
  sendDue() {
    const count = this.#due;
    this.#due = 0;
    if (!this.#load.isDraining) this.#send(count);
  }

  /** @param {number} count */
  #send(count) {
    const load = this.#load;
    const { traffic } = load;
    const request = load.spareRequest;
    const error = this.#handle.writeBuffer(request, batchOf(traffic, this.#sending, count));
    if (error !== 0) {
      load.onError(`a write failed (${error})`);
      return;
    }
    if (isWritePending()) {
      // The request belongs to libuv until the write is complete.
      request.owner = load;
      request.oncomplete = onWriteComplete;
      load.spareRequest = new WriteWrap();
    }
    this.#sending = (this.#sending + count) % traffic.period;
    this.#outstanding += count;
    load.sent += count;
  }
}

/** Bytes up to which a loop is faster than a call of `compare`. */
const SHORT = 64;

/**
 * Whether the first `count` bytes are those of `expected` from `start` on.
 *
 * @param {Buffer} bytes
 * @param {Buffer} expected
 * @param {number} start
 * @param {number} count
 */
function isSame(bytes, expected, start, count) {
  if (count > SHORT) return bytes.compare(expected, start, start + count, 0, count) === 0;
  for (let i = 0; i < count; i++) if (bytes[i] !== expected[start + i]) return false;
  return true;
}

/**
 * @this {WriteRequest & { owner: EchoLoad }}
 * @param {number} status
 */
function onWriteComplete(status) {
  if (status !== 0) this.owner.onError(`a write failed (${status})`);
}
