import { isUtf8 } from 'node:buffer';
import { App, type TemplatedApp, type WebSocket } from 'millrace';
import { STOMP_PROTOCOLS } from '../../../src/stomp/codec/negotiation.ts';
import type { StompSession } from '../../../src/stomp/session/session.ts';
import type { SessionOptions, SessionPort } from '../../../src/stomp/session/session-port.ts';
import { SimpleBroker } from './simple-broker.ts';

/** Ms between ticks. */
const TICK = 20;

interface UserData {
  readonly protocol: string;
  session: StompSession<string> | null;
  timer: NodeJS.Timeout | null;
}

/** A simple broker behind WebSockets. */
export class WebSocketBroker extends SimpleBroker {
  readonly app: TemplatedApp;
  port = 0;
  /** Messages of each kind that clients sent. */
  readonly received = { text: 0, binary: 0 };
  readonly #sockets = new Set<WebSocket<UserData>>();

  constructor(options: Partial<SessionOptions> = {}) {
    super(options);
    this.app = App({ maxConnectionsPerAddress: 0 });
    this.app.ws<UserData>('/stomp', {
      maxPayloadLength: 1024 * 1024,
      upgrade: (res, req, context) => {
        const offered = req.getHeader('sec-websocket-protocol').split(/ *, */);
        const protocol = STOMP_PROTOCOLS.find((name) => offered.includes(name)) ?? '';
        res.upgrade<UserData>(
          { protocol, session: null, timer: null },
          req.getHeader('sec-websocket-key'),
          protocol,
          req.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      open: (ws) => {
        this.#sockets.add(ws);
        const data = ws.getUserData();
        const session = this.open(new SocketPort(ws), performance.now(), data.protocol);
        data.session = session;
        data.timer = setInterval(() => {
          session.tick(performance.now(), TICK);
        }, TICK);
      },
      message: (ws, message, isBinary) => {
        this.received[isBinary ? 'binary' : 'text']++;
        ws.getUserData().session?.receive(new Uint8Array(message), performance.now());
      },
      close: (ws) => {
        this.#sockets.delete(ws);
        const { session, timer } = ws.getUserData();
        if (timer !== null) clearInterval(timer);
        session?.end();
      },
    });
    this.app.listen('127.0.0.1', 0, (socket) => {
      if (socket !== false) this.port = socket.port;
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/stomp`;
  }

  /** Cuts all clients off. */
  cut(): void {
    for (const ws of this.#sockets) ws.close();
  }

  close(): void {
    this.app.close();
  }
}

class SocketPort implements SessionPort {
  readonly #ws: WebSocket<UserData>;

  constructor(ws: WebSocket<UserData>) {
    this.#ws = ws;
  }

  write(bytes: Uint8Array): void {
    this.#ws.send(bytes, !isUtf8(bytes));
  }

  // What comes is held by the session.
  pause(): void {}
  resume(): void {}

  finish(isGraceful: boolean): void {
    if (!isGraceful) this.#ws.end(1002);
  }
}
