import { WebSocket } from 'ws';
import { latin1Port, textPort } from '../../../src/net/native-ports.ts';
import { StompVersion } from '../../../src/stomp/codec/frame.ts';
import { FrameParser } from '../../../src/stomp/codec/frame-parser.ts';
import { encodeFrame } from '../../../src/stomp/codec/frame-writer.ts';
import { until, within } from '../tools/deadline.ts';

const TEXT = { ...latin1Port, ...textPort };
const LIMITS = { maxHeaders: 100, maxLineLength: 65_536, maxBodyLength: 2 ** 24, maxFrameLength: 2 ** 25 };

export interface ReceivedFrame {
  readonly command: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A client of STOMP 1.2 over WebSocket that shows what it got. */
export class StompClient {
  readonly socket: WebSocket;
  readonly messages: ReceivedFrame[] = [];
  readonly errors: string[] = [];
  isClosed = false;
  /** Called for each MESSAGE, beside `messages`. */
  onMessage: (message: ReceivedFrame) => void = () => {};
  readonly #receipts = new Map<string, () => void>();
  #connected = (): void => {};
  #lastReceipt = 0;
  readonly #parser: FrameParser;

  private constructor(url: string) {
    this.socket = new WebSocket(url, { perMessageDeflate: false });
    this.#parser = new FrameParser('server', LIMITS, TEXT, this);
    this.#parser.version = StompVersion.V1_2;
    this.socket.on('message', (data: Buffer) => {
      this.#parser.read(data);
    });
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    this.socket.on('error', () => {});
  }

  static async connect(url: string, login?: string): Promise<StompClient> {
    const client = new StompClient(url);
    const connected = new Promise<void>((resolve) => {
      client.#connected = resolve;
    });
    client.socket.on('open', () => {
      client.send('CONNECT', {
        'accept-version': '1.2',
        host: 'host',
        ...(login === undefined ? {} : { login }),
      });
    });
    await within(connected, 'CONNECTED');
    return client;
  }

  onFrame(frame: {
    command: string;
    headers: { size: number; nameAt(i: number): string; valueAt(i: number): string };
    body: Uint8Array;
  }): void {
    const headers: Record<string, string> = {};
    for (let i = frame.headers.size - 1; i >= 0; i--)
      headers[frame.headers.nameAt(i)] = frame.headers.valueAt(i);
    const received = { command: frame.command, headers, body: Buffer.from(frame.body).toString() };
    switch (frame.command) {
      case 'CONNECTED':
        this.#connected();
        break;
      case 'MESSAGE':
        this.messages.push(received);
        this.onMessage(received);
        break;
      case 'RECEIPT': {
        const id = headers['receipt-id']!;
        this.#receipts.get(id)?.();
        this.#receipts.delete(id);
        break;
      }
      default:
        this.errors.push(headers['message'] ?? '');
    }
  }

  send(command: string, headers: Readonly<Record<string, string>>, body = ''): void {
    const list = Object.entries(headers).flat();
    this.socket.send(encodeFrame(TEXT, StompVersion.V1_2, command as never, list, Buffer.from(body)));
  }

  /** Resolves with whether there was a RECEIPT; else the connection has ended. */
  async confirmed(
    command: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<boolean> {
    const receipt = `r${++this.#lastReceipt}`;
    let isConfirmed = false;
    this.#receipts.set(receipt, () => {
      isConfirmed = true;
    });
    this.send(command, { ...headers, receipt }, body);
    await until(() => isConfirmed || this.isClosed, `RECEIPT of ${command}`);
    return isConfirmed;
  }

  subscribe(destination: string, ack = 'client-individual', prefetch = 100, id = '0'): Promise<boolean> {
    const headers = { destination, ack, id, 'prefetch-count': `${prefetch}` };
    return this.confirmed('SUBSCRIBE', headers);
  }

  ack({ headers }: ReceivedFrame): void {
    this.send('ACK', { id: headers['ack']! });
  }

  get bodies(): string[] {
    return this.messages.map(({ body }) => body);
  }

  close(): void {
    this.socket.terminate();
  }
}
