import { connect, type Socket } from 'node:net';
import { close as closeFrame, type FrameSpec, SAMPLE_KEY } from '../protocol/frame-bytes.ts';
import { framesBytes, readHead } from '../protocol/frame-reader.ts';
import { HOST } from '../servers/server.ts';
import { securedInTlsMode } from '../tls/tls-mode.ts';
import { DEADLINE, within } from '../tools/deadline.ts';

/** A frame as it came from the server. */
export interface ServerFrame {
  readonly fin: boolean;
  readonly opcode: number;
  /** RSV1, of a compressed message; otherwise left out. */
  readonly rsv?: number;
  readonly payload: Buffer;
}

export interface RawResponse {
  readonly status: number;
  readonly statusText: string;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly bytes: Buffer;
}

export interface ConnectOptions {
  readonly host?: string;
  /** Do not answer the server's FIN with our own. */
  readonly allowHalfOpen?: boolean;
}

export const CLIENT_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** The bytes of a handshake; a header given as null is left out. */
export function handshakeText(path = '/', headers: Record<string, string | null> = {}): string {
  const all: Record<string, string | null> = {
    Host: 'server.test',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': CLIENT_KEY,
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null);
  return [`GET ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
}

/** A TCP connection, byte by byte: for what proper clients never do. */
export class RawClient {
  readonly socket: Socket;
  readonly #tcp: Socket;
  /** permessage-deflate was agreed: messages may have RSV1. */
  allowsRsv1 = false;
  #joined: Buffer = Buffer.alloc(0);
  #at = 0;
  #parts: Buffer[] = [];
  #available = 0;
  /** Bytes the next frame is known to have; looking at it before they are there is in vain. */
  #frameSize = 2;
  #ended = false;
  #wake: (() => void) | null = null;
  readonly #closed: Promise<void>;

  private constructor(socket: Socket, tcp: Socket) {
    this.socket = socket;
    this.#tcp = tcp;
    this.#closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve();
      });
    });
    socket.on('data', (bytes) => {
      this.#parts.push(bytes);
      this.#available += bytes.length;
      this.#notify();
    });
    const end = (): void => {
      this.#ended = true;
      this.#notify();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  static async connect(port: number, options: ConnectOptions = {}): Promise<RawClient> {
    const tcp = connect({ port, host: HOST, noDelay: true, ...options });
    const { socket, ready } = securedInTlsMode(tcp);
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once(ready, resolve).once('error', reject);
      }),
      'a connection',
    );
    return new RawClient(socket, tcp);
  }

  /** A connection after its WebSocket handshake. */
  static async webSocket(
    port: number,
    path = '/',
    headers: Record<string, string | null> = {},
    options: ConnectOptions = {},
  ): Promise<RawClient> {
    const client = await RawClient.connect(port, options);
    client.write(handshakeText(path, headers));
    const { status, body, headers: answer } = await client.response();
    client.allowsRsv1 = answer.has('sec-websocket-extensions');
    if (status !== 101) throw new Error(`the handshake was refused: ${status} ${body}`);
    return client;
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends frames, masked, in one write. */
  send(...frames: readonly FrameSpec[]): void {
    this.write(framesBytes(frames, SAMPLE_KEY));
  }

  /** Reads no more until `resume`. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Reads a piece, waits for `ms`, reads the next, and so on until the function it returns is called. */
  readSlowly(ms: number): () => void {
    const onData = (): void => {
      this.socket.pause();
      setTimeout(() => this.socket.resume(), ms);
    };
    this.socket.on('data', onData).resume();
    return () => {
      this.socket.off('data', onData);
    };
  }

  /** Ends our direction. */
  end(): void {
    this.socket.end();
  }

  /** Ends with RST. */
  reset(): void {
    this.#tcp.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Exactly `count` bytes; rejects when the server ends before. */
  async read(count: number): Promise<Buffer> {
    await this.#fill(count);
    return this.#take(count);
  }

  /** Everything until the server ends its direction. */
  async readToEnd(): Promise<Buffer> {
    while (!this.#ended) await this.#more();
    return this.#take(this.#available);
  }

  async frame(): Promise<ServerFrame> {
    const buffered = this.#tryFrame();
    if (buffered !== null) return buffered;
    for (;;) {
      if (this.#ended) throw new Error('the server ended the connection before the next frame');
      await this.#more();
      const frame = this.#tryFrame();
      if (frame !== null) return frame;
    }
  }

  async frames(count: number): Promise<ServerFrame[]> {
    const frames: ServerFrame[] = [];
    while (frames.length < count) frames.push(await this.frame());
    return frames;
  }

  /** The text of the next frame. */
  async text(): Promise<string> {
    return (await this.frame()).payload.toString();
  }

  /** All whole frames until the server ends its direction, and how many bytes of another one there were. */
  async framesToEnd(): Promise<{ frames: ServerFrame[]; rest: number }> {
    while (!this.#ended) await this.#more();
    const frames: ServerFrame[] = [];
    for (let next = this.#tryFrame(); next !== null; next = this.#tryFrame()) frames.push(next);
    return { frames, rest: this.#available };
  }

  /**
   * The next HTTP response. Its body comes in chunks, or is as long as Content-Length says; there is none after a HEAD,
   * and with the statuses that have none.
   */
  async response(options: { isHead?: boolean } = {}): Promise<RawResponse> {
    let end = -1;
    for (;;) {
      end = this.#peek().indexOf('\r\n\r\n');
      if (end >= 0) break;
      if (this.#ended)
        throw new Error(`the server ended the connection; it sent: ${this.#peek().toString()}`);
      await this.#more();
    }
    const [statusLine = '', ...lines] = this.#take(end + 4)
      .toString('latin1', 0, end)
      .split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    const [, status = '', ...words] = statusLine.split(' ');
    const isBodiless = options.isHead === true || /^1..$|^204$|^304$/.test(status);
    const isChunked = headers.get('transfer-encoding') === 'chunked';
    const length = isBodiless ? 0 : Number(headers.get('content-length') ?? 0);
    const bytes = isChunked && !isBodiless ? await this.#chunks() : await this.read(length);
    return { status: Number(status), statusText: words.join(' '), headers, body: bytes.toString(), bytes };
  }

  /** A body in chunks, as strict as a proxy. */
  async #chunks(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (;;) {
      let line = '';
      while (!line.endsWith('\r\n')) line += (await this.read(1)).toString('latin1');
      if (!/^[0-9a-f]+\r\n$/.test(line)) throw new Error(`not the size of a chunk: ${JSON.stringify(line)}`);
      const size = Number.parseInt(line, 16);
      parts.push(await this.read(size));
      const end = await this.read(2);
      if (end.toString('latin1') !== '\r\n') throw new Error('a chunk is longer than its size');
      if (size === 0) return Buffer.concat(parts);
    }
  }

  /** Bytes that came and were not taken. */
  get buffered(): number {
    return this.#available;
  }

  /** Resolves when the connection is over in both directions. */
  closed(): Promise<void> {
    return within(this.#closed, 'the end of the connection');
  }

  /** Sends a Close frame, and waits for its answer and for the end. Returns the answer's code. */
  async close(code = 1000): Promise<number> {
    this.send(closeFrame(code));
    for (;;) {
      const frame = await this.frame();
      if (frame.opcode !== 8) continue;
      await this.closed();
      return frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE();
    }
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = null;
  }

  #more(): Promise<void> {
    const more = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return within(more, `more than ${this.#available} bytes from the server`, DEADLINE);
  }

  async #fill(count: number): Promise<void> {
    while (this.#available < count) {
      if (this.#ended) {
        throw new Error(`the server ended the connection ${count - this.#available} bytes too early`);
      }
      await this.#more();
    }
  }

  /** What was not taken, in one piece. */
  #peek(): Buffer {
    if (this.#parts.length > 0) {
      this.#joined = Buffer.concat([this.#joined.subarray(this.#at), ...this.#parts]);
      this.#at = 0;
      this.#parts = [];
    }
    return this.#joined.subarray(this.#at);
  }

  #take(count: number): Buffer {
    const bytes = this.#peek().subarray(0, count);
    this.#at += count;
    this.#available -= count;
    return bytes;
  }

  #tryFrame(): ServerFrame | null {
    if (this.#available < this.#frameSize) return null;
    const bytes = this.#peek();
    const form = bytes[1]! & 127;
    const headSize = form === 126 ? 4 : form === 127 ? 10 : 2;
    this.#frameSize = headSize;
    if (bytes.length < headSize) return null;
    const { fin, opcode, rsv, key, length } = readHead(bytes, 0);
    if (key !== null) throw new Error('the server masked a frame');
    const isCompressed = rsv === 4 && this.allowsRsv1 && (opcode === 1 || opcode === 2);
    if (rsv !== 0 && !isCompressed) throw new Error('the server set a reserved bit');
    const size = headSize + Number(length);
    this.#frameSize = size;
    if (bytes.length < size) return null;
    this.#frameSize = 2;
    const payload = this.#take(size).subarray(headSize);
    return isCompressed ? { fin, opcode, rsv, payload } : { fin, opcode, payload };
  }
}

/** The close code in a Close frame, 1005 when it has none. */
export function closeCodeOf({ opcode, payload }: ServerFrame): number {
  if (opcode !== 8) throw new Error(`not a Close frame but one with opcode ${opcode}`);
  return payload.length < 2 ? 1005 : payload.readUInt16BE();
}

/** The reason in a Close frame. */
export function closeReasonOf({ payload }: ServerFrame): string {
  return payload.subarray(2).toString();
}
