// @ts-check
import { createSecureContext } from 'node:tls';
import { isWritePending, WriteWrap } from './stream-handles.js';

/**
 * @typedef {import('./stream-handles.js').TcpHandle} TcpHandle
 * @typedef {TcpHandle & {
 *   onhandshakedone: () => void,
 *   onhandshakestart: () => void,
 *   onerror: (error: Error) => void,
 *   start: () => void,
 *   isWriting: boolean,
 *   waiting: Uint8Array[],
 * }} TlsHandle
 */

const { TLSWrap, wrap } =
  /** @type {{ binding(name: string): { TLSWrap: { prototype: TcpHandle }, wrap: (...args: unknown[]) => any } }} */ (
    /** @type {unknown} */ (process)
  ).binding('tls_wrap');
const nativeWrite = TLSWrap.prototype.writeBuffer;

/** The same cipher for all servers. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256';

/**
 * TLS 1.3 over a connected handle, as a client, in the shape of a handle. Node.js completes each write in a later
 * phase of the loop, and takes no other before. A reply can be faster than that: what it sets off then waits.
 *
 * @param {TcpHandle} tcp
 * @param {Buffer} receiveBuffer where every read lands
 * @returns {Promise<TcpHandle>} once the handshake is done
 */
export function secure(tcp, receiveBuffer) {
  const { context } = createSecureContext({ ciphers: CIPHERS, minVersion: 'TLSv1.3' });
  /** @type {TlsHandle} */
  const tls = wrap(tcp, context, false, false);
  return new Promise((resolve, reject) => {
    tls.onread = () => {};
    // oxlint-disable-next-line unicorn/prefer-add-event-listener
    tls.onerror = reject;
    tls.onhandshakestart = () => {};
    tls.onhandshakedone = () => {
      // Not from inside OpenSSL.
      setImmediate(resolve, plain(tls));
    };
    tls.useUserBuffer(receiveBuffer);
    tls.start();
    tls.readStart();
  });
}

/**
 * Says of a write what is true: its memory is free at once, as it was encrypted. One that has to wait is kept; the
 * memory of it must not change until then.
 *
 * @param {TlsHandle} tls
 * @returns {TcpHandle}
 */
function plain(tls) {
  tls.isWriting = false;
  tls.waiting = [];
  tls.setNoDelay = () => 0;
  tls.writeBuffer = writeInTurn;
  return tls;
}

/**
 * @this {TlsHandle}
 * @param {unknown} _request
 * @param {Uint8Array} bytes
 */
function writeInTurn(_request, bytes) {
  if (!this.isWriting) return write(this, bytes);
  this.waiting.push(bytes);
  return 0;
}

/**
 * @typedef {import('./stream-handles.js').WriteRequest & { tls: TlsHandle | null }} TlsWrite
 *
 * Requests that are not in flight.
 *
 * @type {TlsWrite[]}
 */
const spare = [];
/**
 * The one completed last: Node.js lets go of it when its callback is over.
 *
 * @type {TlsWrite | null}
 */
let done = null;

/**
 * @param {TlsHandle} tls
 * @param {Uint8Array} bytes
 */
function write(tls, bytes) {
  const request = spare.pop() ?? newWrite();
  request.tls = tls;
  const error = nativeWrite.call(tls, request, bytes);
  tls.isWriting = error === 0 && isWritePending();
  return error;
}

/** @returns {TlsWrite} */
function newWrite() {
  const request = /** @type {TlsWrite} */ (new WriteWrap());
  request.oncomplete = onWritten;
  return request;
}

/**
 * @this {TlsWrite}
 * @param {number} status
 */
function onWritten(status) {
  finish(this, status);
}

/**
 * @param {TlsWrite} request
 * @param {number} status
 */
function finish(request, status) {
  const tls = /** @type {TlsHandle} */ (request.tls);
  request.tls = null;
  if (done !== null) spare.push(done);
  done = null;
  tls.isWriting = false;
  if (status !== 0) tls.onerror(new Error(`a write failed (${status})`));
  const next = tls.waiting.shift();
  if (next !== undefined) write(tls, next);
  done = request;
}
