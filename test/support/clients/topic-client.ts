import { connect, type Socket } from 'node:net';
import { binary, SAMPLE_KEY, text } from '../protocol/frame-bytes.ts';
import { framesBytes } from '../protocol/frame-reader.ts';
import { HOST } from '../servers/server.ts';
import { Mailbox, within } from '../tools/deadline.ts';
import { handshakeText } from './raw-client.ts';

/** Told of each message of a topic; the bytes are valid during the call only. */
export type OnMessage = (payload: Buffer, isBinary: boolean) => void;

/** What the app of the topics tests is asked to do. Its answer has the same `ask`. */
export type Command = Readonly<Record<string, unknown>>;
export interface Answer {
  readonly ask: string;
  readonly shard?: number;
  /** Whether a publish found a subscriber. */
  readonly result?: boolean;
  /** The topics of the socket, or how many they are. */
  readonly topics?: unknown;
  readonly counts?: readonly number[];
  /** Bytes that wait for the slowest socket of the shard. */
  readonly most?: number;
}

/** Texts that begin so are answers, all others are messages of topics. */
const ANSWER = 0x21;

/**
 * A client of the topics tests' app, made to take a great many messages: they are counted or looked at where
 * they lie, and only answers become objects.
 */
export class TopicClient {
  /** The shard it is connected to. */
  shard = -1;
  /** Messages of topics so far. */
  count = 0;
  onMessage: OnMessage;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;
  isClosed = false;
  readonly #socket: Socket;
  readonly #answers = new Mailbox<Answer>('an answer');
  #upgraded: (() => void) | null = null;
  #parts: Buffer[] = [];
  #available = 0;
  #needed = 2;

  private constructor(socket: Socket, onMessage: OnMessage) {
    this.#socket = socket;
    this.onMessage = onMessage;
    socket.on('data', (chunk) => {
      this.#push(chunk);
    });
    // A reset is one way to end; 'close' follows.
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        this.#answers.finish('the connection is closed');
        resolve();
      });
    });
  }

  /** Connects and waits for the greeting, which names the shard. */
  static async connect(port: number, path = '/', onMessage: OnMessage = () => {}): Promise<TopicClient> {
    const socket = connect({ port, host: HOST, noDelay: true });
    const client = new TopicClient(socket, onMessage);
    const upgraded = new Promise<void>((resolve) => {
      client.#upgraded = resolve;
    });
    socket.write(handshakeText(path));
    await within(Promise.race([upgraded, client.closed]), 'the handshake');
    const { shard } = await client.answer('hello');
    client.shard = shard ?? -1;
    return client;
  }

  /** Connects `count` clients, some at a time. */
  static async connectAll(count: number, port: number, path = '/'): Promise<TopicClient[]> {
    const clients: TopicClient[] = [];
    while (clients.length < count) {
      const wave = Math.min(50, count - clients.length);
      clients.push(
        ...(await Promise.all(Array.from({ length: wave }, () => TopicClient.connect(port, path)))),
      );
    }
    return clients;
  }

  tell(command: Command): void {
    this.#socket.write(framesBytes([text(JSON.stringify(command))], SAMPLE_KEY));
  }

  /** Has the app publish this on the topic that its first byte names. */
  forward(payload: Uint8Array): void {
    this.#socket.write(framesBytes([binary(payload)], SAMPLE_KEY));
  }

  /** Tells the app to do something and waits until it has. */
  ask(command: Command & { readonly ask: string }): Promise<Answer> {
    this.tell(command);
    return this.answer(command.ask);
  }

  async answer(ask: string): Promise<Answer> {
    const answer = await this.#answers.next();
    if (answer.ask !== ask) throw new Error(`an answer to ${answer.ask}, not to ${ask}`);
    return answer;
  }

  subscribe(...topics: string[]): Promise<Answer> {
    return this.ask({ ask: 'subscribe', topics });
  }

  unsubscribe(...topics: string[]): Promise<Answer> {
    return this.ask({ ask: 'unsubscribe', topics });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends with RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  #push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#available > 0) {
      this.#parts.push(chunk);
      this.#available += chunk.length;
      if (this.#available < this.#needed) return;
      bytes = Buffer.concat(this.#parts);
    }
    const rest = this.#upgraded === null ? this.#readFrames(bytes, 0) : this.#readHead(bytes);
    this.#available = bytes.length - rest;
    this.#parts = this.#available === 0 ? [] : [bytes.subarray(rest)];
  }

  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n');
    this.#needed = bytes.length + 1;
    if (end < 0) return 0;
    if (!bytes.toString('latin1', 0, end).startsWith('HTTP/1.1 101 ')) {
      this.#socket.destroy();
      return bytes.length;
    }
    this.#upgraded!();
    this.#upgraded = null;
    return this.#readFrames(bytes, end + 4);
  }

  /** Returns where the first frame begins that is not whole. */
  #readFrames(bytes: Buffer, start: number): number {
    let at = start;
    for (;;) {
      this.#needed = 2;
      if (bytes.length - at < 2) return at;
      const form = bytes[at + 1]!;
      const header = form < 126 ? 2 : form === 126 ? 4 : 10;
      this.#needed = header;
      if (bytes.length - at < header) return at;
      const length =
        header === 2
          ? form
          : header === 4
            ? bytes.readUInt16BE(at + 2)
            : Number(bytes.readBigUInt64BE(at + 2));
      this.#needed = header + length;
      if (bytes.length - at < header + length) return at;
      this.#onFrame(bytes[at]!, bytes.subarray(at + header, at + header + length));
      at += header + length;
    }
  }

  #onFrame(first: number, payload: Buffer): void {
    if (first === 0x81 && payload[0] === ANSWER) {
      this.#answers.put(JSON.parse(payload.toString('utf8', 1)) as Answer);
    } else if (first === 0x81 || first === 0x82) {
      this.count++;
      this.onMessage(payload, first === 0x82);
    } else if (first === 0x88) {
      this.#socket.end();
    } else {
      throw new Error(`an unexpected frame that begins with ${first}`);
    }
  }
}
