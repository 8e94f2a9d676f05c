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
 *   writeNext: import('./stream-handles.js').WriteRequest | null,
 * }} TlsHandle
 */

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
  const { wrap } = /** @type {{ binding(name: string): any }} */ (/** @type {unknown} */ (process)).binding(
    'tls_wrap',
  );
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
  const writeBuffer = tls.writeBuffer.bind(tls);
  let isWriting = false;
  /** @type {Uint8Array[]} */
  const waiting = [];
  /** @param {Uint8Array} bytes */
  const write = (bytes) => {
    const request = new WriteWrap();
    request.oncomplete = (status) => {
      isWriting = false;
      if (status !== 0) tls.onerror(new Error(`a write failed (${status})`));
      const next = waiting.shift();
      if (next !== undefined) write(next);
    };
    const error = writeBuffer(request, bytes);
    isWriting = error === 0 && isWritePending();
    return error;
  };
  tls.setNoDelay = () => 0;
  tls.writeBuffer = (_request, bytes) => {
    if (!isWriting) return write(bytes);
    waiting.push(bytes);
    return 0;
  };
  return tls;
}
