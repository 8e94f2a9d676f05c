// @ts-check
/** What probes are made of: Apps, raw HTTP, raw WebSocket. They use Node.js alone, so that nothing between hides a byte. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

/** A connection that keeps what it received. */
export class Peer {
  /** @param {number} port */
  constructor(port) {
    this.received = Buffer.alloc(0);
    this.isClosed = false;
    /** @type {Set<() => void>} */
    this.waiting = new Set();
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: false });
    this.socket.on('data', (data) => {
      this.received = Buffer.concat([this.received, data]);
      this.wake();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
      this.wake();
    });
  }

  wake() {
    for (const look of this.waiting) look();
  }

  /** @param {string | Uint8Array} bytes */
  send(bytes) {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /**
   * The first value that `read` gives that is not undefined, looked for whenever something came; the connection's end
   * gives 'closed'.
   *
   * @template T @param {(received: Buffer) => T | undefined} read @returns {Promise<T | 'closed'>}
   */
  wait(read) {
    return new Promise((resolve) => {
      const look = () => {
        const value = read(this.received);
        if (value === undefined && !this.isClosed) return;
        this.waiting.delete(look);
        resolve(value ?? 'closed');
      };
      this.waiting.add(look);
      look();
    });
  }

  close() {
    this.socket.destroy();
  }
}

/** Header lines that differ by nature: see the page's rows on them. */
const LEFT_OUT = new Set(['date', 'uwebsockets']);

/** @typedef {{ status: string, headers: string[], body?: string, cut?: string, size: number }} Response */

/**
 * The response at the start of what was received: its status line, header lines and body; undefined when it is not whole.
 *
 * @param {Buffer} received @param {boolean} isHead @returns {Response | undefined}
 */
