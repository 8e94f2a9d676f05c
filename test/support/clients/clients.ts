import { Agent, WebSocket as UndiciWebSocket } from 'undici';
import { type ClientOptions, WebSocket as WsWebSocket } from 'ws';
import { SERVER_CERTIFICATE, tlsMode } from '../tls/tls-mode.ts';
import { Mailbox, within } from '../tools/deadline.ts';

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A text, or the bytes of a binary message. */
export type Received = string | Uint8Array;

/** What the clients of `ws` and undici have in common, which is what browsers have. */
interface Socket {
  binaryType: string;
  readonly protocol: string;
  send(message: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** A WebSocket client whose messages are waited for one by one. */
export class Client<S extends Socket = WsWebSocket> {
  readonly socket: S;
  readonly messages = new Mailbox<Received>('a message');
  readonly #closed: Promise<Closed>;

  private constructor(socket: S, closed: Promise<Closed>) {
    this.socket = socket;
    this.#closed = closed;
  }

  /** Connects with the client of `ws`. Rejects with its error when the handshake is refused. */
  static connect(url: string, options: ClientOptions = {}, protocols: string[] = []): Promise<Client> {
    return Client.#open(
      new WsWebSocket(url, protocols, {
        perMessageDeflate: false,
        ...(tlsMode.isOn ? { ca: SERVER_CERTIFICATE.cert } : {}),
        ...options,
      }),
    );
  }

  /** Connects with the client of undici, which is that of Node.js and follows the browsers' rules. */
  static connectUndici(
    url: string,
    headers: Record<string, string> = {},
    protocols: string[] = [],
  ): Promise<Client<UndiciWebSocket>> {
    const dispatcher = tlsMode.isOn
      ? { dispatcher: new Agent({ connect: { ca: SERVER_CERTIFICATE.cert } }) }
      : {};
    return Client.#open(new UndiciWebSocket(url, { protocols, headers, ...dispatcher }));
  }

  static async #open<S extends Socket & EventSource>(socket: S): Promise<Client<S>> {
    socket.binaryType = 'arraybuffer';
    const closed = new Promise<Closed>((resolve) => {
      socket.addEventListener('close', ({ code, reason }) => {
        resolve({ code, reason });
      });
    });
    const client = new Client(socket, closed);
    const opened = new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => {
        resolve();
      });
      socket.addEventListener('error', (event) => {
        reject(new Error(event.message ?? 'the handshake failed'));
      });
    });
    socket.addEventListener('message', ({ data }) => {
      client.messages.put(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer));
    });
    void closed.then(({ code }) => {
      client.messages.finish(`closed with ${code}`);
    });
    await within(opened, 'the handshake');
    return client;
  }

  send(message: string | Uint8Array): void {
    this.socket.send(message);
  }

  next(): Promise<Received> {
    return this.messages.next();
  }

  /** Sends a message and waits for the next one. */
  ask(message: string | Uint8Array): Promise<Received> {
    this.send(message);
    return this.next();
  }

  /** How the connection ended. */
  closed(): Promise<Closed> {
    return within(this.#closed, 'the end of the connection');
  }

  /** Closes politely and waits for the end. */
  async close(code = 1000, reason = ''): Promise<Closed> {
    this.socket.close(code, reason);
    return this.closed();
  }
}

interface Events {
  open: object;
  message: { data: unknown };
  close: Closed;
  error: { message?: string };
}
interface EventSource {
  addEventListener<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): void;
}
