// @ts-check

/**
 * libuv's stream handles as Node.js has them inside. The load client drives them without net.Socket, which would
 * cost more for each read and write than the servers that are measured. Nothing here is shared with the engine.
 *
 * @typedef {object} WriteRequest
 * @property {((this: any, status: number) => void) | null} oncomplete
 * @property {unknown} [owner]
 *
 * What gets the reads of a handle: bytes at the start of its buffer, or a negative errno.
 *
 * @typedef {{ readCompleted(count: number): void }} StreamReader
 *
 * @typedef {object} TcpHandle
 * @property {(this: any) => void} onread called with the handle as `this`
 * @property {StreamReader} reader
 * @property {() => number} readStart
 * @property {(enable: boolean) => number} setNoDelay
 * @property {(buffer: Uint8Array) => void} useUserBuffer every read lands at its start
 * @property {(request: WriteRequest, bytes: Uint8Array) => number} writeBuffer
 * @property {(request: object, address: string, port: number) => number} connect
 * @property {() => void} close
 */

/** @param {string} name */
function binding(name) {
  const internals = /** @type {{ binding(name: string): any }} */ (/** @type {unknown} */ (process));
  return internals.binding(name);
}

const tcp = binding('tcp_wrap');
const stream = binding('stream_wrap');

/** @type {new () => WriteRequest} */
export const WriteWrap = stream.WriteWrap;

const results = stream.streamBaseState;
const { kReadBytesOrError, kLastWriteWasAsync } = stream;

/**
 * Bytes that the last read brought, or a negative errno.
 *
 * @returns {number}
 */
export function readCount() {
  return results[kReadBytesOrError];
}

/**
 * @param {TcpHandle} handle
 * @param {StreamReader} reader
 */
export function deliverReads(handle, reader) {
  handle.reader = reader;
  handle.onread = onRead;
}

/** @this {TcpHandle} */
function onRead() {
  this.reader.readCompleted(results[kReadBytesOrError]);
}

/** Whether libuv holds on to the memory and the request of the last write. */
export function isWritePending() {
  return results[kLastWriteWasAsync] !== 0;
}

/**
 * @param {string} address
 * @param {number} port
 * @param {(error: number, handle: TcpHandle) => void} onConnect
 */
export function connect(address, port, onConnect) {
  /** @type {TcpHandle} */
  const handle = new tcp.TCP(tcp.constants.SOCKET);
  const request = new tcp.TCPConnectWrap();
  request.oncomplete = (/** @type {number} */ status) => onConnect(status, handle);
  const error = handle.connect(request, address, port);
  if (error !== 0) onConnect(error, handle);
}