export function readResponse(received, isHead = false) {
  const text = received.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [status = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.filter((line) => !LEFT_OUT.has(line.split(':')[0]?.toLowerCase() ?? ''));
  const length = lines.map((line) => /^content-length: *(\d+)$/i.exec(line)?.[1]).find((found) => found);
  const isChunked = lines.some((line) => /^transfer-encoding: *chunked/i.test(line));
  const rest = text.slice(end + 4);
  const head = { status: status.replace('HTTP/1.1 ', ''), headers: headers.map(readable) };
  if (isHead || /^(101|204|304)/.test(head.status)) return { ...head, size: end + 4 };
  if (isChunked) {
    const last = rest.indexOf('0\r\n\r\n');
    return last < 0 ? undefined : { ...head, body: rest.slice(0, last + 5), size: end + 9 + last };
  }
  const size = Number(length ?? 0);
  if (rest.length < size) return undefined;
  return { ...head, body: rest.slice(0, size), size: end + 4 + size };
}

/** A length that was made of what is no number differs by processor. @param {string} line */
function readable(line) {
  return line.replace(/^Content-Length: \d{16,}$/, 'Content-Length: nonsense');
}

/** What there is of a response that was cut. @param {Buffer} received */
export function cutResponse(received) {
  const { status, headers } = readResponse(received, true) ?? { status: 'cut', headers: [] };
  return { status, headers, cut: received.toString('latin1').split('\r\n\r\n')[1] ?? '' };
}

/** @param {number} opcode @param {string | Uint8Array} payload @param {boolean} isFinal */
export function clientFrame(opcode, payload = '', isFinal = true) {
  const bytes = Buffer.from(payload);
  const mask = randomBytes(4);
  const first = (isFinal ? 0x80 : 0) | opcode;
  const head =
    bytes.length < 126
      ? Buffer.from([first, 0x80 | bytes.length])
      : Buffer.from([first, 0xfe, bytes.length >> 8, bytes.length & 255]);
  return Buffer.concat([head, mask, bytes.map((byte, i) => byte ^ /** @type {number} */ (mask[i & 3]))]);
}

/** @param {number} code @param {string | Uint8Array} reason */
export function closePayload(code, reason = '') {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

/** The frames in what was received, readable. @param {Buffer} bytes */
export function readFrames(bytes) {
  const frames = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const first = /** @type {number} */ (bytes[at]);
    let size = /** @type {number} */ (bytes[at + 1]) & 127;
    let start = at + 2;
    if (size === 126) {
      if (at + 4 > bytes.length) break;
      size = bytes.readUInt16BE(at + 2);
      start = at + 4;
    }
    if (start + size > bytes.length) break;
    frames.push(frameText(first, bytes.subarray(start, start + size)));
    at = start + size;
  }
  return frames;
}

const OPCODES = /** @type {Record<number, string>} */ ({
  0: 'continuation',
  1: 'text',
  2: 'binary',
  8: 'close',
  9: 'ping',
  10: 'pong',
});

/** @param {number} first @param {Buffer} payload */
function frameText(first, payload) {
  const name = OPCODES[first & 15] ?? String(first & 15);
  const flags = (first & 0x80 ? '' : ' more') + (first & 0x40 ? ' rsv1' : '');
  if ((first & 15) !== 8) return `${name}${flags} ${payload.toString('latin1')}`.trim();
  const code = payload.length < 2 ? '' : ` ${payload.readUInt16BE(0)}`;
  return `${name}${flags}${code} ${payload.subarray(2).toString('latin1')}`.trim();
}

/** A raw WebSocket client. */
export class Socket extends Peer {
  start = 0;

  /** @param {number} port @param {string} path @param {readonly string[]} lines */
  static async open(port, path = '/', lines = []) {
    const socket = new Socket(port);
    socket.send(
      [
        `GET ${path} HTTP/1.1`,
        'Host: a',
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        ...lines,
        '\r\n',
      ].join('\r\n'),
    );
    const head = await socket.wait((received) => readResponse(received));
    socket.start = head === 'closed' ? 0 : head.size;
    socket.head = head === 'closed' ? null : head;
    return socket;
  }

  /** @type {Response | null} */
  head = null;

  get frames() {
    return readFrames(this.received.subarray(this.start));
  }

  /** Waits for so many frames, or the end; gives all there are. @param {number} count */
  async until(count) {
    await this.wait(() => (this.frames.length >= count ? true : undefined));
    return this.isClosed && this.frames.length < count ? [...this.frames, 'closed'] : this.frames;
  }

  /** Answers a Close frame and waits for the end of the connection. */
  async end() {
    const closes = await this.wait(() => this.frames.find((frame) => frame.startsWith('close')));
    if (closes !== 'closed') this.send(clientFrame(8, closePayload(1000)));
    await this.wait(() => undefined);
    return this.frames;
  }
}

/** Tells what a call came to. @param {() => unknown} call */
export function outcome(call) {
  try {
    return shown(call());
  } catch {
    // Texts of errors are each one's own.
    return 'throws';
  }
}

/** A value as JSON can hold it, so that what differs looks different. @param {unknown} value @returns {unknown} */
export function shown(value) {
  if (value === undefined) return 'undefined';
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${Buffer.from(value).toString('latin1')})`;
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'object') {
    const name = value.constructor?.name;
    if (name === 'Object') {
      const entries = Object.entries(value).map(([key, entry]) => [key, shown(entry)]);
      return Object.fromEntries(entries.sort());
    }
    return `a ${name}`;
  }
  return `a ${typeof value}`;
}

/** The tools of one probe, which end what it started. */
export class Tools {
  /** @param {any} uWS */
  constructor(uWS) {
    this.uWS = uWS;
    /** @type {any[]} */
    this.apps = [];
    /** @type {Peer[]} */
    this.peers = [];
  }

  /** @param {unknown} options */
  app(options = undefined, kind = 'App') {
    const app = options === undefined ? this.uWS[kind]() : this.uWS[kind](options);
    this.apps.push(app);
    return app;
  }

  /** The port an App listens on from now on. @param {any} app */
  listen(app) {
    let port = -1;
    app.listen('127.0.0.1', 0, (/** @type {any} */ token) => {
      port = token ? this.uWS.us_socket_local_port(token) : -2;
    });
    return port;
  }

  /**
   * Sends one request and gives the response, without its length on the wire.
   *
   * @param {number} port @param {string} target @param {readonly string[]} lines
   * @returns {Promise<Omit<Response, 'size'> | 'closed'>}
   */
  async http(port, target = 'GET /', lines = [], body = '') {
    const peer = this.peerOf(port);
    const host = lines.some((line) => line.toLowerCase().startsWith('host:')) ? [] : ['Host: a'];
    peer.send(`${[`${target} HTTP/1.1`, ...host, ...lines].join('\r\n')}\r\n\r\n${body}`);
    const response = await peer.wait((received) => readResponse(received, target.startsWith('HEAD')));
    if (response === 'closed') return peer.received.length === 0 ? 'closed' : cutResponse(peer.received);
    const { size: _, ...rest } = response;
    return rest;
  }

  /** What a handler of GET makes of a request. @param {(res: any, req: any) => void} handler */
  async get(handler, target = 'GET /', lines = /** @type {string[]} */ ([]), body = '') {
    const app = this.app().any('/*', handler);
    return this.http(this.listen(app), target, lines, body);
  }

  /** @param {number} port @param {string} path @param {readonly string[]} lines */
  async socket(port, path = '/', lines = []) {
    const socket = await Socket.open(port, path, lines);
    this.peers.push(socket);
    return socket;
  }

  /** A raw connection. @param {number} port */
  peerOf(port) {
    const peer = new Peer(port);
    this.peers.push(peer);
    return peer;
  }

  /** A WebSocket of an App with this behavior. @param {object} behavior */
  async open(behavior, path = '/', lines = /** @type {string[]} */ ([])) {
    return this.socket(this.listen(this.app().ws('/*', behavior)), path, lines);
  }

  /**
   * What calls in `open` come to, and the frames they send, up to a last one that says it is the last.
   *
   * @param {(ws: any) => unknown} call
   */
  async inOpen(call, behavior = {}) {
    let result;
    const socket = await this.open({
      ...behavior,
      open: (/** @type {any} */ ws) => {
        result = outcome(() => call(ws));
        outcome(() => ws.send('last'));
      },
    });
    await socket.wait(() => (socket.frames.some(isLast) ? true : undefined));
    return { result, frames: socket.frames };
  }

  end() {
    for (const peer of this.peers) peer.close();
    for (const app of this.apps) {
      try {
        app.close();
      } catch {
        // It was closed by its probe.
      }
    }
  }
}

/** @param {string} frame */
function isLast(frame) {
  return frame === 'text last' || frame.startsWith('close');
}
