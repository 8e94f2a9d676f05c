// @ts-check
import { connect, readCount, WriteWrap } from './stream-handles.js';
import { secure } from './tls-handle.js';

/** @typedef {import('./stream-handles.js').TcpHandle} TcpHandle */

/** The answer to the key that is sent (RFC 6455 §1.3). */
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

/**
 * @param {string} path
 * @param {string} extensions
 */
const request = (path, extensions) =>
  Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
      `${extensions === '' ? '' : `Sec-WebSocket-Extensions: ${extensions}\r\n`}\r\n`,
  );

/**
 * Opens a WebSocket on a bare handle. What the server sends next goes to the handle's `onread`.
 *
 * @param {number} port
 * @param {string} path
 * @param {Buffer} receiveBuffer where every read of the handle lands
 * @param {boolean} isTls
 * @param {string} extensions offered; the server must then accept permessage-deflate
 * @returns {Promise<TcpHandle>}
 */
export function openWebSocket(port, path, receiveBuffer, isTls = false, extensions = '') {
  return new Promise((resolve, reject) => {
    connect('127.0.0.1', port, (error, handle) => {
      if (error === 0 && isTls) resolve(secureFirst(handle, path, receiveBuffer));
      else if (error === 0) resolve(shakeHands(handle, path, receiveBuffer, extensions));
      else reject(new Error(`cannot connect to port ${port}: ${error}`));
    });
  });
}

/**
 * @param {TcpHandle} handle
 * @param {string} path
 * @param {Buffer} receiveBuffer
 */
async function secureFirst(handle, path, receiveBuffer) {
  handle.setNoDelay(true);
  return shakeHands(await secure(handle, receiveBuffer), path, receiveBuffer);
}

/**
 * @param {TcpHandle} handle
 * @param {string} path
 * @param {Buffer} receiveBuffer
 * @param {string} extensions
 * @returns {Promise<TcpHandle>}
 */
function shakeHands(handle, path, receiveBuffer, extensions = '') {
  return new Promise((resolve, reject) => {
    let head = '';
    handle.setNoDelay(true);
    handle.useUserBuffer(receiveBuffer);
    handle.onread = () => {
      const count = readCount();
      if (count < 0) reject(new Error(`the server closed a connection in its handshake (${count})`));
      if (count <= 0) return;
      head += receiveBuffer.toString('latin1', 0, count);
      if (!head.includes('\r\n\r\n')) return;
      const isOpen =
        head.startsWith('HTTP/1.1 101') &&
        head.includes(ACCEPT) &&
        head.endsWith('\r\n\r\n') &&
        (extensions === '' || head.includes('permessage-deflate'));
      if (isOpen) resolve(handle);
      else reject(new Error(`the server refused the handshake: ${head.slice(0, 200)}`));
    };
    handle.readStart();
    handle.writeBuffer(new WriteWrap(), request(path, extensions));
  });
}
