// @ts-check
import { openWebSocket } from './client-handshake.js';
import { readReply } from './deflate-traffic.js';
import { deliverReads, isWritePending, WriteWrap } from './stream-handles.js';

/** @typedef {import('./deflate-traffic.js').DeflateTraffic} DeflateTraffic */
/** @typedef {import('./stream-handles.js').TcpHandle} TcpHandle */
/** @typedef {import('./stream-handles.js').WriteRequest} WriteRequest */

const OFFER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const RECEIVE_SIZE = 64 * 1024;

/**
 * DeflateLoad: what all connections share, and the counts.
 */
export class DeflateLoad {
  /** Messages sent. */
  sent = 0;
  /** Replies whose every byte was as expected. */
  received = 0;
  /** True: no more is sent. */
  isDraining = false;
  /** @readonly */
  traffic;
  /** @readonly */
  onError;
  /** Every read of every connection lands here. @readonly */
  receiveBuffer = Buffer.allocUnsafeSlow(RECEIVE_SIZE);
  /** A write request that is not in flight. */
  spareRequest = new WriteWrap();
  /** The replies of a period, as this server makes them. @type {readonly Buffer[]} */
  replies = [];

  /**
   * @param {DeflateTraffic} traffic
   * @param {(message: string) => void} onError must end the run
   */
  constructor(traffic, onError) {
    this.traffic = traffic;
    this.onError = onError;
  }

  /**
   * @param {number} port
   * @returns {Promise<TcpHandle>}
   */
  #handle(port) {
    return openWebSocket(port, '/', this.receiveBuffer, false, OFFER);
  }

  /**
   * Sends each message once and keeps the replies, which must be those messages, compressed.
   *
   * @param {number} port
   */
  async learn(port) {
    const handle = await this.#handle(port);
    /** @type {Buffer[]} */
    const replies = [];
    for (const [i, request] of this.traffic.requests.entries()) {
      const reply = await this.#exchange(handle, request);
      const read = readReply(reply);
      const message = this.traffic.messages[i];
      if (read === undefined || message === undefined || !read.message.equals(message)) {
        throw new Error('a reply does not inflate to its message');
      }
      if (!read.isCompressed) throw new Error('the server does not compress its replies');
      replies.push(reply);
    }
    handle.close();
    this.replies = replies;
  }

  /**
   * Opens a WebSocket that keeps one message on its way.
   *
   * @param {number} port
   */
  async open(port) {
    return new DeflateConnection(this, await this.#handle(port));
  }

  /**
   * @param {TcpHandle} handle
   * @param {Buffer} request
   * @returns {Promise<Buffer>} the reply's bytes
   */
  #exchange(handle, request) {
    return new Promise((resolve, reject) => {
      let bytes = Buffer.alloc(0);
      deliverReads(handle, {
        readCompleted: (count) => {
          if (count < 0) reject(new Error(`the server closed a connection (${count})`));
          if (count <= 0) return;
          bytes = Buffer.concat([bytes, this.receiveBuffer.subarray(0, count)]);
          const reply = readReply(bytes);
          if (reply !== undefined) resolve(bytes.subarray(0, reply.length));
        },
      });
      handle.writeBuffer(new WriteWrap(), request);
    });
  }
}

/**
 * DeflateConnection: one WebSocket with one message on its way.
 */
export class DeflateConnection {
  #load;
  #handle;
  /** Place in the period of the message that is on its way. */
  #place = 0;
  /** Bytes of its reply that have arrived. */
  #partial = 0;

  /**
   * @param {DeflateLoad} load
   * @param {TcpHandle} handle
   */
  constructor(load, handle) {
    this.#load = load;
    this.#handle = handle;
    deliverReads(handle, this);
  }

  /** Sends the first message. */
  start() {
    this.#send();
  }

  /** @param {number} count bytes at the start of the receive buffer, or an error */
  readCompleted(count) {
    const load = this.#load;
    if (count <= 0) {
      if (count < 0) load.onError(`the server closed a connection (${count})`);
      return;
    }
    const reply = load.replies[this.#place];
    const end = this.#partial + count;
    if (reply === undefined || end > reply.length) {
      load.onError('the server sent more than it was sent');
      return;
    }
    if (load.receiveBuffer.compare(reply, this.#partial, end, 0, count) !== 0) {
      load.onError('a reply differs from the one before');
      return;
    }
    this.#partial = end;
    if (end < reply.length) return;
    this.#partial = 0;
    this.#place = (this.#place + 1) % load.replies.length;
    load.received++;
    if (!load.isDraining) this.#send();
  }

  #send() {
    const load = this.#load;
    const request = load.spareRequest;
    const bytes = /** @type {Buffer} */ (load.traffic.requests[this.#place]);
    const error = this.#handle.writeBuffer(request, bytes);
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
    load.sent++;
  }
}

/**
 * @this {WriteRequest & { owner: DeflateLoad }}
 * @param {number} status
 */
function onWriteComplete(status) {
  if (status !== 0) this.owner.onError(`a write failed (${status})`);
}
