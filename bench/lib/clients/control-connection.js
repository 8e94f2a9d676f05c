// @ts-check
import { openWebSocket } from './client-handshake.js';
import { deliverReads, WriteWrap } from './stream-handles.js';
import { STOP } from './turn-publisher.js';

/** How long the answer to STOP may take, in ms. */
const TIMEOUT = 5000;

/** ControlConnection: the connection on which the load client tells a TurnPublisher what to do. */
export class ControlConnection {
  #handle;
  #buffer;
  #onError;
  /** @type {((published: number) => void) | undefined} */
  #onStopped;

  /**
   * @param {number} port
   * @param {string} path
   * @param {(message: string) => void} onError
   */
  static async open(port, path, onError) {
    const buffer = Buffer.alloc(1024);
    return new ControlConnection(await openWebSocket(port, path, buffer), buffer, onError);
  }

  /**
   * @param {import('./stream-handles.js').TcpHandle} handle
   * @param {Buffer} buffer
   * @param {(message: string) => void} onError
   */
  constructor(handle, buffer, onError) {
    this.#handle = handle;
    this.#buffer = buffer;
    this.#onError = onError;
    deliverReads(handle, this);
  }

  /** @param {string} text up to 125 bytes of ASCII */
  send(text) {
    const key = [0x6d, 0x19, 0xc3, 0x5a];
    const masked = Buffer.from(text).map((byte, i) => byte ^ (key[i & 3] ?? 0));
    const frame = Buffer.concat([Buffer.from([0x81, 0x80 | masked.length, ...key]), masked]);
    const error = this.#handle.writeBuffer(new WriteWrap(), frame);
    if (error !== 0) this.#onError(`a write failed (${error})`);
  }

  /**
   * Has the publisher stop.
   *
   * @returns {Promise<number>} the messages it has published
   */
  stop() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the publisher does not answer')), TIMEOUT);
      this.#onStopped = (published) => {
        clearTimeout(timer);
        resolve(published);
      };
      this.send(STOP);
    });
  }

  /** @param {number} count */
  readCompleted(count) {
    if (count < 0) this.#onError(`the server closed the control connection (${count})`);
    if (count > 2) this.#onStopped?.(Number(this.#buffer.toString('latin1', 2, count)));
  }
}
