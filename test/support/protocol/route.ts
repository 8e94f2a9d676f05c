import type { AppOptions, WebSocket, WebSocketBehavior } from 'millrace';
import { RawClient } from '../clients/raw-client.ts';
import { type Running, startApp } from '../servers/server.ts';
import { Mailbox } from '../tools/deadline.ts';

/** Both ends of a connection. */
export interface Pair {
  /** The server's end. */
  readonly ws: WebSocket;
  readonly client: RawClient;
}

/** A WebSocket route at '/', in this thread, whose server ends are at hand. */
export class Route {
  readonly running: Running;
  readonly #opened: Mailbox<WebSocket>;

  constructor(behavior: WebSocketBehavior, options?: AppOptions) {
    const opened = new Mailbox<WebSocket>('a connection to be opened');
    this.#opened = opened;
    const { open } = behavior;
    this.running = startApp((app) => {
      app.ws('/', {
        ...behavior,
        open: (ws, req) => {
          opened.put(ws);
          return open?.(ws, req);
        },
      });
    }, options);
  }

  get app(): NonNullable<Running['app']> {
    return this.running.app!;
  }

  get port(): number {
    return this.running.port;
  }

  async pair(options: { allowHalfOpen?: boolean } = {}): Promise<Pair> {
    const client = await RawClient.webSocket(this.port, '/', {}, options);
    return { client, ws: await this.opened() };
  }

  async pairs(count: number): Promise<Pair[]> {
    const pairs: Pair[] = [];
    while (pairs.length < count) pairs.push(await this.pair());
    return pairs;
  }

  /** The server's end of the next connection. */
  opened(): Promise<WebSocket> {
    return this.#opened.next();
  }

  stop(): Promise<void> {
    return this.running.stop();
  }

  /** So that a test may write `using route = new Route(…)`. */
  [Symbol.dispose](): void {
    this.app.close();
  }
}

/** What `close` handlers are told, as text. */
export function closeText(message: ArrayBuffer): string {
  return Buffer.from(message).toString();
}
