import { connect, type Socket } from 'node:net';
import { type Frame, readFrames } from '../protocol/frame-reader.ts';
import { HOST } from '../servers/server.ts';
import { securedInTlsMode } from '../tls/tls-mode.ts';
import { DEADLINE, sleep } from '../tools/deadline.ts';

export const HANDSHAKE_FIELDS: readonly string[] = [
  'Host: x',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];

/** The bytes of a request head. */
export function requestHead(line: string, fields: readonly string[]): Buffer {
  return Buffer.from(`${[line, ...fields].join('\r\n')}\r\n\r\n`, 'latin1');
}

export function handshakeHead(path: string, extraFields: readonly string[] = []): Buffer {
  return requestHead(`GET ${path} HTTP/1.1`, [...HANDSHAKE_FIELDS, ...extraFields]);
}

export interface ConnectFrom {
  /** The address to connect from. */
  from?: string;
  to?: string;
}

interface Waiter {
  isMet(): boolean;
  resolve(): void;
}

/**
 * HostileClient: a TCP connection that sends whatever it is told, keeps all that comes, and says how it ended:
 * with FIN or with an error. It does not close its side by itself, and sending to a server that left is no error.
 */
export class HostileClient {
  /** Those that are open. */
  static readonly live = new Set<HostileClient>();
  readonly socket: Socket;
  readonly #tcp: Socket;
  /** Bytes of the response head of `upgrade`, with its empty line. */
  head = '';
  /** The server's FIN was read. */
  hasFin = false;
  /** The connection is gone. */
  isClosed = false;
  /** 'ECONNRESET' and the like. */
  error = '';
  /** How many bytes came, the 101 included. */
  received = 0;
  #chunks: Buffer[] = [];
  #waiters: Waiter[] = [];
  #headLength = 0;

  constructor(socket: Socket, tcp: Socket = socket) {
    this.socket = socket;
    this.#tcp = tcp;
    HostileClient.live.add(this);
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.received += chunk.length;
      this.#notify();
    });
    socket.on('end', () => {
      this.hasFin = true;
      this.#notify();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on('close', () => {
      HostileClient.live.delete(this);
      this.isClosed = true;
      this.#notify();
    });
  }

  /** Connects. Rejects when the connection is refused. */
  static async open(port: number, options: ConnectFrom = {}): Promise<HostileClient> {
    const { from, to = HOST } = options;
    const tcp = connect({
      port,
      host: to,
      allowHalfOpen: true,
      noDelay: true,
      ...(from === undefined ? {} : { localAddress: from }),
    });
    const { socket, ready } = securedInTlsMode(tcp);
    const client = new HostileClient(socket, tcp);
    await new Promise<void>((resolve, reject) => {
      socket.once(ready, resolve);
      socket.once('error', reject);
    });
    return client;
  }

  /** Connects and shakes hands; rejects when the answer is not 101. */
  static async upgrade(port: number, path = '/echo', options: ConnectFrom = {}): Promise<HostileClient> {
    const client = await HostileClient.open(port, options);
    client.write(handshakeHead(path));
    await client.upgraded();
    return client;
  }

  /** All bytes so far. */
  get bytes(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  /** Bytes behind the 101. */
  get body(): Buffer {
    return this.bytes.subarray(this.#headLength);
  }

  /** Frames so far; a cut one is left out. */
  get frames(): Frame[] {
    return this.framesFrom(this.#headLength);
  }

  /** The whole frames from this byte on. */
  framesFrom(start: number): Frame[] {
    const bytes = this.bytes.subarray(start);
    return readFrames(bytes.subarray(0, wholeFrames(bytes)));
  }

  /** The server has sent its FIN, or the connection is gone. */
  get isOver(): boolean {
    return this.hasFin || this.isClosed;
  }

  write(bytes: Uint8Array | string): void {
    if (!this.isClosed && this.socket.writable) this.socket.write(bytes);
  }

  /** Writes piece by piece, each in a segment of its own; stops when the server has closed. */
  async writePieces(pieces: readonly Uint8Array[], pause = 0): Promise<void> {
    for (const piece of pieces) {
      if (this.isOver) return;
      this.write(piece);
      if (pause > 0) await sleep(pause);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Lets go of what came so far. */
  forget(): void {
    this.#chunks = [];
    this.#headLength = 0;
  }

  /** Waits for the 101. */
  async upgraded(): Promise<void> {
    await this.until(() => this.bytes.includes('\r\n\r\n') || this.isOver, 'the answer to a handshake');
    const end = this.bytes.indexOf('\r\n\r\n') + 4;
    this.head = this.bytes.toString('latin1', 0, end);
    this.#headLength = end;
    if (!this.head.startsWith('HTTP/1.1 101 ')) {
      this.destroy();
      throw new Error(`no 101 but ${JSON.stringify(this.bytes.toString('latin1', 0, 200))} ${this.error}`);
    }
  }

  async until(isMet: () => boolean, what: string, timeout = DEADLINE): Promise<void> {
    if (isMet()) return;
    let timer: NodeJS.Timeout | undefined;
    const met = new Promise<boolean>((resolve) => {
      this.#waiters.push({ isMet, resolve: () => resolve(true) });
      timer = setTimeout(() => resolve(false), timeout);
    });
    const isInTime = await met;
    clearTimeout(timer);
    if (isInTime) return;
    const state = `fin ${this.hasFin}, closed ${this.isClosed} ${this.error}, ${this.bytes.length} bytes`;
    throw new Error(`waited ${timeout} ms for ${what} (${state})`);
  }

  async untilOver(timeout = DEADLINE): Promise<void> {
    await this.until(() => this.isOver, 'the end of the connection', timeout);
  }

  async untilFrames(count: number): Promise<Frame[]> {
    await this.until(() => this.isOver || this.frames.length >= count, `${count} frames`);
    return this.frames;
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Closes with RST. */
  reset(): void {
    this.#tcp.resetAndDestroy();
  }

  #notify(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    this.#waiters = waiters.filter((waiter) => {
      if (!waiter.isMet()) return true;
      waiter.resolve();
      return false;
    });
  }
}

/** Length of the whole frames of a server at the start of `bytes`. */
function wholeFrames(bytes: Uint8Array): number {
  let at = 0;
  for (;;) {
    const short = bytes[at + 1];
    if (short === undefined) return at;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (at + header > bytes.length) return at;
    let length = short;
    if (short === 126) length = view.getUint16(at + 2);
    else if (short === 127) length = Number(view.getBigUint64(at + 2));
    if (at + header + length > bytes.length) return at;
    at += header + length;
  }
}

/** Runs `task` for every item, at most `width` at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  task: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      await task(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}

/** Opens `count` WebSockets. */
export async function openMany(
  port: number,
  count: number,
  path = '/echo',
  width = 64,
): Promise<HostileClient[]> {
  const clients: HostileClient[] = [];
  await inParallel(Array.from({ length: count }), width, async () => {
    clients.push(await HostileClient.upgrade(port, path));
  });
  return clients;
}
