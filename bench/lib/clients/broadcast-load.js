// @ts-check
import { BroadcastLog } from './broadcast-log.js';
import { messageTemplates, monotonicMicroseconds, templateOf } from './broadcast-message.js';
import { openWebSocket } from './client-handshake.js';
import { LatencyHistogram } from './latency.js';
import { deliverReads, isWritePending, WriteWrap } from './stream-handles.js';

/** @typedef {import('./stream-handles.js').TcpHandle} TcpHandle */

/** Turns that may be on their way at the same time, at most. */
const TURN_SLOTS = 64;
const RECEIVE_SIZE = 64 * 1024;
/** Little end first. Any key but 0, which a server might take a short cut for. */
const MASKING_KEY = 0x5ac3_196d;
const MASK_BIT = 0x80;
/** Header and key of a frame from the client. */
const CLIENT_HEADER = 6;

/**
 * BroadcastLoad: what all subscribers share, and the counts.
 */
export class BroadcastLoad {
  /** Messages delivered, each of them checked. */
  received = 0;
  /** Messages that clients have published. */
  sent = 0;
  /** True: clients publish no more. */
  isDraining = false;
  /** Latencies are measured. */
  isTimed = false;
  /** @readonly */
  latency = new LatencyHistogram();
  /** @type {readonly Subscriber[]} */
  subscribers = [];
  /** @readonly */
  log;
  /** @readonly */
  templates;
  /** @readonly */
  receiveBuffer = Buffer.allocUnsafeSlow(RECEIVE_SIZE);
  /** @readonly */
  onError;
  /** A write request that is not in flight. */
  spareRequest = new WriteWrap();
  #perTurn;
  #onTurn;
  #reached = new Uint32Array(TURN_SLOTS);

  /**
   * @param {object} options
   * @param {number} options.size payload of a message in bytes
   * @param {number} options.publishers
   * @param {number} options.perTurn messages of a turn; 0: nobody wants to know of turns
   * @param {() => void} options.onTurn called when all subscribers have got all messages of a turn
   * @param {(message: string) => void} options.onError must end the run
   */
  constructor({ size, publishers, perTurn, onTurn, onError }) {
    this.log = new BroadcastLog(size, publishers);
    this.templates = messageTemplates(size);
    this.onError = onError;
    this.#perTurn = perTurn;
    this.#onTurn = onTurn;
  }

  /**
   * @param {number} port
   * @param {string} path
   * @param {number} index
   * @param {number} every a subscriber that publishes does so each time it has got so many messages; 0: never
   */
  async open(port, path, index, every) {
    return new Subscriber(this, await openWebSocket(port, path, this.receiveBuffer), index, every);
  }

  /**
   * A subscriber has got the frames from `before` to `after`.
   *
   * @param {number} before
   * @param {number} after
   */
  onFrames(before, after) {
    this.received += after - before;
    if (this.isTimed) {
      const now = monotonicMicroseconds();
      for (let frame = before; frame < after; frame++) this.latency.add(now - this.log.sentAt(frame));
    }
    if (this.#perTurn === 0) return;
    const last = Math.floor(after / this.#perTurn);
    for (let turn = Math.floor(before / this.#perTurn); turn < last; turn++) this.#onTurnOfOne(turn);
  }

  /** @param {number} turn */
  #onTurnOfOne(turn) {
    const slot = turn % TURN_SLOTS;
    const reached = (this.#reached[slot] ?? 0) + 1;
    const isComplete = reached === this.subscribers.length;
    this.#reached[slot] = isComplete ? 0 : reached;
    if (isComplete) this.#onTurn();
  }
}

/**
 * Subscriber: one WebSocket. For each chunk that arrives there is one comparison.
 */
export class Subscriber {
  /** Bytes that have arrived. */
  position = 0;
  #load;
  #handle;
  #index;
  #every;
  /** Messages that have arrived since it published. */
  #arrived = 0;
  #number = 0;
  #frame;

  /**
   * @param {BroadcastLoad} load
   * @param {TcpHandle} handle
   * @param {number} index
   * @param {number} every
   */
  constructor(load, handle, index, every) {
    this.#load = load;
    this.#handle = handle;
    this.#index = index;
    this.#every = every;
    this.#frame = Buffer.alloc(CLIENT_HEADER + (load.templates[0]?.length ?? 0));
    deliverReads(handle, this);
  }

  /** Messages that have arrived whole. */
  get messages() {
    return this.position / this.#load.log.frameLength;
  }

  /** @param {number} count bytes at the start of the receive buffer, or an error */
  readCompleted(count) {
    const load = this.#load;
    if (count <= 0) {
      if (count < 0) load.onError(`the server closed a connection (${count})`);
      return;
    }
    const { log } = load;
    const error = log.accept(this.position, load.receiveBuffer, count);
    if (error !== '') {
      load.onError(error);
      return;
    }
    const before = Math.floor(this.position / log.frameLength);
    this.position += count;
    const after = Math.floor(this.position / log.frameLength);
    if (after === before) return;
    load.onFrames(before, after);
    if (this.#every === 0) return;
    this.#arrived += after - before;
    while (this.#arrived >= this.#every && !load.isDraining) {
      this.#arrived -= this.#every;
      this.publish();
    }
  }

  publish() {
    const load = this.#load;
    const number = this.#number++;
    this.#mask(templateOf(load.templates, number), number);
    const request = load.spareRequest;
    const error = this.#handle.writeBuffer(request, this.#frame);
    if (error !== 0) load.onError(`a write failed (${error})`);
    if (isWritePending()) {
      // Request and memory belong to libuv until the write is complete.
      request.oncomplete = () => {};
      load.spareRequest = new WriteWrap();
      this.#frame = Buffer.alloc(this.#frame.length);
    }
    load.sent++;
  }

  /**
   * @param {Buffer} template
   * @param {number} number
   */
  #mask(template, number) {
    const frame = this.#frame;
    frame[0] = 0x82;
    frame[1] = MASK_BIT | template.length;
    frame.writeInt32LE(MASKING_KEY, 2);
    template.copy(frame, CLIENT_HEADER);
    frame.writeUInt32LE(number, CLIENT_HEADER);
    frame.writeUInt32LE(this.#index, CLIENT_HEADER + 4);
    for (let i = 0; i < template.length; i++) {
      frame[CLIENT_HEADER + i] = (frame[CLIENT_HEADER + i] ?? 0) ^ (frame[2 + (i & 3)] ?? 0);
    }
  }
}
